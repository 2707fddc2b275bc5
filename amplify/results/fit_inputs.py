"""The uncertainty of integrals in forms that fits read: covariance matrices, workspaces of pyhf,
and histograms as UHI serialises them (docs/weighted_events, Into a fit).

Each takes what results.json holds. A member's uncertainty is meant: that of the typical training.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from amplify.errors import InputError

TOGETHER = "members_in_regions"  # keys of results.json
BINNINGS = "binnings"
Kind = Literal["staterror", "histosys", "normsys"]

_NEGLIGIBLE = 1e-6  # of the largest eigenvalue
_VERSION = "1.0.0"  # of pyhf's workspaces


class Covariance(NamedTuple):
    """Covariance of the fractions of one member in regions.

    Attributes:
        regions: labels.
        integral: fraction of the events in each region [region].
        model: what training on n_train events left wrong [region, region]: the covariance between
            members less that of their finite samples, unbiased, negative eigenvalues set to zero;
            of M members, its rank is at most M - 1.
        stat: of the finite generated sample of one member [region, region].
        members: how many.
    """

    regions: tuple[str, ...]
    integral: np.ndarray
    model: np.ndarray
    stat: np.ndarray
    members: int


def covariance_of(results: Mapping[str, Any]) -> Covariance:
    """Covariance of region integrals.

    Args:
        results: what results.json holds.

    Raises:
        InputError: a result of something else than members in up to 250 regions.
    """
    records = _averaging(results)
    stored = results.get(TOGETHER)
    if not stored:
        got = "a result without them"
        fix = "averaging of events in up to 250 regions has them"
        raise InputError("covariance", "integrals of each member", got, fix)
    integral = np.array(stored["integral"], float)
    members, size = integral.shape
    of_both = np.zeros((size, size))
    of_both[np.tril_indices(size)] = stored["in_both"]
    of_both += np.tril(of_both, -1).T
    mean = integral.mean(axis=0)
    one_event = of_both - np.outer(mean, mean)
    known = np.array(stored["condition"], int)
    one_event[known[:, None] != known] = 0.0  # events at another condition
    deviation = np.sqrt(np.diag(one_event).clip(1e-300))
    noise = np.array([r["sigma_stat"] or 0.0 for r in records])
    stat = one_event / np.outer(deviation, deviation) * np.outer(noise, noise)
    np.fill_diagonal(stat, noise**2)
    model = _positive(np.cov(integral, rowvar=False, ddof=1).reshape(size, size) - stat)
    return Covariance(tuple(r["region"] for r in records), mean, model, stat, members)


def covariance_json(results: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a file."""
    found = covariance_of(results)
    return {
        "about": "fractions of events in regions: covariance of one trained member (model), and of "
        "its finite generated sample (stat)",
        "regions": list(found.regions),
        "integral": found.integral.tolist(),
        "model": found.model.tolist(),
        "stat": found.stat.tolist(),
        "members": found.members,
        "n_train": _averaging(results)[0]["n_train"],
        "n_gen": _averaging(results)[0]["n_gen"],
    }


def pyhf_of(
    results: Mapping[str, Any], kind: Kind = "staterror", events: float | None = None
) -> dict[str, Any]:
    """A workspace of pyhf: a channel for each set of regions that share no events
    (`channel_regions`), with the generated sample, its uncertainty sigma_model, and the expected
    counts as observations, in the place of which yours belong.

    Args:
        results: what results.json holds.
        kind: "staterror", independent in each bin; "histosys", correlated as the members are, one
            modifier for each eigenvector of the covariance; "normsys", a channel for each region.
        events: that the fractions are multiplied by; default n_train.

    Raises:
        InputError: no averaging, or, but for normsys, no covariance.
    """
    records = _averaging(results)
    if kind not in ("staterror", "histosys", "normsys"):
        raise InputError("kind", "staterror, histosys or normsys", repr(kind), "choose one")
    scale = float(records[0]["n_train"] if events is None else events)
    counts = scale * np.array([r["integral"] for r in records])
    sigma = scale * np.array([_sigma(r) for r in records])
    every = np.arange(len(records))
    channels = [every[i : i + 1] for i in every] if kind == "normsys" else _disjoint(results)
    modes = _modes(results, scale) if kind == "histosys" else np.zeros((0, len(records)))
    made = []
    for number, rows in enumerate(channels):
        name = f"channel{number}"
        modifiers: list[dict[str, Any]] = [{"name": "mu", "type": "normfactor", "data": None}]
        if kind == "staterror":
            of_bins = sigma[rows].tolist()
            modifiers.append({"name": f"amplify_{name}", "type": "staterror", "data": of_bins})
        elif kind == "normsys":
            share = float(sigma[rows[0]] / counts[rows[0]]) if counts[rows[0]] > 0 else 0.0
            data = {"hi": 1 + share, "lo": max(1 - share, 0.0)}
            modifiers.append({"name": f"amplify_{number}", "type": "normsys", "data": data})
        for k, mode in enumerate(modes):
            high, low = counts[rows] + mode[rows], (counts[rows] - mode[rows]).clip(0)
            data = {"hi_data": high.tolist(), "lo_data": low.tolist()}
            modifiers.append({"name": f"amplify_mode{k}", "type": "histosys", "data": data})
        sample = {"name": "generated", "data": counts[rows].tolist(), "modifiers": modifiers}
        made.append({"name": name, "samples": [sample]})
    return {
        "channels": made,
        "observations": [
            {"name": channel["name"], "data": channel["samples"][0]["data"]} for channel in made
        ],
        "measurements": [{"name": "amplify", "config": {"poi": "mu", "parameters": []}}],
        "version": _VERSION,
    }


def channel_regions(results: Mapping[str, Any], kind: Kind = "staterror") -> dict[str, list[str]]:
    """The regions that are the bins of each channel of `pyhf_of`, in their order."""
    records = _averaging(results)
    every = np.arange(len(records))
    channels = [every[i : i + 1] for i in every] if kind == "normsys" else _disjoint(results)
    return {
        f"channel{number}": [records[i]["region"] for i in rows]
        for number, rows in enumerate(channels)
    }


def histograms_of(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Histograms as UHI serialises them (schema 1), by their names, for boost-histogram and hist:
    `regions/COLUMN` has the fractions in the bins that were judged with variances sigma_model^2, or
    `regions` with the labels as an axis where there are no bins; `generated/COLUMN` and
    `holdout/COLUMN` the histograms of the page with variances of their finite samples.

    Args:
        results: what results.json holds.
    """
    made: dict[str, dict[str, Any]] = {}
    records = [r for r in results["estimates"] if r["method"] == "averaging"]
    values = [r["integral"] for r in records]
    variances = [_sigma(r) ** 2 for r in records]
    about = "fractions of events; variances are sigma_model squared"
    for binning in results.get(BINNINGS) or ():
        axis = _variable(binning["edges"], binning["column"])
        if len(axis["edges"]) < 2:  # both bins are open
            labels = [records[i]["region"] for i in binning["regions"]]
            axis = {"type": "category_str", "categories": labels, "flow": False}
        rows = binning["regions"]
        of_bins = [values[i] for i in rows], [variances[i] for i in rows]
        made[f"regions/{binning['name']}"] = _histogram(axis, *of_bins, about)
    if records and not results.get(BINNINGS):
        labels = [r["region"] for r in records]
        if len(set(labels)) == len(labels):
            axis = {"type": "category_str", "categories": labels, "flow": False}
            made["regions"] = _histogram(axis, values, variances, about)
    for panel in results.get("panels") or ():
        axis = _variable(panel["edges"], panel["column"])
        for name in ("generated", "holdout"):
            if panel.get(name) is not None:
                errors = [(error or 0.0) ** 2 for error in panel[f"{name}_error"]]
                shares = [share or 0.0 for share in panel[name]]
                about = "shares of all events; variances are those of the finite sample"
                made[f"{name}/{panel['column']}"] = _histogram(axis, shares, errors, about)
    return made


def _averaging(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    records = [r for r in results["estimates"] if r["method"] == "averaging"]
    if not records:
        fix = "run amplify averaging: a distance of single events is no uncertainty of a bin"
        raise InputError("result", "integrals over regions", "a differential one", fix)
    return records


def _sigma(record: Mapping[str, Any]) -> float:
    """sigma_model with what a holdout has shown of a bias; where noise hides it, its upper end."""
    value, ends = record["sigma_model"], record.get("sigma_model_interval") or (None, None)
    if value is None or record["status"] in ("lower_limit", "unresolved"):
        value = ends[1] or 0.0
    bias = (record["bias"] or 0.0) if record["status"] == "biased" else 0.0
    return float(np.hypot(value, bias))


def _positive(matrix: np.ndarray) -> np.ndarray:
    """The nearest matrix without negative eigenvalues."""
    value, vector = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vector * value.clip(0)) @ vector.T


def _modes(results: Mapping[str, Any], scale: float) -> np.ndarray:
    """Eigenvectors of the covariance as long as one standard deviation [mode, region]."""
    value, vector = np.linalg.eigh(covariance_of(results).model)
    kept = value > _NEGLIGIBLE * max(value.max(), 1e-300)
    return (scale * np.sqrt(value[kept]) * vector[:, kept]).T[::-1]


def _disjoint(results: Mapping[str, Any]) -> list[np.ndarray]:
    """Sets of regions that share no events, in their order."""
    stored = results.get(TOGETHER)
    if not stored:
        expected = "regions of which is known whether they overlap"
        fix = "take kind='normsys', which has a channel for each"
        raise InputError("channels", expected, "a result without", fix)
    size = len(stored["integral"][0])
    of_both = np.zeros((size, size))
    of_both[np.tril_indices(size)] = stored["in_both"]
    known = np.array(stored["condition"], int)
    overlap = (of_both > 0) & (known[:, None] == known)
    sets: list[list[int]] = []
    for row in range(size):
        home = next(
            (s for s in sets if not overlap[row, s].any() and known[s[0]] == known[row]), None
        )
        if home is None:
            sets.append([row])
        else:
            home.append(row)
    return [np.array(rows) for rows in sets]


def _variable(edges: Sequence[float | None], column: str) -> dict[str, Any]:
    """An axis; open ends, null in results.json, are its flow bins."""
    inner = [float(edge) for edge in edges if edge is not None and np.isfinite(edge)]
    low, high = (edge is None or not np.isfinite(edge) for edge in (edges[0], edges[-1]))
    flow = {"underflow": low, "overflow": high, "circular": False}
    return {"type": "variable", "edges": inner, **flow, "metadata": {"name": column}}


def _histogram(
    axis: dict[str, Any], values: Sequence[float], variances: Sequence[float], about: str
) -> dict[str, Any]:
    return {
        "uhi_schema": 1,
        "writer_info": {"amplify": {"about": about}},
        "axes": [axis],
        "storage": {
            "type": "weighted",
            "values": [float(v) for v in values],
            "variances": [float(v) for v in variances],
        },
    }
