"""Does the interval of differential amplification contain the truth as often as it says? And what
does a learned ratio see?

Known densities (`experiments.toys`), thousands of repetitions: coverage of two-sided intervals with
the exact ratio, coverage of the claim n_equiv < X with a learned one, the rate of that claim where
there is no difference, and the efficiency D_learned / D_inf. Run `python -m experiments.coverage
--preset full`.
"""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from amplify.estimators import differential as df
from amplify.estimators.kolmogorov import K1
from amplify.estimators.learned import cross_fit, learned_amplification
from amplify.progress import progress_bar
from amplify.summaries.default import learned_ratio
from amplify.summaries.least_squares import least_squares_ratio
from amplify.summaries.mlp import mlp_ratio
from amplify.summaries.polynomial import polynomials
from amplify.summaries.trees import boosted_trees
from amplify.truth import gaussian
from amplify.types import Events
from experiments import study, toys

LEARNERS = {
    "default": learned_ratio,
    "polynomials": lambda log_prob: least_squares_ratio((polynomials(),), log_prob),
    "mlp": mlp_ratio,
    "trees": boosted_trees,
}
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
    ),
    "quick": Config(
        exact=300,
        learned=40,
        cross_fit=20,
        null_experiments=100,
        null=200,
        holdouts=(400, 4000),
        efficiency=10,
        slow=2,
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
    result: dict[str, Any] = {
        "exact": [],
        "learned": [],
        "cross_fit": [],
        "null": [],
        "efficiency": [],
    }
    distances = {name: toy.distance() for name, toy in toys.TOYS.items() if name != "same"}
    result["truth"] = {
        name: {"distance": d, "n_equiv": toys.n_equiv(d)} for name, d in distances.items()
    }
    os.environ.update(
        dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    )  # of the workers: one process per core
    with ProcessPoolExecutor(
        len(os.sched_getaffinity(0)), mp_context=multiprocessing.get_context("spawn")
    ) as pool:

        def repeated(name: str, one: Callable[[int], Any], repetitions: int) -> np.ndarray:
            """Results [repetition, ...] of `one(seed)`, from a finished part or computed by all
            cores.
            """

            def compute() -> dict[str, np.ndarray]:
                with progress_bar(name, total=repetitions) as bar:
                    rows = []
                    for row in pool.map(
                        one, range(repetitions), chunksize=max(1, min(25, repetitions // 8))
                    ):
                        rows.append(row)
                        bar.count(len(rows), repetitions)
                return {"rows": np.asarray(rows)}

            return study.cached(out / "parts" / f"{name}.npz", compute)["rows"]

        for ratio in config.ratios:
            rows = repeated(f"exact-{ratio:g}", partial(_exact, config.seed, ratio), config.exact)
            result["exact"] += _coverage_of_intervals(ratio, rows)
        for toy in ("ring", "shell", "blob", "missing"):
            for ratio in config.learned_ratios:
                holdout, truth = (
                    int(ratio * result["truth"][toy]["n_equiv"]),
                    result["truth"][toy]["n_equiv"],
                )
                for learner in ("default", "polynomials"):
                    rows = repeated(
                        f"learned-{toy}-{ratio:g}-{learner}",
                        partial(_learned, config.seed, toy, learner, holdout),
                        config.learned,
                    )
                    result["learned"].append(_claims(toy, learner, ratio, holdout, rows, truth))
                if toy != "missing":
                    null = repeated(
                        f"crossnull-{toy}-{ratio:g}",
                        partial(_cross, config.seed + 100, toy, holdout, True),
                        config.null_experiments,
                    )
                    rows = repeated(
                        f"cross-{toy}-{ratio:g}",
                        partial(_cross, config.seed, toy, holdout, False),
                        config.cross_fit,
                    )
                    limits = _calibrated(rows, null)
                    result["cross_fit"].append(
                        _claims(toy, "polynomials", ratio, holdout, limits, truth)
                    )
        for learner in ("default", "polynomials"):
            rows = repeated(
                f"null-{learner}",
                partial(_learned, config.seed, "same", learner, config.null_holdout),
                config.null,
            )
            result["null"].append(_rate(f"{learner}, split", rows))
        null = repeated(
            "crossnull-same",
            partial(_cross, config.seed + 100, "same", config.null_holdout, True),
            config.null_experiments,
        )
        rows = repeated(
            "cross-same",
            partial(_cross, config.seed, "same", config.null_holdout, False),
            config.null,
        )
        result["null"].append(_rate("polynomials, cross-fit, calibrated", _calibrated(rows, null)))
        result["null"].append(
            _rate(
                "polynomials, cross-fit, naive error",
                (K1 / np.maximum(rows[:, 0] - 1.2816 * rows[:, 1], 1e-9)) ** 2,
                infinite=1e12,
            )
        )
        for method in (0, 1):
            rows = repeated(
                "null-exact", partial(_null_exact, config.seed, config.null_holdout), config.null
            )[:, method]
            result["null"].append(_rate(f"fixed summary, {('threshold', 'ks')[method]}", rows))
        for toy in ("ring", "shell", "blob", "missing"):
            for holdout in config.holdouts:
                local = toy in (
                    "blob",
                    "missing",
                )  # elsewhere polynomials are what the default is made of
                wanted = {
                    "default": config.efficiency,
                    "polynomials": config.efficiency * local,
                    "mlp": config.slow,
                    "trees": config.slow,
                }
                for learner, repetitions in wanted.items():
                    if repetitions:
                        rows = repeated(
                            f"eta-{toy}-{holdout}-{learner}",
                            partial(_efficiency, config.seed, toy, learner, holdout),
                            repetitions,
                        )
                        eta, error = (
                            rows / distances[toy],
                            rows.std(ddof=1) / distances[toy] / np.sqrt(repetitions),
                        )
                        row = {
                            "toy": toy,
                            "learner": learner,
                            "n_holdout": holdout,
                            "efficiency": eta.mean(),
                            "error": error,
                        }
                        result["efficiency"].append(row | {"repetitions": repetitions})
    path = out / "results.json"
    study.record(path, f"python -m experiments.coverage --preset {preset}", config, result, [])
    print(path)
    return path


def _exact(seed: int, ratio: float, repetition: int) -> list[float]:
    """Ends of n_equiv: threshold at 68 and 90 %, then calibrated KS."""
    rng = np.random.default_rng([seed, round(1000 * ratio), repetition])
    n = round(ratio * _shift_n_equiv())
    t_gen, t_holdout = (
        SHIFT * rng.normal(SHIFT, 1, max(10 * n, 20_000)) - SHIFT**2 / 2,
        SHIFT * rng.normal(size=n) - SHIFT**2 / 2,
    )
    grid = np.sort(t_holdout)
    tallies = [df.tally(grid, t_gen)], [df.tally(grid, t_holdout)]
    ends = []
    for method in ("threshold", "ks"):
        for level in (0.68, 0.9):
            e = df.estimate(*tallies, n_train=1, method=method, level=level)
            ends += [float(e.n_equiv.low[0]), float(e.n_equiv.high[0])]
    return ends


def _coverage_of_intervals(ratio: float, rows: np.ndarray) -> list[dict[str, Any]]:
    truth, found = _shift_n_equiv(), []
    for k, (method, level) in enumerate((m, p) for m in ("threshold", "ks") for p in (0.68, 0.9)):
        low, high = rows[:, 2 * k], rows[:, 2 * k + 1]
        covered, finite = (low <= truth) & (truth <= high), np.isfinite(high)
        found.append(
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
    return found


def _learned(seed: int, toy: str, learner: str, n_holdout: int, repetition: int) -> float:
    """X of the claim n_equiv < X at 90 %, one split."""
    rng, t = (
        np.random.default_rng([seed, list(toys.TOYS).index(toy), n_holdout, repetition]),
        toys.TOYS[toy],
    )
    generated, holdout = (
        Events(t.generate(rng, max(40_000, 30 * n_holdout))),
        Events(t.true(rng, n_holdout)),
    )
    estimate, _ = learned_amplification(
        LEARNERS[learner](t.log_prob_gen), generated, holdout, n_train=1, seed=repetition
    )
    return float(estimate.n_equiv.high[0])


def _cross(seed: int, toy: str, n_holdout: int, null: bool, repetition: int) -> tuple[float, float]:
    """D0 over five folds and its naive error; for the null a holdout of generated events."""
    rng, t = (
        np.random.default_rng([seed, list(toys.TOYS).index(toy), n_holdout, repetition]),
        toys.TOYS[toy],
    )
    generated, holdout = (
        Events(t.generate(rng, max(40_000, 20 * n_holdout))),
        Events((t.generate if null else t.true)(rng, n_holdout)),
    )
    found = cross_fit(
        LEARNERS["polynomials"](t.log_prob_gen),
        generated,
        holdout,
        null_experiments=0,
        seed=repetition,
    )
    return found.distance, found.naive_error


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
    return [
        float(
            df.differential_amplification(
                t_gen, t_holdout, n_train=1, method=m, level=0.9
            ).n_equiv.high[0]
        )
        for m in ("threshold", "ks")
    ]


def _claims(
    toy: str, learner: str, ratio: float, n_holdout: int, limits: np.ndarray, truth: float
) -> dict[str, Any]:
    """How often n_equiv < X holds, how often X is finite, and how close it comes."""
    x = limits / truth
    quantiles = [
        float(q) for q in np.sort(x)[(np.array([0.16, 0.5, 0.84]) * (len(x) - 1)).astype(int)]
    ]
    return {
        "toy": toy,
        "learner": learner,
        "ratio": ratio,
        "n_holdout": n_holdout,
        "level": 0.9,
        "coverage": (x > 1).mean(),
        "error": np.sqrt(0.09 / len(x)),
        "finite": np.isfinite(x).mean(),
        "limit_over_truth": quantiles,
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


def _efficiency(seed: int, toy: str, learner: str, n_holdout: int, repetition: int) -> float:
    """D of the summary learned from half the holdout: the integral of p_true - p_gen over t <= 0,
    by true events weighted with 1 - p_gen / p_true.
    """
    rng, t = (
        np.random.default_rng([seed, 55, list(toys.TOYS).index(toy), n_holdout, repetition]),
        toys.TOYS[toy],
    )
    n = n_holdout // 2
    x_gen, x_true = t.generate(rng, max(20_000, 20 * n)), t.true(rng, n)
    summary = LEARNERS[learner](t.log_prob_gen)(x_gen, x_true)
    x, excess = _measuring(toy)
    return float((excess * (summary(x) <= 0)).mean())


@lru_cache(maxsize=1)
def _measuring(toy: str) -> tuple[np.ndarray, np.ndarray]:
    x = toys.TOYS[toy].true(np.random.default_rng(10**6), 100_000)
    return x, -np.expm1(toys.TOYS[toy].log_prob_gen(x) - toys.TOYS[toy].log_prob_true(x))


@lru_cache(maxsize=1)
def _shift_n_equiv() -> float:
    import jax

    with jax.enable_x64(True):
        return float(
            (K1 / float(gaussian.distances(gaussian.Gaussian(SHIFT), gaussian.Gaussian())[0])) ** 2
        )


if __name__ == "__main__":
    study.run(main)
