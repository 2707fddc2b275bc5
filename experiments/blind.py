"""Problems that served for no choice in the package: do limits, intervals and marks hold there?

Learned ratios: a correlation of two angles on a torus, and three dependent columns of which one
has too long a tail. Averaging: lifetimes fitted by a Weibull distribution, and a smoothed histogram
on a circle. Each with and without weights, those of events from another density or signed as those
of calculations beyond leading order. Truth is known in closed form, or from thousands of trainings.
Run `python -m experiments.blind --preset full`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.special import ndtr

from amplify.analysis.averaging import averaging
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.kolmogorov import K1
from amplify.estimators.learned import learned_amplification
from amplify.regions import bins, column
from amplify.summaries.default import learned_ratio
from amplify.types import Events, Holdout, Samples, Status
from experiments import study
from experiments.blind_families import FAMILIES, N_TRAIN, Family, members_of, sigma_model
from experiments.blind_pairs import PAIRS, PAIRS_WEIGHTED, Pair

LIMIT_LEVEL = 0.9  # of the claim n_equiv < X, one-sided
HOLDOUT = 10  # of averaging, in units of n_train
Bias = Literal["none", "sigma_model", "expected_error"]
BIASES: tuple[Bias, ...] = ("none", "sigma_model", "expected_error")
BIASED_BY = 4  # of either of them
Row = dict[str, Any]


@dataclass(frozen=True)
class Config:
    """Repetitions, and where it is looked."""

    learned: int = 150
    equal: int = 200  # where there is no difference
    ratios: tuple[float, ...] = (2.0, 8.0)  # n_holdout / n_equiv
    learned_weighted: int = 100
    ratios_weighted: tuple[float, ...] = (8.0,)
    averaging: int = 2000
    trainings: int = 20_000  # for the true sigma_model
    members: tuple[int, ...] = (8, 16)
    n_gen: tuple[int, ...] = (2, 5, 20, 100)  # in units of n_train
    averaging_weighted: int = 100
    n_gen_weighted: tuple[int, ...] = (20,)
    seed: int = 2718


PRESETS = {
    "smoke": Config(
        learned=1,
        equal=1,
        ratios=(2.0,),
        learned_weighted=1,
        ratios_weighted=(2.0,),
        averaging=20,
        trainings=500,
        members=(8,),
        n_gen=(20,),
        averaging_weighted=1,
        n_gen_weighted=(2,),
    ),
    "full": Config(),
}


def main(preset: Literal["smoke", "full"] = "full", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json; full takes about seven minutes of one core.

    Args:
        preset: size of the study.
        out: default amplify-runs/blind-PRESET; finished parts found there are used again.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"blind-{preset}"
    study.claim(out, config)
    parts = (bootstrap, learned, learned_weighted, bootstrap_weighted)
    result = {part.__name__: study.rows(out, part, config) for part in parts}
    path = out / "results.json"
    study.record(path, f"python -m experiments.blind --preset {preset}", config, result, [])
    print(path)
    return path


def learned(config: Config) -> Iterator[Row]:
    """How often "n_equiv < X" is claimed, and true; and claimed where there is no difference."""
    yield from _claims(config, PAIRS, config.ratios, config.learned, config.equal)


def learned_weighted(config: Config) -> Iterator[Row]:
    """The same where both samples have weights."""
    repetitions = config.learned_weighted
    yield from _claims(config, PAIRS_WEIGHTED, config.ratios_weighted, repetitions, repetitions)


def _claims(
    config: Config,
    pairs: dict[str, Pair],
    ratios: tuple[float, ...],
    repetitions: int,
    equal: int,
) -> Iterator[Row]:
    for (place, (name, pair)), same in product(enumerate(pairs.items()), (False, True)):
        n_equiv = (K1 / pair.distance) ** 2
        for ratio in ratios[-1:] if same else ratios:
            n_holdout = round(ratio * n_equiv)
            n_gen, limits = max(40_000, 20 * n_holdout), []
            for trial in range(equal if same else repetitions):
                keys = [config.seed, len(name), place, round(10 * ratio), same, trial]
                rng = np.random.default_rng(keys)
                generated = (pair.true if same else pair.generate)(rng, n_gen)
                limits.append(claimed(generated, pair.true(rng, n_holdout), trial))
            x = np.array(limits)
            said = np.isfinite(x)
            right = x > (np.inf if same else n_equiv)
            yield {
                "problem": name,
                "same": same,
                "n_equiv": np.inf if same else n_equiv,
                "n_holdout": n_holdout,
                "n_gen": n_gen,
                "median_limit": float(np.median(x)),
            } | _shares(
                claimed=(said, np.ones_like(said)),
                true=(right | ~said, np.ones_like(said)),
                true_where_claimed=(right & said, said),
            )


def claimed(generated: Events, holdout: Events, seed: int) -> float:
    """X of "n_equiv < X"; infinite where it is not claimed."""
    estimate, _ = learned_amplification(
        learned_ratio(), generated, holdout, n_train=1, seed=seed, limit_level=LIMIT_LEVEL
    )
    said = estimate.status[0] == Status.UPPER_LIMIT
    return float(estimate.n_equiv.high[0]) if said else np.inf


class Seen(NamedTuple):
    """What a report says of each region [trial, region]: nan of what it leaves out."""

    status: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def bootstrap(config: Config) -> Iterator[Row]:
    """Intervals, limits, medians and marks of both families, from counted events."""
    for (name, family), members in product(FAMILIES.items(), config.members):
        sigma = sigma_model(family, config.trainings, config.seed)
        rng = np.random.default_rng([config.seed, 2, len(name), members])
        trained = np.array([members_of(rng, family, members) for _ in range(config.averaging)])
        integral = family.fractions(trained)
        for n_gen in config.n_gen:
            biases = {kind: _bias(family, sigma, members, n_gen, kind) for kind in BIASES}
            seen: dict[str, Seen] = {
                kind: _counted(rng, family, integral, n_gen, bias) for kind, bias in biases.items()
            }
            row: Row = {"family": name, "members": members, "n_gen": n_gen}
            as_named: dict[str, np.ndarray] = dict.fromkeys(BIASES, np.ones(len(sigma), bool))
            expected = _expected(family, sigma, members, n_gen)
            yield row | _summarised(family, sigma, n_gen, seen, as_named, expected)


def _bias(
    family: Family,
    sigma: np.ndarray,
    members: int,
    n_gen: int,
    kind: Bias,
    noise: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Common bias of all members [region], up and down in turn.

    Args:
        family: the generator.
        sigma: its sigma_model.
        members: how many.
        n_gen: of each, in units of n_train.
        kind: what four of are taken.
        noise: variance of a fraction of events, over that without weights.
    """
    if kind == "none":
        return np.zeros_like(sigma)
    size = sigma if kind == "sigma_model" else _expected(family, sigma, members, n_gen, noise)
    return BIASED_BY * size * (-1.0) ** np.arange(len(sigma))


def _expected(
    family: Family, sigma: np.ndarray, members: int, n_gen: int, noise: np.ndarray | float = 1.0
) -> np.ndarray:
    """Standard deviation of holdout less mean of the members, without bias [region]."""
    one_event = noise * family.integral * (1 - family.integral) / N_TRAIN
    variance = sigma**2 * (1 + 1 / members) + one_event * (1 / n_gen / members + 1 / HOLDOUT)
    return np.sqrt(variance)


def _counted(
    rng: np.random.Generator, family: Family, integral: np.ndarray, n_gen: int, bias: np.ndarray
) -> Seen:
    """All trials at once: to the estimator they are regions."""
    trials, members, regions = integral.shape
    events, n_holdout = n_gen * N_TRAIN, HOLDOUT * N_TRAIN
    found = rng.binomial(events, np.clip(integral + bias, 0, 1)) / events
    true = rng.binomial(n_holdout, family.integral, (trials, regions)).ravel() / n_holdout
    e = averaging_amplification(
        found.transpose(1, 0, 2).reshape(members, -1),
        n_train=N_TRAIN,
        n_gen=events,
        holdout=Holdout(true, n_holdout),
    )
    columns = (e.status, e.n_equiv.value, e.n_equiv.low, e.n_equiv.high)
    return Seen(*(np.asarray(values).reshape(trials, regions) for values in columns))


def bootstrap_weighted(config: Config) -> Iterator[Row]:
    """The same from weighted events of members and of the holdout, as files would have them."""
    sizes = product(FAMILIES.items(), config.members, config.n_gen_weighted)
    for (name, family), members, n_gen in sizes:
        sigma = sigma_model(family, config.trainings, config.seed)
        rng = np.random.default_rng([config.seed, 3, len(name), members, n_gen])
        noise = _noise(rng, family)
        seen: dict[str, Seen] = {}
        as_named: dict[str, np.ndarray] = {}
        for kind in BIASES:
            bias = _bias(family, sigma, members, n_gen, kind, noise)
            up, down = bias.clip(0).sum(), (-bias).clip(0).sum()
            # fractions still sum to one: the smaller of both sums is made larger
            grown = np.where(bias > 0, max(down / up, 1), max(up / down, 1)) if up else 1.0
            as_named[kind] = np.broadcast_to(grown < 1.05, len(sigma))
            trials = [
                _weighted(rng, family, members, n_gen, grown * bias)
                for _ in range(config.averaging_weighted)
            ]
            seen[kind] = Seen(*(np.array(values) for values in zip(*trials, strict=True)))
        row: Row = {"family": name, "members": members, "n_gen": n_gen, "noise": noise.mean()}
        expected = _expected(family, sigma, members, n_gen, noise)
        yield row | _summarised(family, sigma, n_gen, seen, as_named, expected, noise)


def _noise(rng: np.random.Generator, family: Family, events: int = 400_000) -> np.ndarray:
    """Variance of weighted fractions over that of as many events without weights [region]."""
    x, weight = family.weighted(rng, family.true, events)
    region = np.searchsorted(family.edges, x, side="right") - 1
    integral, square = family.integral, weight**2
    inside = np.bincount(region, square, len(integral))
    total = (1 - 2 * integral) * inside + integral**2 * square.sum()
    return events * total / weight.sum() ** 2 / (integral * (1 - integral))


def _weighted(
    rng: np.random.Generator, family: Family, members: int, n_gen: int, bias: np.ndarray
) -> tuple[np.ndarray, ...]:
    """One ensemble through `averaging`; a bias moves fractions of members, and not their spread."""
    samples = []
    for parameters in members_of(rng, family, members):
        x, weight = family.weighted(rng, parameters, n_gen * N_TRAIN)
        # a fraction stays positive, as that of a generator would: concerns the last of lifetimes
        factor = np.maximum(1 + bias / family.fractions(parameters), 0.05)
        samples.append((x, weight * factor[np.searchsorted(family.edges, x, side="right") - 1]))
    x, weight = (np.array(values) for values in zip(*samples, strict=True))
    true, true_weight = family.weighted(rng, family.true, HOLDOUT * N_TRAIN)
    result = averaging(
        Samples(x[..., None], weight),
        bins(column(0), family.edges, "x"),
        n_train=N_TRAIN,
        holdout=Events(true[:, None], true_weight),
    )
    status = [Status[record["status"].upper()] for record in result.records]
    value = [record["n_equiv"] for record in result.records]
    ends = np.array([record["n_equiv_interval"] for record in result.records], float)
    return np.array(status), np.array(value, float), ends[:, 0], ends[:, 1]


def _summarised(
    family: Family,
    sigma: np.ndarray,
    n_gen: int,
    seen: dict[str, Seen],
    as_named: dict[str, np.ndarray],
    expected: np.ndarray,
    noise: np.ndarray | float = 1.0,
) -> Row:
    """What held of what was said; marks of regions whose bias is the one named, to 5 %."""
    truth = family.integral * (1 - family.integral) / sigma**2
    e = seen["none"]
    resolved, limit = e.status == Status.RESOLVED, e.status == Status.LOWER_LIMIT
    above, below = e.low < truth, ~(e.high < truth)  # a limit has no upper end
    every = np.ones_like(resolved)
    quiet = every & (noise * truth < 0.1 * n_gen * N_TRAIN)  # noise is .1 of sigma_model^2
    value = np.where(np.isnan(e.value), np.inf, e.value) / truth
    marked = {kind: s.status == Status.BIASED for kind, s in seen.items()}
    pull = BIASED_BY * sigma / expected
    known = np.mean((ndtr(pull - 3) + ndtr(-pull - 3))[as_named["sigma_model"]])
    return {
        "marked_at_4_sigma_model_if_errors_were_known": float(known),
        "median_ratio": float(np.median(value)),
        "median_ratio_quiet": float(np.median(value[quiet])) if quiet.any() else np.nan,
    } | _shares(
        resolved=(resolved, every),
        covered_where_resolved=(above & below, resolved),
        covered_where_resolved_quiet=(above & below, resolved & quiet),
        covered=(above & below, every),
        limits_shown=(limit, every),
        limits_true=(above, limit),
        false_marks=(marked["none"], every),
        **{
            f"marked_at_4_{kind}": (marked[kind], every & as_named[kind])
            for kind in BIASES
            if kind != "none"
        },
    )


def _shares(**counts: tuple[np.ndarray, np.ndarray]) -> Row:
    """How many of the second [trial] or [trial, region] are in the first, with errors; those of
    regions are binomial between trials, as the regions of one move together; nan of nothing.
    """
    row: Row = {}
    for name, (some, every) in counts.items():
        among = every.reshape(len(every), -1).sum(axis=1)
        inside = (some & every).reshape(len(every), -1).sum(axis=1)
        n = among.sum()
        share = inside.sum() / n if n else np.nan
        row[name] = float(share)
        row[f"{name}_error"] = (
            float(np.sqrt(((inside - share * among) ** 2).sum()) / n) if n else np.nan
        )
    return row


if __name__ == "__main__":
    study.run(main)
