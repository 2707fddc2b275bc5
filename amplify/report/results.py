"""results.json, schema amplify/1: what a run found, in numbers and in one sentence per region a physicist understands."""

import json
import math
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.estimators.averaging import MIN_EVENTS
from amplify.types import AveragingEstimate, Interval, Status

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


def verdict(record: dict[str, Any]) -> str:
    """One sentence on one region."""
    n, g = record["n_equiv"], record["amplification"]
    low, high = record["n_equiv_interval"]
    where = f"In {record['region']}"
    level = f"{100 * record['level']:.0f} %"
    if record["status"] == "unresolved":
        rare = min(record["integral"], 1 - record["integral"])
        if rare * min(record["n_train"], record["n_gen"] or record["n_train"]) < MIN_EVENTS:
            return f"{where} too few events fall to say anything."
        return f"{where} the noise of the generated sample hides the differences between members: generate more events per member."
    if record["status"] == "biased":
        return (
            f"{where} the holdout is {abs(record['pull']):.1f} expected errors away from the members: a common bias. "
            f"With it, the generated sample is worth {number(n)} true events (G = {number(g)}), whatever the members agree on."
        )
    if record["status"] == "lower_limit":
        g_low = number(record["amplification_interval"][0])
        return f"{where} the generated sample is worth more than {number(low)} true events (G > {g_low}, {level} interval without upper end)."
    g_low, g_high = record["amplification_interval"]
    return (
        f"{where} the generated sample is worth {number(n)} true events ({number(low)} to {number(high)}, {level}): "
        f"G = {number(g)} ({number(g_low)} to {number(g_high)}){'' if g_low > 1 or g_high < 1 else ', not distinguishable from 1'}."
    )


def summary_verdict(records: list[dict[str, Any]]) -> str:
    """The sentence on top of the page."""
    counted = [r for r in records if r["amplification"] is not None and r["status"] in ("resolved", "lower_limit", "biased")]
    if not counted:
        return "No region is resolved: generate more events per member, or train more members."
    gains = [r for r in counted if r["status"] != "biased" and r["amplification_interval"][0] > 1]
    losses = [r for r in counted if r["amplification_interval"][1] is not None and r["amplification_interval"][1] < 1]
    median = float(np.median([r["amplification"] for r in counted]))
    n_train = counted[0]["n_train"]
    worth = f"{number(median * n_train)} true events (median G = {number(median)})"
    parts = [f"Trained on {number(n_train)} events, the generator describes a typical region like {worth}"]
    parts.append(f"it amplifies (G > 1 within its interval) in {len(gains)} of {len(records)} regions")
    if losses:
        parts.append(f"it is worth less than its training data in {len(losses)}")
    biased = sum(r["status"] == "biased" for r in records)
    if biased:
        parts.append(f"{biased} {'is' if biased == 1 else 'are'} biased")
    unresolved = sum(r["status"] == "unresolved" for r in records)
    if unresolved:
        parts.append(f"{unresolved} {'is' if unresolved == 1 else 'are'} unresolved")
    return "; ".join(parts) + "."


def number(value: float | int | None) -> str:
    """Two or three digits that matter."""
    if value is None or not math.isfinite(value):
        return "infinity"
    if value != 0 and abs(value) < 1e-3:
        return f"{value:.1e}"
    if abs(value) >= 100:
        digits = 2 - math.floor(math.log10(abs(value)))
        return f"{round(value, digits):,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.3g}" if abs(value) >= 10 else f"{value:.2g}"


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
    """Reads a results.json.

    Raises:
        InputError: the file is missing, no JSON, or of another schema.
    """
    if not path.is_file():
        raise InputError(str(path), "a results.json", "no such file", "check the path")
    try:
        results = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(str(path), "a results.json", f"no JSON ({error.__class__.__name__})", "give the file that a run wrote") from None
    if not isinstance(results, dict) or results.get("schema") != SCHEMA or not isinstance(results.get("estimates"), list):
        raise InputError(str(path), f"schema {SCHEMA} with estimates", "something else", "give the file that a run wrote")
    return results


def _ends(interval: Interval, region: int) -> list[float]:
    return [float(interval.low[region]), float(interval.high[region])]


def _as_numpy(estimate: AveragingEstimate) -> Any:
    import jax

    return jax.tree.map(np.asarray, estimate)
