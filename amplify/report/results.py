"""results.json, schema amplify/1: what a run found, in numbers."""

import json
import math
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.estimators.differential import holdout_for
from amplify.report.verdicts import verdict
from amplify.types import AveragingEstimate, DifferentialEstimate, Interval, Status

SCHEMA = "amplify/1"


def environment(command: str, seed: int, settings: dict[str, Any], inputs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The head of a results.json: how to make it again."""
    try:
        release = version("amplify-hep")
    except PackageNotFoundError:
        release = "not installed"
    return {"schema": SCHEMA, "command": command, "version": release, "seed": seed, "settings": settings, "inputs": inputs or [], "warnings": []}


def averaging_records(
    estimate: AveragingEstimate, labels: tuple[str, ...], *, members: int, n_train: int, n_gen: int | None, n_holdout: int | None = None, level: float = 0.68
) -> list[dict[str, Any]]:
    """One record per region. n_equiv is the quoted one: aware of the bias where the status is biased, from the spread of the members elsewhere."""
    e = _as_numpy(estimate)
    records = []
    for r, label in enumerate(labels):
        status = Status(int(e.status[r]))
        quoted = e.n_equiv_bias_aware if status is Status.BIASED else e.n_equiv
        record = {
            "method": "averaging", "region": label, "summary": None, "members": members, "n_train": n_train, "n_gen": n_gen, "n_holdout": n_holdout,
            "integral": float(e.integral[r]), "sigma_stat": float(e.sigma_stat[r]), "sigma_model": float(e.sigma_model.value[r]),
            "sigma_model_interval": _ends(e.sigma_model, r), "distance": None, "n_equiv": float(quoted.value[r]), "n_equiv_interval": _ends(quoted, r),
            "n_equiv_precision": float(e.n_equiv.value[r]), "n_equiv_at_n_gen": float(e.n_equiv_at_n_gen[r]), "pull": float(e.pull[r]),
            "bias": float(e.bias[r]), "level": level, "amplification": float(e.factor.value[r]), "amplification_interval": _ends(e.factor, r),
            "status": status.name.lower(),
        }  # fmt: skip
        record = finite(record)
        records.append(record | {"verdict": verdict(record)})
    return records


def differential_records(
    estimate: DifferentialEstimate, labels: tuple[str, ...], *, summary: str, n_train: float | np.ndarray, n_gen: int, n_holdout: int, level: float
) -> list[dict[str, Any]]:
    """One record per region; n_train, n_gen and n_holdout are numbers of the whole samples, `*_region` those inside."""
    e = _as_numpy(estimate)
    inside = np.broadcast_to(np.asarray(n_train, float), len(labels))
    records = []
    for r, label in enumerate(labels):
        value = float(e.n_equiv.value[r])
        known = value if np.isfinite(value) else float(e.n_equiv.low[r])
        record = finite({
            "method": "differential", "region": label, "summary": summary, "members": None, "n_train": float(inside.max()), "n_gen": n_gen,
            "n_holdout": n_holdout, "n_train_region": float(inside[r]), "n_gen_region": float(e.n_gen[r]), "n_holdout_region": float(e.n_holdout[r]),
            "integral": None, "sigma_stat": None, "sigma_model": None, "distance": float(e.distance.value[r]), "distance_interval": _ends(e.distance, r),
            "n_equiv": value, "n_equiv_interval": _ends(e.n_equiv, r), "n_equiv_at_n_gen": float(e.n_equiv_at_n_gen[r]),
            "n_holdout_for_30_percent": holdout_for(known) if known > 0 else None, "pull": None, "bias": None, "level": level,
            "amplification": float(e.factor.value[r]), "amplification_interval": _ends(e.factor, r), "status": Status(int(e.status[r])).name.lower(),
        })  # fmt: skip
        records.append(record | {"verdict": verdict(record)})
    return records


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
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(finite(results), indent=1, allow_nan=False) + "\n")
    os.replace(unfinished, path)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a results.json, or what - has on standard input.

    Raises:
        InputError: the file is missing, no JSON, or of another schema.
    """
    if str(path) != "-" and not path.is_file():
        raise InputError(str(path), "a results.json", "no such file", "check the path")
    try:
        results = json.loads(sys.stdin.read() if str(path) == "-" else path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(str(path), "a results.json", f"no JSON ({error.__class__.__name__})", "give the file that a run wrote") from None
    if not isinstance(results, dict) or results.get("schema") != SCHEMA or not isinstance(results.get("estimates"), list):
        raise InputError(str(path), f"schema {SCHEMA} with estimates", "something else", "give the file that a run wrote")
    return results


def _ends(interval: Interval, region: int) -> list[float]:
    return [float(interval.low[region]), float(interval.high[region])]


def _as_numpy(estimate: AveragingEstimate | DifferentialEstimate) -> Any:
    import jax

    return jax.tree.map(np.asarray, estimate)
