"""Does the interval of differential amplification contain the truth as often as it says? And what
does a learned ratio see?

Known densities (`experiments.toys`), thousands of repetitions: coverage of two-sided intervals with
the exact ratio, coverage of the claim n_equiv < X with a learned one, the rate of that claim where
there is no difference, and the efficiency D_learned / D_inf. Run `python -m experiments.coverage
--preset full`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from amplify.estimators import differential as df
from amplify.estimators.kolmogorov import K1
from amplify.estimators.learned import cross_fit, learned_amplification
from amplify.summaries.default import learned_ratio
from amplify.summaries.least_squares import least_squares_ratio
from amplify.summaries.mlp import mlp_ratio
from amplify.summaries.polynomial import polynomials
from amplify.summaries.trees import boosted_trees
from amplify.truth import gaussian
from amplify.types import Events
from experiments import cells, study, toys

LEARNERS = {
    "default": learned_ratio,
    "polynomials": lambda log_prob: least_squares_ratio((polynomials(),), log_prob),
    "mlp": mlp_ratio,
    "trees": boosted_trees,
}
LIMIT_LEVEL = 0.9  # of the claim n_equiv < X, one-sided
_MOST_GEN = 1_000_000  # generated events that teach; the default learner looks at no more
SHIFT = 0.05  # N(SHIFT, 1) against N(0, 1): n_equiv = 1898


@dataclass(frozen=True)
class Config:
    """Repetitions of each part. Settings of learners were chosen with other seeds (500 and up)."""

    ratios: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # n_holdout / n_equiv, exact ratio
    exact: int = 3000
    learned_ratios: tuple[float, ...] = (1.0, 3.0, 10.0)
    learned: int = 300
    cross_fit: int = 200
    null_experiments: int = 200
    null: int = 1000
    null_holdout: int = 1200
    holdouts: tuple[int, ...] = (400, 1200, 4000, 12000)  # of the efficiency, half of it teaches
    efficiency: int = 24
    slow: int = 4  # repetitions of the efficiency of MLP and trees
    # of narrow resonances: n_holdout / n_equiv, and repetitions of the efficiency of one with 10 %
    # of the events and of one with 2 % (n_holdout = 5e5), and of the claims of both
    narrow_ratio: float = 10.0
    narrow: tuple[int, int] = (24, 8)
    narrow_claims: tuple[int, int] = (200, 30)
    seed: int = 1


PRESETS = {
    "smoke": Config(
        ratios=(1.0,),
        exact=20,
        learned_ratios=(1.0,),
        learned=3,
        cross_fit=2,
        null_experiments=3,
        null=3,
        holdouts=(400,),
        efficiency=2,
        slow=0,
        narrow_ratio=0.1,
        narrow=(2, 0),
        narrow_claims=(0, 0),
    ),
    "quick": Config(
        exact=1000,
        learned=100,
        cross_fit=20,
        null_experiments=60,
        null=400,
        efficiency=24,
        slow=0,
        narrow=(24, 2),
        narrow_claims=(200, 60),
    ),
    "full": Config(),
    "paper": Config(
        exact=20_000,
        learned=2000,
        cross_fit=1000,
        null_experiments=500,
        null=10_000,
        efficiency=400,
        slow=40,
        narrow=(200, 40),
        narrow_claims=(1000, 200),
    ),
}


def main(
    preset: Literal["smoke", "quick", "full", "paper"] = "quick", out: Path | None = None
) -> Path:
    """Runs the study and writes OUT/results.json; full takes about an hour on 2 cores.

    Args:
        preset: size of the study.
        out: default amplify-runs/coverage-PRESET; finished parts found there are used again.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"coverage-{preset}"
    study.claim(out, config)
    distances = {name: toy.distance() for name, toy in toys.TOYS.items() if name != "same"}
    truth = {name: {"distance": d, "n_equiv": toys.n_equiv(d)} for name, d in distances.items()}
    with cells.on_all_cores():
        repeat = partial(_repeated, out / "parts")
        learned, crossed = _limits_of_toys(config, repeat, truth)
        result = {
            "exact": _intervals(config, repeat),
            "learned": learned + _limits_from_files(config, repeat, truth),
            "cross_fit": crossed,
            "null": _claims_of_nothing(config, repeat),
            "efficiency": _efficiencies(config, repeat, distances),
            "narrow": _narrow_efficiencies(config, repeat),
            "truth": truth,
        }
    path = out / "results.json"
    study.record(path, f"python -m experiments.coverage --preset {preset}", config, result, [])
    print(path)
    return path


def _repeated(
    parts: Path, name: str, experiment: Callable[[int], Any], repetitions: int
) -> np.ndarray:
    """Results [repetition, ...] of `experiment(seed)`, from a finished part or computed now."""
    at_once = max(1, min(25, repetitions // 8))

    def compute() -> dict[str, np.ndarray]:
        return {"rows": np.asarray(cells.repetitions(experiment, repetitions, name, at_once))}

    return study.cached(parts / f"{name}.npz", compute)["rows"]


Repeat = Callable[[str, Callable[[int], Any], int], np.ndarray]
Rows = list[dict[str, Any]]


def _intervals(config: Config, repeat: Repeat) -> Rows:
    """Coverage of two-sided intervals with the exact ratio."""
    table: Rows = []
    for ratio in config.ratios:
        rows = repeat(f"exact-{ratio:g}", partial(_exact, config.seed, ratio), config.exact)
        table += _coverage_of_intervals(ratio, rows)
    return table


def _limits_of_toys(
    config: Config, repeat: Repeat, truth: dict[str, dict[str, float]]
) -> tuple[Rows, Rows]:
    """Coverage of the claim n_equiv < X: of one split, and of cross-fits."""
    learned: Rows = []
    crossed: Rows = []
    seed, null_seed = config.seed, config.seed + 100
    for toy in ("ring", "shell", "blob", "missing"):
        n_equiv = truth[toy]["n_equiv"]
        for ratio in config.learned_ratios:
            holdout = int(ratio * n_equiv)
            for learner in ("default", "polynomials"):
                experiment = partial(_learned, seed, toy, learner, holdout)
                rows = repeat(f"learned-{toy}-{ratio:g}-{learner}", experiment, config.learned)
                learned.append(_claims(toy, learner, ratio, holdout, rows, n_equiv))
            if toy == "missing":
                continue
            experiment = partial(_cross, null_seed, toy, holdout, True)
            null = repeat(f"crossnull-{toy}-{ratio:g}", experiment, config.null_experiments)
            experiment = partial(_cross, seed, toy, holdout, False)
            rows = repeat(f"cross-{toy}-{ratio:g}", experiment, config.cross_fit)
            limits = _calibrated(rows, null)
            crossed.append(_claims(toy, "polynomials", ratio, holdout, limits, n_equiv))
    return learned, crossed


def _limits_from_files(config: Config, repeat: Repeat, truth: dict[str, dict[str, float]]) -> Rows:
    """Coverage of the claim n_equiv < X where learners are not told the generator's density: above
    all where one peak has moved, alone and beside idle columns.
    """
    table: Rows = []
    peaks = ("peak10-0.05", "peak10-0.05-idle", "peak2-0.05", "peak2-0.05-idle")
    for toy in ("checkerboard", "shift20", *peaks):
        ratio, n_equiv = config.narrow_ratio, truth[toy]["n_equiv"]
        repetitions = config.narrow_claims[toy.startswith("peak2-")]
        if not repetitions:
            continue
        holdout = int(ratio * n_equiv)
        # a holdout of half a million is not generated thirty times
        experiment = partial(_learned, config.seed, toy, "default", holdout, gen_per_true=5)
        rows = repeat(f"learned-{toy}-{ratio:g}-default", experiment, repetitions)
        table.append(_claims(toy, "default", ratio, holdout, rows, n_equiv))
    return table


def _claims_of_nothing(config: Config, repeat: Repeat) -> Rows:
    """How often n_equiv < X is claimed where there is no difference."""
    table: Rows = []
    seed, n = config.seed, config.null_holdout
    for learner in ("default", "polynomials"):
        experiment = partial(_learned, seed, "same", learner, n)
        rows = repeat(f"null-{learner}", experiment, config.null)
        table.append(_rate(f"{learner}, split", rows))
    experiment = partial(_cross, seed + 100, "same", n, True)
    null = repeat("crossnull-same", experiment, config.null_experiments)
    rows = repeat("cross-same", partial(_cross, seed, "same", n, False), config.null)
    table.append(_rate("polynomials, cross-fit, calibrated", _calibrated(rows, null)))
    distance, error = rows.T
    naive = (K1 / np.maximum(distance - 1.2816 * error, 1e-9)) ** 2
    table.append(_rate("polynomials, cross-fit, naive error", naive, infinite=1e12))
    rows = repeat("null-exact", partial(_null_exact, seed, n), config.null)
    for method, limits in zip(("threshold", "ks"), rows.T, strict=True):
        table.append(_rate(f"fixed summary, {method}", limits))
    return table


def _efficiencies(config: Config, repeat: Repeat, distances: dict[str, float]) -> Rows:
    """D_learned / D_inf by toy, size of the holdout and learner."""
    table: Rows = []
    names = ("ring", "shell", "blob", "missing", "checkerboard", "shift20")
    for toy, holdout in product(names, config.holdouts):
        local = toy in ("blob", "missing")  # elsewhere polynomials are what the default is made of
        wanted = {
            "default": config.efficiency,
            "polynomials": config.efficiency * local,
            "mlp": config.slow,
            "trees": config.slow,
        }
        for learner, repetitions in wanted.items():
            if not repetitions:
                continue
            experiment = partial(_efficiency, config.seed, toy, learner, holdout, 0.5)
            rows = repeat(f"eta-{toy}-{holdout}-{learner}", experiment, repetitions)
            table.append(_seen(toy, learner, holdout, 0.5, rows / distances[toy]))
    return table


def _narrow_efficiencies(config: Config, repeat: Repeat) -> Rows:
    """The same for narrow resonances of several widths, with a third and a half of the holdout for
    teaching.
    """
    table: Rows = []
    for (toy, pair), fraction in product(toys.NARROW.items(), (1 / 3, 0.5)):
        repetitions = config.narrow[toy.startswith("peak2-")]
        if not repetitions:
            continue
        distance = pair.distance()
        holdout = int(config.narrow_ratio * toys.n_equiv(distance))
        experiment = partial(_efficiency, config.seed, toy, "default", holdout, fraction)
        rows = repeat(f"eta-{toy}-{fraction:.2g}-default", experiment, repetitions)
        table.append(_seen(toy, "default", holdout, fraction, rows / distance))
    return table


def _seen(
    toy: str, learner: str, n_holdout: int, fraction: float, efficiencies: np.ndarray
) -> dict[str, Any]:
    """The mean efficiency and its error."""
    return {
        "toy": toy,
        "learner": learner,
        "n_holdout": n_holdout,
        "fraction": fraction,
        "efficiency": efficiencies.mean(),
        "error": efficiencies.std(ddof=1) / np.sqrt(len(efficiencies)),
        "repetitions": len(efficiencies),
    }


def _exact(seed: int, ratio: float, repetition: int) -> list[float]:
    """Ends of n_equiv: threshold at 68 and 90 %, then calibrated KS."""
    rng = np.random.default_rng([seed, round(1000 * ratio), repetition])
    n = round(ratio * _shift_n_equiv())
    t_gen = SHIFT * rng.normal(SHIFT, 1, max(10 * n, 20_000)) - SHIFT**2 / 2
    t_holdout = SHIFT * rng.normal(size=n) - SHIFT**2 / 2
    grid = np.sort(t_holdout)
    tallies = [df.tally(grid, t_gen)], [df.tally(grid, t_holdout)]
    ends = []
    for method in ("threshold", "ks"):
        for level in (0.68, 0.9):
            e = df.estimate(*tallies, n_train=1, method=method, level=level)
            ends += [float(e.n_equiv.low[0]), float(e.n_equiv.high[0])]
    return ends


def _coverage_of_intervals(ratio: float, rows: np.ndarray) -> list[dict[str, Any]]:
    truth, table = _shift_n_equiv(), []
    for k, (method, level) in enumerate(product(("threshold", "ks"), (0.68, 0.9))):
        low, high = rows[:, 2 * k], rows[:, 2 * k + 1]
        covered, finite = (low <= truth) & (truth <= high), np.isfinite(high)
        table.append(
            {
                "method": method,
                "ratio": ratio,
                "level": level,
                "coverage": covered.mean(),
                "error": np.sqrt(level * (1 - level) / len(rows)),
                "repetitions": len(rows),
                "two_sided": finite.mean(),
                "median_low": np.median(low) / truth,
                "median_high": np.median(high) / truth,
            }
        )
    return table


def _rng(seed: int, toy: str, *more: int) -> np.random.Generator:
    return np.random.default_rng([seed, list(toys.TOYS).index(toy), *more])


def _learned(
    seed: int, toy: str, learner: str, n_holdout: int, repetition: int, gen_per_true: int = 30
) -> float:
    """X of the claim n_equiv < X at 90 %, one split."""
    rng, pair = _rng(seed, toy, n_holdout, repetition), toys.TOYS[toy]
    generated = Events(pair.generate(rng, max(40_000, gen_per_true * n_holdout)))
    holdout = Events(pair.true(rng, n_holdout))
    learn = LEARNERS[learner](pair.known_log_prob)
    settings = {"n_train": 1, "seed": repetition, "limit_level": LIMIT_LEVEL}
    estimate, _ = learned_amplification(learn, generated, holdout, **settings)
    return float(estimate.n_equiv.high[0])


def _cross(seed: int, toy: str, n_holdout: int, null: bool, repetition: int) -> tuple[float, float]:
    """D0 over five folds and its naive error; for the null a holdout of generated events."""
    rng, pair = _rng(seed, toy, n_holdout, repetition), toys.TOYS[toy]
    generated = Events(pair.generate(rng, max(40_000, 20 * n_holdout)))
    holdout = Events((pair.generate if null else pair.true)(rng, n_holdout))
    learn = LEARNERS["polynomials"](pair.log_prob_gen)
    fitted = cross_fit(learn, generated, holdout, null_experiments=0, seed=repetition)
    return fitted.distance, fitted.naive_error


def _calibrated(rows: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Limits at 90 % of cross-fits, all with the spread of the same null experiments."""
    low = rows[:, 0] - 1.2816 * null[:, 0].std()
    return np.where(low > 0, (K1 / np.where(low > 0, low, 1)) ** 2, np.inf)


def _null_exact(seed: int, n_holdout: int, repetition: int) -> list[float]:
    """Upper end of n_equiv at 90 % for true events against true events in a summary that was fixed
    before: threshold, calibrated KS.
    """
    rng = np.random.default_rng([seed, 77, repetition])
    t_gen, t_holdout = rng.normal(size=20 * n_holdout), rng.normal(size=n_holdout)
    estimates = (
        df.differential_amplification(t_gen, t_holdout, n_train=1, method=method, level=0.9)
        for method in ("threshold", "ks")
    )
    return [float(estimate.n_equiv.high[0]) for estimate in estimates]


def _claims(
    toy: str, learner: str, ratio: float, n_holdout: int, limits: np.ndarray, truth: float
) -> dict[str, Any]:
    """How often n_equiv < X holds, how often X is finite, and how close it comes."""
    x = limits / truth
    places = (np.array([0.16, 0.5, 0.84]) * (len(x) - 1)).astype(int)
    return {
        "toy": toy,
        "learner": learner,
        "ratio": ratio,
        "n_holdout": n_holdout,
        "level": 0.9,
        "coverage": (x > 1).mean(),
        "error": np.sqrt(0.09 / len(x)),
        "finite": np.isfinite(x).mean(),
        "limit_over_truth": np.sort(x)[places].tolist(),
        "repetitions": len(x),
    }


def _rate(name: str, limits: np.ndarray, infinite: float = np.inf) -> dict[str, Any]:
    return {
        "case": name,
        "level": 0.9,
        "claimed": (limits < infinite).mean(),
        "error": np.sqrt(0.09 / len(limits)),
        "repetitions": len(limits),
    }


def _efficiency(
    seed: int, toy: str, learner: str, n_holdout: int, fraction: float, repetition: int
) -> float:
    """D of the summary learned from a fraction of the holdout: the integral of p_true - p_gen over
    t <= 0, by true events weighted with 1 - p_gen / p_true.
    """
    pair = toys.TOYS[toy]
    rng = np.random.default_rng([seed, 55, list(toys.TOYS).index(toy), n_holdout, repetition])
    n = int(fraction * n_holdout)
    x_gen, x_true = pair.generate(rng, max(20_000, min(20 * n, _MOST_GEN))), pair.true(rng, n)
    summary = LEARNERS[learner](pair.known_log_prob)(x_gen, x_true)
    x, excess = _measuring(toy)
    return float((excess * (summary(x) <= 0)).mean())


@lru_cache(maxsize=1)
def _measuring(toy: str) -> tuple[np.ndarray, np.ndarray]:
    """Events, and 1 - p_gen / p_true of each."""
    return toys.TOYS[toy].excess(np.random.default_rng(10**6), 100_000)


@lru_cache(maxsize=1)
def _shift_n_equiv() -> float:
    import jax

    with jax.enable_x64(True):
        distance, *_ = gaussian.distances(gaussian.Gaussian(SHIFT), gaussian.Gaussian())
        return float((K1 / float(distance)) ** 2)


if __name__ == "__main__":
    study.run(main, has_tasks=True)
