"""Are the words true? How often a limit that is shown holds, how often a bias is marked, what
chance alone would call amplification, and whether N of "use up to N events" is right.

Generators whose sigma_model is known, thousands of repetitions. Run `python -m experiments.audit
--preset full`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from scipy.special import ndtr, ndtri

from amplify.analysis.averaging_estimate import pooled_worth
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.differential import differential_amplification
from amplify.estimators.kolmogorov import K1
from amplify.results.result import Answer
from amplify.results.verdicts import enough_events
from amplify.types import AveragingEstimate, Holdout, Status
from experiments import study

N_TRAIN = 2000
BINS = 10  # equiprobable, of each column
_SHIFT = 0.05  # N(SHIFT, 1) against N(0, 1), whose exact ratio is known

Row = dict[str, Any]


@dataclass(frozen=True)
class Config:
    """Repetitions, and where it is looked; n_gen in units of n_train, None for no noise."""

    differential: int = 4000
    ratios: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0)  # n_holdout / n_equiv
    averaging: int = 4000
    members: tuple[int, ...] = (4, 8, 16)
    n_gen: tuple[float | None, ...] = (1, 2, 5, 10, 20, 100, None)
    holdouts: tuple[float, ...] = (1, 10, 100)  # n_holdout / n_train
    biases: tuple[float, ...] = (0.0, 2.0, 4.0, 10.0)  # in units of sigma_model
    advice: int = 400
    columns: tuple[int, ...] = (1, 6)
    seed: int = 12


PRESETS = {
    "smoke": Config(
        differential=20,
        ratios=(1.0,),
        averaging=40,
        members=(8,),
        n_gen=(5,),
        holdouts=(10,),
        biases=(0.0, 10.0),
        advice=4,
    ),
    "quick": Config(differential=400, averaging=1000, advice=60),
    "full": Config(),
}


def main(preset: Literal["smoke", "quick", "full"] = "quick", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json; full takes about five minutes.

    Args:
        preset: size of the study.
        out: default amplify-runs/audit-PRESET; finished parts found there are used again.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"audit-{preset}"
    study.claim(out, config)
    parts = (
        differential_limits,
        averaging_limits,
        bias_marks,
        point_estimates,
        chance_amplification,
        advice,
    )
    result = {part.__name__: study.rows(out, part, config) for part in parts}
    path = out / "results.json"
    study.record(path, f"python -m experiments.audit --preset {preset}", config, result, [])
    print(path)
    return path


def differential_limits(config: Config) -> Iterator[Row]:
    """Of the verdicts "worth more than X" from the exact ratio, and from the observable x."""
    smooth = 2 * ndtr(_SHIFT / 2) - 1  # of the ratio and of x: both are monotone in x
    n_equiv = (K1 / smooth) ** 2
    for ratio, method in product(config.ratios, ("threshold", "ks")):
        rng = np.random.default_rng([config.seed, round(1000 * ratio)])
        n_holdout, limits, covered = round(ratio * n_equiv), [], 0
        for _ in range(config.differential):
            t_gen, t_holdout = (
                _SHIFT * rng.normal(mean, 1, n) - _SHIFT**2 / 2
                for mean, n in ((_SHIFT, 20 * n_holdout), (0.0, n_holdout))
            )
            e = differential_amplification(t_gen, t_holdout, n_train=1, method=method)
            low, high = float(e.n_equiv.low[0]), float(e.n_equiv.high[0])
            covered += low <= n_equiv <= high
            if e.status[0] == Status.LOWER_LIMIT:
                limits.append(low / n_equiv)
        yield (
            {"ratio": ratio, "method": method}
            | _shares(
                limits_shown=(len(limits), config.differential),
                limits_true=(sum(limit < 1 for limit in limits), len(limits)),
                covered=(covered, config.differential),
            )
            | {"limit_over_truth": float(np.median(limits)) if limits else np.nan}
        )


def averaging_limits(config: Config) -> Iterator[Row]:
    """Of the verdicts "worth more than X", and of all intervals: a fitted Gaussian, ten bins."""
    for members, n_gen in product(config.members, config.n_gen):
        model = fitted_gaussian()
        e = _estimated(config, model, members, n_gen)
        truth = model.n_equiv[None]
        shown = e.status == Status.LOWER_LIMIT
        right = np.broadcast_to(e.n_equiv.low < truth, shown.shape)
        inside = right & (truth < e.n_equiv.high)
        resolved = e.status == Status.RESOLVED
        yield {"members": members, "n_gen": _size(n_gen)} | _shares(
            limits_shown=(shown.sum(), shown.size),
            limits_true=(right[shown].sum(), shown.sum()),
            covered_where_resolved=(inside[resolved].sum(), resolved.sum()),
            covered=(inside.sum(), inside.size),
        )


def bias_marks(config: Config) -> Iterator[Row]:
    """How often a region is marked as biased, without and with a bias, G = 2."""
    sizes = product(config.members, config.n_gen, config.holdouts, config.biases)
    for members, n_gen, holdout, bias in sizes:
        if n_gen is not None and n_gen > 10:
            continue
        model = counting(2.0)
        e = _estimated(config, model, members, n_gen, holdout=holdout, bias=bias)
        marked = e.status == Status.BIASED
        yield {
            "members": members,
            "n_gen": _size(n_gen),
            "n_holdout": holdout,
            "bias": bias,
        } | _shares(marked=(marked.sum(), marked.size))


def point_estimates(config: Config) -> Iterator[Row]:
    """Median of estimated over true n_equiv, limits as infinite: in each bin, and pooled."""
    for members, n_gen in product(config.members, config.n_gen):
        model = fitted_gaussian()
        e = _estimated(config, model, members, n_gen)
        value = np.where(np.isnan(e.n_equiv.value), np.inf, e.n_equiv.value)
        row = {"members": members, "n_gen": _size(n_gen)}
        yield row | {"median_ratio": float(np.median(value / model.n_equiv[None]))}


def chance_amplification(config: Config) -> Iterator[Row]:
    """How often "it amplifies" is said of a generator that resamples its training events, G = 1."""
    for members, n_gen in product(config.members, config.n_gen):
        e = _estimated(config, counting(1.0), members, n_gen)
        gains, losses = e.bounds.low > 1, e.bounds.high < 1
        yield {"members": members, "n_gen": _size(n_gen)} | _shares(
            amplifies=(gains.sum(), gains.size), loses=(losses.sum(), losses.size)
        )


def advice(config: Config) -> Iterator[Row]:
    """N of "use up to N generated events", over the true one."""
    for columns, members, n_gen in product(config.columns, config.members, config.n_gen):
        model = fitted_gaussian(columns)
        rng = np.random.default_rng([config.seed, 5, columns, members, _key(n_gen)])
        truth = 10 * model.pooled
        ratios = np.array(
            [_advised(rng, model, members, n_gen) / truth for _ in range(config.advice)]
        )
        said = ratios[np.isfinite(ratios)]
        within = (said > 0.5) & (said < 2)
        row = {"regions": columns * BINS, "members": members, "n_gen": _size(n_gen)}
        yield (
            row
            | _shares(said=(len(said), len(ratios)), within_two=(within.sum(), len(said)))
            | {"median_ratio": float(np.median(said)) if len(said) else np.nan}
        )


def _advised(rng: np.random.Generator, model: "Model", members: int, n_gen: float | None) -> float:
    """N as the report says it; nan where it says none."""
    integral = model.members(rng, members, 1)[0]
    events = None if n_gen is None else round(n_gen * N_TRAIN)
    if events is not None:
        integral = rng.binomial(events, integral) / events
    estimate = averaging_amplification(integral, n_train=N_TRAIN, n_gen=events)
    labels = tuple(map(str, range(integral.shape[1])))
    answer = Answer(
        estimate, labels, n_train=N_TRAIN, n_gen=events, n_holdout=None, members=members
    )
    enough = enough_events(answer.records(), pooled_worth(answer, integral, events))
    return np.nan if enough is None else enough


class Model(NamedTuple):
    """A generator, and its members on bootstraps of one training set, of known worth.

    Attributes:
        integral: true fractions [region].
        n_equiv: of each region.
        pooled: of all together.
        members: (rng, members, trials) -> fractions [trial, member, region].
    """

    integral: np.ndarray
    n_equiv: np.ndarray
    pooled: float
    members: Any


def counting(factor: float) -> Model:
    """A generator worth `factor` times its training data in every region: it resamples that many
    true events.
    """
    p, n = np.full(BINS, 1 / BINS), round(factor * N_TRAIN)

    def members(rng: np.random.Generator, count: int, trials: int) -> np.ndarray:
        trained = rng.multinomial(n, p, trials) / n
        return rng.multinomial(n, trained[:, None], (trials, count)) / n

    return Model(p, np.full(BINS, float(n)), float(n), members)


def fitted_gaussian(columns: int = 1) -> Model:
    """Mean and width of independent columns, fitted; ten bins of each (docs/method, Reference
    numbers).
    """
    edges = ndtri(np.linspace(0, 1, BINS + 1))
    inner = edges[1:-1]
    density = np.exp(-(inner**2) / 2) / np.sqrt(2 * np.pi)
    by_mean = np.diff(np.concatenate([[0.0], density, [0.0]]))
    by_width = np.diff(np.concatenate([[0.0], inner * density, [0.0]]))
    variance = (by_mean**2 + by_width**2 / 2) / N_TRAIN
    integral = np.full(columns * BINS, 1 / BINS)
    n_equiv = np.tile((1 - 1 / BINS) / BINS / variance, columns)
    pooled = BINS * (1 - 1 / BINS) / BINS / variance.sum()

    def members(rng: np.random.Generator, count: int, trials: int) -> np.ndarray:
        shape = (trials, count, columns)
        mean, width = _bootstrapped(rng, shape)
        scaled = (edges - mean[..., None]) / width[..., None]
        return np.diff(ndtr(scaled), axis=-1).reshape(trials, count, columns * BINS)

    return Model(integral, n_equiv, float(pooled), members)


def _bootstrapped(
    rng: np.random.Generator, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Fitted means and widths: of the training set, which members share, and of bootstraps."""
    trials, _, columns = shape
    common = (trials, 1, columns)
    mean = rng.normal(size=common) / np.sqrt(N_TRAIN)
    width = 1 + rng.normal(size=common) / np.sqrt(2 * N_TRAIN)
    mean = mean + width * rng.normal(size=shape) / np.sqrt(N_TRAIN)
    return mean, width * (1 + rng.normal(size=shape) / np.sqrt(2 * N_TRAIN))


def _estimated(
    config: Config,
    model: Model,
    members: int,
    n_gen: float | None,
    *,
    holdout: float | None = None,
    bias: float = 0.0,
) -> AveragingEstimate:
    """Estimates [trial, region] of all trials at once: to the estimator they are regions."""
    keys = [config.seed, 3, members, _key(n_gen), round(10 * (holdout or 0)), round(10 * bias)]
    rng, trials = np.random.default_rng(keys), config.averaging
    regions = len(model.integral)
    integral = model.members(rng, members, trials)
    events = None if n_gen is None else round(n_gen * N_TRAIN)
    sigma = np.sqrt(model.integral * (1 - model.integral) / model.n_equiv)
    integral = np.clip(integral + bias * sigma, 0, 1)
    if events is not None:
        integral = rng.binomial(events, integral) / events
    true = None
    if holdout is not None:
        n = round(holdout * N_TRAIN)
        counts = rng.binomial(n, np.broadcast_to(model.integral, (trials, regions)))
        true = Holdout(counts.ravel() / n, n)
    flat = integral.transpose(1, 0, 2).reshape(members, trials * regions)
    e = averaging_amplification(flat, n_train=N_TRAIN, n_gen=events, holdout=true)
    return jax.tree.map(partial(np.reshape, shape=(trials, regions)), e)


def _shares(**counts: tuple[Any, int]) -> Row:
    """Each share with its binomial error; nan of nothing."""
    row: Row = {}
    for name, (some, every) in counts.items():
        share = some / every if every else np.nan
        row[name] = float(share)
        row[f"{name}_error"] = float(np.sqrt(share * (1 - share) / every)) if every else np.nan
    return row


def _size(n_gen: float | None) -> float:
    return np.inf if n_gen is None else float(n_gen)


def _key(n_gen: float | None) -> int:
    return 0 if n_gen is None else round(n_gen)


if __name__ == "__main__":
    study.run(main)
