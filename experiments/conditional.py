"""Conditional generators with a known truth: do intervals hold at the same condition, and are right
conditionals left in peace where the condition itself is distributed otherwise?

Truth at a condition E is x = 5 E + E z, z ~ N(0, 1), beside an idle column. A generator shifts z,
by nothing or by a known amount, and has other numbers of events at each E: three values or a
continuous range. Run `python -m experiments.conditional --preset full`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import norm

import amplify
from amplify.estimators.kolmogorov import K1
from experiments import study

_VALUES = np.array([1.0, 2.0, 4.0])
_SHARES = np.array([0.5, 0.3, 0.2])
_FITTED = np.array([0.2, 0.2, 0.6])  # of the generator's events at each value
_BINS = 5  # of the observable at each condition, in averaging

Conditions = Literal["values", "range"]


@dataclass(frozen=True)
class Config:
    """Repetitions and sizes."""

    repetitions: int = 600
    learned: int = 200
    ensembles: int = 200
    n_holdout: int = 3000
    n_gen: int = 17_000
    n_train: int = 1500
    members: int = 8
    conditions: tuple[Conditions, ...] = ("values", "range")
    shifts: tuple[float, ...] = (0.0, 0.2)
    seed: int = 131


PRESETS = {
    "smoke": Config(1, 1, 1, n_holdout=1000, n_gen=5800, conditions=("values",), shifts=(0.2,)),
    "quick": Config(300, 60, 100),
    "full": Config(),
}


def main(preset: Literal["smoke", "quick", "full"] = "full", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json; quick takes four minutes, full eight.

    Args:
        preset: size of the study.
        out: default amplify-runs/conditional-PRESET.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"conditional-{preset}"
    study.claim(out, config)
    path = out / "results.json"
    command = f"python -m experiments.conditional --preset {preset}"
    found = {"differential": list(differential_rows(config)), "averaging": averaging_row(config)}
    study.record(path, command, config, found, [])
    print(path)
    return path


def differential_rows(config: Config) -> Iterator[dict[str, Any]]:
    """How often intervals at 68 % hold the true n_equiv, overall and at each condition, and how
    often a difference is claimed: of an observable, and of a learned ratio with limits at 95 %.
    """
    cases = product(config.conditions, config.shifts, ("observable", "learned"))
    for i, (conditions, shift, summary) in enumerate(cases):
        rng = np.random.default_rng([config.seed, i])
        repetitions = config.repetitions if summary == "observable" else config.learned
        each = [_tested(rng, config, conditions, shift, summary) for _ in range(repetitions)]
        row = {"conditions": conditions, "shift": shift, "summary": summary}
        row |= {"repetitions": repetitions, "n_equiv": _true_n_equiv(shift)}
        for name in each[0]:
            shares = np.array([one[name] for one in each])
            row |= {name: float(shares.mean())}
            row |= {f"{name}_error": float(shares.std() / np.sqrt(repetitions))}
        yield row


def averaging_row(config: Config) -> dict[str, Any]:
    """How often intervals at 68 % hold the true G of a fitted Gaussian at each value, how often a
    region is marked as biased, and the median of G over the truth.
    """
    rng = np.random.default_rng([config.seed, 1000])
    covered, marked, ratios = [], [], []
    for _ in range(config.ensembles):
        train = _events(rng, rng.choice(_VALUES, config.n_train, p=_SHARES), 0.0)
        holdout = _events(rng, rng.choice(_VALUES, 4 * config.n_train, p=_SHARES), 0.0)
        members = [_fitted(rng, train, 20 * config.n_train) for _ in range(config.members)]
        result = amplify.averaging(
            [x[:, [0, 2]] for x in members],
            n_train=config.n_train,
            holdout=holdout[:, [0, 2]],
            train=train[:, [0, 2]],
            condition="x1",
            bins=_BINS,
        )
        truth = np.tile(_true_factors(), len(_VALUES))
        low, high = (
            np.array([r["amplification_interval"][i] or end for r in result.records])
            for i, end in ((0, 0.0), (1, np.inf))
        )
        covered.append(float(((low < truth) & (truth < high)).mean()))
        marked.append(float(np.mean([r["status"] == "biased" for r in result.records])))
        value = np.array([r["amplification"] or np.nan for r in result.records], float)
        ratios.append(float(np.nanmedian(value / truth)))
    return {
        "ensembles": config.ensembles,
        "covered": float(np.mean(covered)),
        "covered_error": float(np.std(covered) / np.sqrt(len(covered))),
        "marked": float(np.mean(marked)),
        "median_ratio": float(np.median(ratios)),
    }


def _tested(
    rng: np.random.Generator, config: Config, conditions: Conditions, shift: float, summary: str
) -> dict[str, float]:
    """One holdout and one generated sample."""
    of_true, of_gen = _conditions(rng, conditions, config.n_holdout, config.n_gen)
    result = amplify.differential(
        _events(rng, of_gen, shift),
        _events(rng, of_true, 0.0),
        n_train=1000,
        condition="x2",
        condition_bins=None if conditions == "values" else 3,
        summary="column:x0" if summary == "observable" else "classifier",
        columns=["x0", "x1"],
    )
    truth = _true_n_equiv(shift)
    held, claimed = [], []
    for record in result.records:
        low, high = record["n_equiv_interval"]
        held.append((low or 0.0) <= truth and (high is None or truth <= high))
        claimed.append(high is not None)
    return {
        "held": float(held[0]),
        "held_in_regions": float(np.mean(held[1:])),
        "claimed": float(claimed[0]),
        "claimed_in_regions": float(np.mean(claimed[1:])),
    }


def _conditions(
    rng: np.random.Generator, conditions: Conditions, n_true: int, n_gen: int
) -> tuple[np.ndarray, np.ndarray]:
    """E of true and of generated events."""
    if conditions == "values":
        return (
            rng.choice(_VALUES, n_true, p=_SHARES),
            rng.choice(_VALUES, n_gen, p=_SHARES[::-1]),
        )
    return rng.uniform(1, 4, n_true), 1 + 3 * rng.beta(2, 1, n_gen)


def _events(rng: np.random.Generator, condition: np.ndarray, shift: float) -> np.ndarray:
    """x, an idle column, and the condition [event, 3]."""
    z, idle = rng.normal(size=(2, len(condition)))
    return np.column_stack([condition * (5 + z + shift), idle, condition])


def _fitted(rng: np.random.Generator, train: np.ndarray, n: int) -> np.ndarray:
    """Events of a Gaussian with the mean and width at each value that a bootstrap sample has."""
    rows = train[rng.integers(0, len(train), len(train))]
    condition = rng.choice(_VALUES, n, p=_FITTED)
    x = np.empty(n)
    for value in _VALUES:
        fitted, wanted = rows[rows[:, 2] == value, 0], condition == value
        x[wanted] = rng.normal(fitted.mean(), fitted.std(), int(wanted.sum()))
    return np.column_stack([x, np.zeros(n), condition])


def _true_n_equiv(shift: float) -> float:
    """(K1 / D)^2 of N(shift, 1) against N(0, 1)."""
    return float((K1 / (2 * norm.cdf(shift / 2) - 1)) ** 2) if shift else np.inf


def _true_factors() -> np.ndarray:
    """G of a fitted Gaussian in equiprobable bins, at leading order (docs/method, A case in closed
    form).
    """
    inner = norm.ppf(np.arange(1, _BINS) / _BINS)
    of_mean = np.diff([0.0, *norm.pdf(inner), 0.0])
    of_width = np.diff([0.0, *inner * norm.pdf(inner), 0.0])
    return (1 / _BINS) * (1 - 1 / _BINS) / (of_mean**2 + of_width**2 / 2)


if __name__ == "__main__":
    study.run(main)
