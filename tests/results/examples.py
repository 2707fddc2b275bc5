"""Records and results of every kind, for the tests of results, plots and report."""

from itertools import pairwise

import numpy as np

from amplify.results.records import environment, finite
from amplify.results.verdicts import verdict

# a name that runs, where a page does not escape it
EVIL = "<img src=x onerror=\"window.ran=1\"> & 'y' {{ 7 }}"
COLUMNS = ("pt_lead", "eta_lead", "m_jj", "dphi_jj", "ht")
_STATUSES = ("resolved", "resolved", "resolved", "lower_limit", "biased", "unresolved")


def averaging_record(region, n_equiv=4000.0, status="resolved", n_train=1000, **more):
    """A record as averaging_records makes them."""
    open_end, known = status in ("lower_limit", "unresolved"), status != "unresolved"
    interval = [n_equiv / 1.5 if known else 0.0, None if open_end else n_equiv * 2]
    value = None if open_end else n_equiv
    bounds = [n_equiv / 1.8 if known else 0.0, None if open_end else n_equiv * 3]
    record = {
        "method": "averaging",
        "region": region,
        "summary": None,
        "members": 8,
        "n_train": n_train,
        "n_gen": 100_000,
        "n_holdout": 20_000,
        "integral": 0.1,
        "sigma_stat": 0.001,
        "sigma_model": 0.004 if known else None,
        "distance": None,
        "n_equiv": value,
        "n_equiv_interval": interval,
        "pull": 4.2 if status == "biased" else -0.3,
        "bias": 0.0,
        "n_equiv_least": n_equiv / 4,
        "level": 0.68,
        "limit_level": 0.95,
        "amplification": value and value / n_train,
        "amplification_interval": [v and v / n_train for v in interval],
        "amplification_bounds": [v and v / n_train for v in bounds],
        "status": status,
    } | more
    return record | {"verdict": verdict(record)}


def differential_record(
    region="all", n_equiv=60.0, status="resolved", summary="exact likelihood ratio", n_train=1000
):
    """A record as differential_records makes them."""
    low = 0.0 if status in ("upper_limit", "unresolved") else n_equiv / 1.3
    high = None if status in ("lower_limit", "unresolved") else n_equiv * 1.3
    value = n_equiv if status == "resolved" else None
    record = {
        "method": "differential",
        "region": region,
        "summary": summary,
        "members": None,
        "n_train": n_train,
        "n_gen": 500_000,
        "n_holdout": 20_000,
        "n_train_region": n_train,
        "n_gen_region": 500_000,
        "n_holdout_region": 20_000,
        "integral": None,
        "sigma_stat": None,
        "sigma_model": None,
        "distance": 0.87 / n_equiv**0.5,
        "n_equiv": value,
        "n_equiv_interval": [low, high],
        "n_holdout_for_30_percent": 14.6 * n_equiv,
        "pull": None,
        "bias": None,
        "level": 0.68,
        "limit_level": 0.95,
        "amplification": value and value / n_train,
        "amplification_interval": [low / n_train, high and high / n_train],
        "status": status,
    }
    return record | {"verdict": verdict(record)}


def rich_results(columns=COLUMNS, bins=3, evil=None):
    """Some regions of every column and of all statuses, differential estimates, and everything that
    is drawn.

    Args:
        columns: their names.
        bins: regions of each column.
        evil: a name for the first region and the first column.
    """
    rng = np.random.default_rng(4)
    names = [evil or columns[0], *columns[1:]]
    estimates = _regions(columns, bins, rng)
    if evil:
        estimates[0] = averaging_record(evil)
    estimates += [
        differential_record(),
        differential_record("pt_lead >= 3", 200.0),
        differential_record(summary="learned likelihood ratio", status="upper_limit", n_equiv=80.0),
    ]
    settings = {"n_train": 1000, "columns": list(columns), "nested": {"a": [1, None]}}
    results = environment("amplify averaging --members gen_0.npy ...", 7, settings)
    results |= {
        "estimates": estimates,
        "pooled": pooled(),
        "inputs": _inputs(columns),
        "warnings": ["the members differ in size: the smallest counts"],
        "failed_members": [{"member": 3, "reason": "its loss was not finite"}],
        "panels": [_panel(name, rng, holdout=i != 3) for i, name in enumerate(names)],
        "map": _map(names[:2]),
        "resolution": [_curve(i, name) for i, name in enumerate([*names, "sixth", "seventh"])],
        "sensitivities": [{"shape": "smooth", "distance": 0.1, "efficiency": 0.8, "error": 0.02}],
        "differential": _differential(names[:2], rng),
    }
    return finite(results)


def pooled(n_equiv=4000.0, status="resolved"):
    """All regions together, as `pooled_worth` makes it."""
    interval = [n_equiv / 1.5, n_equiv * 2] if status == "resolved" else [n_equiv, None]
    value = n_equiv if status == "resolved" else None
    return {"regions": 2, "n_equiv": value, "n_equiv_interval": interval, "status": status}


def truth_of(results):
    """What is known of these estimates where the truth is."""
    count = len(results["estimates"])
    factors = [float(2 + place % 3) for place in range(count)]
    known = {"actual_sigma": [0.004] * count, "actual_distance": [0.01] * count}
    return known | {"actual_amplification": factors, "from": "an integral"}


def _regions(columns, bins, rng):
    records = []
    for name in columns:
        inner = np.linspace(-2.2, 2.2, bins - 1)
        labels = [f"{a:.6g} <= {name} < {b:.6g}" for a, b in pairwise(inner)]
        for label in (f"{name} < {inner[0]:.6g}", *labels, f"{name} >= {inner[-1]:.6g}"):
            n_equiv = float(1000 * 10 ** rng.normal(0.3, 0.45))
            status = _STATUSES[rng.integers(len(_STATUSES))]
            records.append(averaging_record(label, n_equiv, status))
    return records


def _inputs(columns):
    files = [{"path": f"gen_{i}.h5", "sha256": f"{i}" * 64, "events": 10} for i in range(3)]
    first = {"path": "gen_0.npy", "sha256": "ab" * 32, "events": 100_000, "weighted": False}
    first |= {"columns": list(columns), "dropped": 12}
    return [first, {"path": "gen_*.h5", "events": 30, "files": files}]


def _panel(name, rng, holdout):
    edges = np.linspace(0, 4, 21)
    shape = np.diff(-np.exp(-edges)) if name != "eta_lead" else np.diff(edges) / 5
    generated = shape * (1 + 0.04 * rng.normal(size=20))
    generated[-1] *= 2.5
    return {
        "column": name,
        "edges": edges,
        "generated": generated,
        "generated_error": 0.02 * shape,
        "holdout": np.r_[shape[:-2], 0.0, shape[-1]] if holdout else None,
        "holdout_error": 0.05 * shape**0.8 if holdout else None,
        "members_low": [*generated[:-1] * 0.9, None],
        "members_high": [*generated[:-1] * 1.1, None],
    }


def _map(columns):
    status = [["resolved"] * 6 for _ in range(5)]
    status[0][3], status[2][2], status[4][0] = "unresolved", "biased", "lower_limit"
    i, j = np.mgrid[:5, :6]
    amplification = 10 ** (0.3 * (i - 2) + 0.2 * (j - 2))
    amplification[0, 3] = np.nan
    return {
        "columns": columns,
        "edges": [[None, -1.0, -0.3, 0.3, 1.0, None], list(np.linspace(0, 500, 7))],
        "amplification": amplification,
        "status": status,
    }


def _curve(place, name):
    g = 3 * 1.3**place / np.array([1, 1.4, 2, 3.0, 5])
    curve = {"column": name, "bins": [2, 5, 10, 20, 50], "amplification": list(g)}
    return curve | {"low": list(g / 1.5), "high": [None, *(g[1:] * 1.7)]}


def _differential(columns, rng):
    t = np.linspace(-1, 1, 50)
    f = (np.tanh(2 * t) + 1) / 2
    n = np.geomspace(100, 5e5, 12)
    functions = {"t": t, "generated": f, "holdout": f**1.1, "place": 0.0}
    functions |= {"generated_there": 0.5, "holdout_there": 0.47}
    root = np.sqrt(n)
    approach = {"n_gen": n, "ks": 0.05 + 0.9 / root, "null_mean": 0.87 / root}
    approach |= {"null_low": 0.5 / root, "null_high": 1.3 / root}
    approach |= {"n_holdout": 20_000, "distance": 0.05}
    cells = {"columns": columns, "edges": [np.linspace(-3, 3, 11)] * 2}
    cells |= {"ratio": rng.normal(1, 0.1, (10, 10)), "pull": rng.normal(0, 1.5, (10, 10))}
    return {"functions": functions, "approach": approach, "map": cells}
