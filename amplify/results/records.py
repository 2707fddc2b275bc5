"""results.json, schema amplify/1: what a run found, in numbers."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.estimators.differential import holdout_for
from amplify.estimators.kolmogorov import K1
from amplify.results.schema import SCHEMA, check, check_own
from amplify.results.verdicts import verdict
from amplify.storage import whole
from amplify.text import one_line
from amplify.types import AveragingEstimate, Bounds, DifferentialEstimate, Interval, Status
from amplify.version import release

_LONGEST = 300  # digits of a whole number; more are no float


def environment(
    command: str, seed: int, settings: Mapping[str, Any], inputs: Sequence[Any] = ()
) -> dict[str, Any]:
    """The head of a results.json: how to make it again."""
    return {
        "schema": SCHEMA,
        "command": command,
        "version": release(),
        "seed": seed,
        "settings": settings,
        "inputs": inputs or [],
        "warnings": [],
    }


def averaging_records(
    estimate: AveragingEstimate,
    labels: tuple[str, ...],
    *,
    members: int | None,
    n_train: Any,
    n_gen: int | None,
    n_holdout: int | None,
    level: float,
    limit_level: float,
    n_train_region: Any = None,
) -> list[dict[str, Any]]:
    """One record per region. n_equiv is the quoted one: aware of the bias where the status is
    biased, from the spread of the members elsewhere. At a condition it counts events of that
    condition, as `n_train_region` does.
    """
    e = _as_numpy(estimate)
    records = []
    for r, label in enumerate(labels):
        status = Status(int(e.status[r]))
        quoted = e.n_equiv_bias_aware if status is Status.BIASED else e.n_equiv
        record = {
            "method": "averaging",
            "region": label,
            "summary": None,
            "members": members,
            "n_train": n_train,
            "n_gen": n_gen,
            "n_holdout": n_holdout,
            "integral": float(e.integral[r]),
            "sigma_stat": float(e.sigma_stat[r]),
            "sigma_model": float(e.sigma_model.value[r]),
            "sigma_model_interval": _ends(e.sigma_model, r),
            "distance": None,
            "n_equiv": float(quoted.value[r]),
            "n_equiv_interval": _ends(quoted, r),
            "n_equiv_precision": float(e.n_equiv.value[r]),
            "n_equiv_at_n_gen": float(e.n_equiv_at_n_gen[r]),
            "pull": float(e.pull[r]),
            "bias": float(e.bias[r]),
            "n_equiv_least": float(e.n_equiv_least[r]),
            "level": level,
            "limit_level": limit_level,
            "amplification": float(e.factor.value[r]),
            "amplification_interval": _ends(e.factor, r),
            "amplification_bounds": [float(e.bounds.low[r]), float(e.bounds.high[r])],
            "status": status.name.lower(),
        }
        if n_train_region is not None:
            record["n_train_region"] = float(n_train_region[r])
        record = finite(record)
        records.append(record | {"verdict": verdict(record)})
    return records


def differential_records(
    estimate: DifferentialEstimate,
    labels: tuple[str, ...],
    *,
    summary: str,
    n_train: Any,
    n_gen: int | None,
    n_holdout: int | None,
    level: float,
    limit_level: float,
) -> list[dict[str, Any]]:
    """One record per region; n_train, n_gen and n_holdout are numbers of the whole samples,
    `*_region` those inside.
    """
    e = _as_numpy(estimate)
    inside = np.broadcast_to(np.asarray(n_train, float), len(labels))
    records = []
    for r, label in enumerate(labels):
        value = float(e.n_equiv.value[r])
        known = value if np.isfinite(value) else _likely(e, r)
        record = finite(
            {
                "method": "differential",
                "region": label,
                "summary": summary,
                "members": None,
                "n_train": float(inside.max()),
                "n_gen": n_gen,
                "n_holdout": n_holdout,
                "n_train_region": float(inside[r]),
                "n_gen_region": float(e.n_gen[r]),
                "n_holdout_region": float(e.n_holdout[r]),
                "integral": None,
                "sigma_stat": None,
                "sigma_model": None,
                "distance": float(e.distance.value[r]),
                "distance_interval": _ends(e.distance, r),
                "n_equiv": value,
                "n_equiv_interval": _ends(e.n_equiv, r),
                "n_equiv_at_n_gen": float(e.n_equiv_at_n_gen[r]),
                "n_holdout_for_30_percent": holdout_for(known) if known > 0 else None,
                "pull": None,
                "bias": None,
                "level": level,
                "limit_level": limit_level,
                "amplification": float(e.factor.value[r]),
                "amplification_interval": _ends(e.factor, r),
                "status": Status(int(e.status[r])).name.lower(),
            }
        )
        records.append(record | {"verdict": verdict(record)})
    return records


def _likely(e: DifferentialEstimate, region: int) -> float:
    """What a limit may turn out to be, to plan the next holdout: not quoted."""
    distance = float(e.distance.value[region])
    limit = e.n_equiv.low[region] if e.status[region] == Status.LOWER_LIMIT else 0.0
    return max((K1 / distance) ** 2 if distance > 0 else 0.0, float(limit))


def finite(value: Any) -> Any:
    """The same structure in types that JSON knows, infinities and nan as null."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, np.ndarray):
        return finite(value.tolist())
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, Path):
        return str(value)
    return value


def write_json(path: Path, results: dict[str, Any]) -> None:
    """Writes results; the file appears only when it is complete."""
    contents = finite(results)
    if contents.get("schema") == SCHEMA:
        check_own(contents)
    with whole(path) as part:
        part.write_text(json.dumps(contents, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a results.json, or what - has on standard input.

    Raises:
        InputError: the file is missing, no JSON, or not as the schema says.
    """
    what, fix = str(path), "give the file that a run wrote"
    if what != "-" and not path.is_file():
        got = "a directory" if path.is_dir() else "no such file"
        raise InputError(what, "a results.json", got, "check the path")
    try:
        text = sys.stdin.read() if what == "-" else path.read_text()
        results = json.loads(
            text, parse_constant=_constant, parse_float=_float, parse_int=_whole_number
        )
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        got = f"no JSON ({error.__class__.__name__})"
        raise InputError(what, "a results.json", got, fix) from None
    except RecursionError:
        raise InputError(what, "a results.json", "lists in lists without end", fix) from None
    except _NumberError as error:
        raise InputError(what, "numbers that JSON knows", str(error), fix) from None
    check(results, what)
    return results


class _NumberError(Exception):
    """A number that is none."""


def _constant(word: str) -> Any:
    """JSON has no nan and no infinity; null stands for them."""
    raise _NumberError(word)


def _float(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _constant(one_line(digits, 30))


def _whole_number(digits: str) -> int:
    return int(digits) if len(digits) <= _LONGEST else _constant(one_line(digits, 30))


def answers_of(stored: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The fields of the answers that records were made from: those of one method, summary, level
    and number of events belong together.
    """
    common = "method", "summary", "level", "limit_level", "members", "n_gen", "n_holdout"
    for _, group in groupby(stored, key=lambda record: [record.get(name) for name in common]):
        rows = list(group)
        fields = {name: rows[0].get(name) for name in common if name != "method"}
        fields["limit_level"] = fields["limit_level"] or fields["level"]  # of an older version
        fields["labels"] = tuple(row["region"] for row in rows)
        if rows[0]["method"] == "differential":
            fields["n_train"] = np.array([row["n_train_region"] for row in rows], float)
            yield fields | {"estimate": _differential_estimate(rows)}
        else:
            if rows[0].get("n_train_region") is not None:
                fields["n_train_region"] = _column(rows, "n_train_region")
            yield fields | {"n_train": rows[0]["n_train"], "estimate": _averaging_estimate(rows)}


def _averaging_estimate(rows: Sequence[Mapping[str, Any]]) -> AveragingEstimate:
    biased = np.array([row["status"] == "biased" for row in rows])
    quoted = _interval(rows, "n_equiv")
    nothing = Interval(*(np.full(len(rows), np.nan) for _ in range(3)))
    spread = Interval(*(np.where(biased, a, b) for a, b in zip(nothing, quoted, strict=True)))
    aware = Interval(*(np.where(biased, b, a) for a, b in zip(nothing, quoted, strict=True)))
    return AveragingEstimate(
        integral=_column(rows, "integral"),
        sigma_stat=_column(rows, "sigma_stat"),
        sigma_model=_interval(rows, "sigma_model"),
        n_equiv=spread._replace(value=_column(rows, "n_equiv_precision")),
        n_equiv_at_n_gen=_column(rows, "n_equiv_at_n_gen"),
        pull=_column(rows, "pull"),
        bias=_column(rows, "bias"),
        n_equiv_bias_aware=aware,
        n_equiv_least=_column(rows, "n_equiv_least"),
        factor=_interval(rows, "amplification"),
        bounds=_bounds(rows),
        status=_status(rows),
    )


def _differential_estimate(rows: Sequence[Mapping[str, Any]]) -> DifferentialEstimate:
    return DifferentialEstimate(
        distance=_interval(rows, "distance"),
        n_equiv=_interval(rows, "n_equiv"),
        n_equiv_at_n_gen=_column(rows, "n_equiv_at_n_gen"),
        factor=_interval(rows, "amplification"),
        n_gen=_column(rows, "n_gen_region"),
        n_holdout=_column(rows, "n_holdout_region"),
        status=_status(rows),
    )


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """A null is nan."""
    return np.array([np.nan if row.get(name) is None else row[name] for row in rows], float)


def _interval(rows: Sequence[Mapping[str, Any]], name: str) -> Interval:
    """A null at the upper end is infinity."""
    ends = [row.get(f"{name}_interval") or (None, None) for row in rows]
    low = np.array([np.nan if end[0] is None else end[0] for end in ends], float)
    high = np.array([np.inf if end[1] is None else end[1] for end in ends], float)
    return Interval(_column(rows, name), low, high)


def _bounds(rows: Sequence[Mapping[str, Any]]) -> Bounds:
    """A null at the upper end is infinity; an older version has none."""
    ends = [row.get("amplification_bounds") or (0.0, None) for row in rows]
    low = [0.0 if end[0] is None else end[0] for end in ends]
    high = [np.inf if end[1] is None else end[1] for end in ends]
    return Bounds(np.array(low, float), np.array(high, float))


def _status(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    return np.array([Status[row["status"].upper()] for row in rows], np.int32)


def _ends(interval: Interval, region: int) -> list[float]:
    return [float(interval.low[region]), float(interval.high[region])]


def _as_numpy(estimate: Any) -> Any:
    """The same with NumPy's arrays."""

    def converted(field: Any) -> Any:
        if isinstance(field, Interval | Bounds):
            return type(field)(*map(np.asarray, field))
        return np.asarray(field)

    return type(estimate)(*map(converted, estimate))
