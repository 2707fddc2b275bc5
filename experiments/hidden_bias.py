"""How much of a bias shows without a holdout: power and false alarms of training events, out-of-bag
events and refits, on problems whose truth is known and with biases that were put in.

- training events: the fraction of them in a region against the mean member
  (`amplify.estimators.bias`), and chi^2 in ten bins (`amplify.estimators.trained_on`);
- out of bag: the same with the events that each bootstrap member has not seen;
- refits: members trained on events that the pool of the others generated
  (`amplify.estimators.refit`).

Toys in one dimension, fitted in closed form, have many training sets; flows in two dimensions are
trained with too few steps, too much regularisation or too small a network. Run `python -m
experiments.hidden_bias --preset full`. Limits of the tests are those of `averaging`; which kinds
of bias to inject was decided on the Gaussian and on ring2.
"""

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from amplify.devices import use_all_cores
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.refit import refit_amplification
from amplify.estimators.trained_on import agreement_in_bins
from amplify.generators.autoregressive_flow import AutoregressiveConfig, autoregressive_flow
from amplify.integrals import member_integrals
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.training.refit import fit_refits
from amplify.training.trained import Ensemble
from amplify.types import Generator, Holdout, Status
from experiments import study
from experiments.problems import BINS, PROBLEMS

_TAILS = (1.5, 2.0)  # quantiles of the toys' upper tails, in widths of a Gaussian
_NONE, _LARGE = (
    0.3,
    1.0,
)  # |bias| / sigma_n below which a region counts as unbiased, above as biased
_ALARM = 0.01  # nominal, of the tests of all bins
# one-sided probability of three standard deviations, as for the marks
_MARK = float(stats.norm.sf(3.0))


@dataclass(frozen=True)
class Config:
    """Training sets per toy and per flow, and what each has."""

    n_train: int = 1000
    members: int = 8
    refits: int = 8
    toys: tuple[str, ...] = ("gaussian", "peak", "student")
    toy_sets: int = 100
    problems: tuple[str, ...] = ("ring2", "mixture", "banana")
    flow_sets: int = 4
    same: int = 2  # networks on each set as it is: the actual error
    steps: int = 500
    sobol: int = 1 << 13
    seed: int = 1


PRESETS = {
    "smoke": Config(
        n_train=200,
        toys=("gaussian",),
        toy_sets=3,
        problems=(),
        flow_sets=2,
        steps=20,
        sobol=1 << 9,
    ),
    "quick": Config(toy_sets=60, problems=("ring2",), flow_sets=4),
    "full": Config(),
}


class Toy(NamedTuple):
    """A density in one dimension: draws of it, and its distribution function."""

    draw: Callable[[np.random.Generator, int], np.ndarray]
    cdf: Callable[[np.ndarray], np.ndarray]


def _peak(rng: np.random.Generator, n: int) -> np.ndarray:
    narrow = rng.random(n) < 0.25
    return np.where(narrow, rng.normal(1.5, 0.15, n), rng.normal(0.0, 1.5, n))


def _peak_cdf(x: np.ndarray) -> np.ndarray:
    return 0.75 * stats.norm.cdf(x, 0, 1.5) + 0.25 * stats.norm.cdf(x, 1.5, 0.15)


TOYS = {
    "gaussian": Toy(lambda rng, n: rng.normal(size=n), stats.norm.cdf),
    "peak": Toy(_peak, _peak_cdf),
    "student": Toy(lambda rng, n: rng.standard_t(4, n), lambda x: stats.t.cdf(x, 4)),
}


class Fit(NamedTuple):
    """What a toy generator has learned: its distribution function, and draws of it."""

    cdf: Callable[[np.ndarray], np.ndarray]
    draw: Callable[[np.random.Generator, int], np.ndarray]


def _gaussian_fit(x: np.ndarray) -> Fit:
    mean, width = x.mean(), x.std()
    return Fit(lambda e: stats.norm.cdf(e, mean, width), lambda rng, n: rng.normal(mean, width, n))


def _kernels(times: float) -> Callable[[np.ndarray], Fit]:
    """Kernel density with so many times the bandwidth of Silverman's rule."""

    def fit(x: np.ndarray) -> Fit:
        iqr = np.subtract(*np.quantile(x, [0.75, 0.25])) / 1.349
        width = times * 0.9 * min(x.std(), iqr) * len(x) ** -0.2
        return Fit(
            lambda e: stats.norm.cdf((e[:, None] - x) / width).mean(axis=1),
            lambda rng, n: rng.choice(x, n) + width * rng.normal(size=n),
        )

    return fit


FITS = {
    "fitted Gaussian": _gaussian_fit,
    "kernels": _kernels(1.0),
    "kernels, twice as wide": _kernels(2.0),
    "kernels, four times as wide": _kernels(4.0),
}
# changes of the training, and of the flow, from what `for_integrals` and the defaults are
FLOWS: dict[str, tuple[dict[str, Any], Callable[[Any], Generator]]] = {
    "usual": ({}, autoregressive_flow),
    "too few steps": ({"steps": 60}, autoregressive_flow),
    "too much weight decay": ({"weight_decay": 3.0}, autoregressive_flow),
    "too small a network": (
        {},
        partial(autoregressive_flow, config=AutoregressiveConfig(hidden=(4,), bins=4)),
    ),
}


def main(preset: Literal["smoke", "quick", "full"] = "quick", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes seconds, quick two minutes, full a quarter of an hour on one core.
        out: default amplify-runs/hidden_bias-PRESET; finished parts found there are used again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"hidden_bias-{preset}"
    study.claim(out, config)
    cases: dict[str, dict[str, Any]] = {}
    for kind, problems, procedures in (
        (_toy_part, config.toys, FITS),
        (_flow_part, config.problems, FLOWS),
    ):
        for procedure in procedures:  # what compiles once serves all problems
            for problem in problems:
                name = f"{problem}, {procedure}"
                path = out / "parts" / f"{name.replace(', ', '-').replace(' ', '_')}.npz"
                part = study.cached(path, lambda k=kind, p=problem, q=procedure: k(config, p, q))
                cases[name] = summarised(part, config)
                _say(name, cases[name])
    path = out / "results.json"
    results = {"cases": cases, "pooled": _pooled(cases)}
    study.record(path, f"python -m experiments.hidden_bias --preset {preset}", config, results, [])
    print(path)
    return path


def _rng(config: Config, *names: str) -> np.random.Generator:
    return np.random.default_rng([config.seed, *(zlib.crc32(name.encode()) for name in names)])


def _toy_part(config: Config, problem: str, procedure: str) -> dict[str, np.ndarray]:
    """Integrals of every training set, as `_parts` names them."""
    rng, toy, fit = _rng(config, problem, procedure), TOYS[problem], FITS[procedure]
    inner = _quantiles(toy, np.arange(1, BINS) / BINS)
    tails = _quantiles(toy, stats.norm.cdf(_TAILS))
    low = np.concatenate([[-np.inf], inner, tails])
    high = np.concatenate([inner, [np.inf], np.full(len(tails), np.inf)])
    n, started = config.n_train, time.process_time()

    def inside(cdf: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return cdf(high) - cdf(low)

    def share(x: np.ndarray) -> np.ndarray:
        return ((x[:, None] >= low) & (x[:, None] < high)).mean(axis=0)

    sets: list[dict[str, np.ndarray]] = []
    for _ in range(config.toy_sets):
        x = toy.draw(rng, n)
        rows = rng.integers(n, size=(config.members, n))
        members = [fit(x[r]) for r in rows]
        refits = []
        for _ in range(config.refits):
            of_member = np.bincount(rng.integers(config.members, size=n), minlength=config.members)
            drawn = [m.draw(rng, k) for m, k in zip(members, of_member, strict=True)]
            refits.append(inside(fit(np.concatenate(drawn)).cdf))
        sets.append(
            {
                "same": inside(fit(x).cdf)[None],
                "bootstrap": np.stack([inside(m.cdf) for m in members]),
                "refit": np.stack(refits),
                "train": share(x),
                "unseen": np.stack([share(np.delete(x, r)) for r in rows]),
            }
        )
    return _parts(sets, inside(toy.cdf), started)


def _flow_part(config: Config, problem: str, procedure: str) -> dict[str, np.ndarray]:
    """The same of flows; every training set is standardised, so that one compiled training serves
    all.
    """
    rng, known, n = _rng(config, problem, procedure), PROBLEMS[problem], config.n_train
    changes, _ = FLOWS[procedure]
    training = FitConfig.for_integrals(n)._replace(**({"steps": config.steps} | changes))
    generator = _generator(procedure, known.dim)
    started = time.process_time()

    def share(x: np.ndarray) -> np.ndarray:
        return np.asarray(known.regions.contains(x)).mean(axis=0)

    sets: list[dict[str, np.ndarray]] = []
    for s in range(config.flow_sets):
        x = known.draw(rng, n)
        mean, width = x.mean(axis=0), x.std(axis=0)
        z = ((x - mean) / width).astype(np.float32)
        key = jax.random.fold_in(
            jax.random.key(config.seed), zlib.crc32(f"{problem}{procedure}{s}".encode())
        )
        key_rows, key_fit, key_refit, key_latent = jax.random.split(key, 4)
        rows = ensemble_rows(key_rows, n, members=config.members, resample="bootstrap")
        as_it_is = jnp.broadcast_to(jnp.arange(n), (config.same, n))
        keys = jax.random.split(key_fit, config.same + config.members)
        every = jnp.concatenate([as_it_is, rows])
        fitted = fit_members(keys, generator, z, every, config=training)
        bootstraps: Ensemble = jax.tree.map(lambda leaf: leaf[config.same :], fitted)
        refits = fit_refits(
            key_refit, bootstraps, members=config.refits, n_train=n, config=training
        )

        settings: dict[str, Any] = {"sobol": True, "transform": _scaled(mean, width)}
        integrals = [
            member_integrals(
                key_latent, generator, e.params, known.regions, config.sobol, **settings
            ).integral
            for e in (fitted, refits)
        ]
        sets.append(
            {
                "same": integrals[0][: config.same],
                "bootstrap": integrals[0][config.same :],
                "refit": integrals[1],
                "train": share(x),
                "unseen": np.stack([share(np.delete(x, r, axis=0)) for r in np.asarray(rows)]),
            }
        )
    return _parts(sets, known.truth, started)


@cache
def _generator(procedure: str, dim: int) -> Generator:
    """Of standardised events: one for all training sets, so that it compiles once."""
    return FLOWS[procedure][1](np.random.default_rng(0).normal(size=(100_000, dim)))


def _scaled(mean: np.ndarray, width: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda z: z * width + mean


def _quantiles(toy: Toy, below: np.ndarray) -> np.ndarray:
    """Inverse of a distribution function by bisection."""
    low, high = np.full(len(below), -50.0), np.full(len(below), 50.0)
    for _ in range(60):
        middle = (low + high) / 2
        is_low = toy.cdf(middle) < below
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return (low + high) / 2


def _parts(
    sets: list[dict[str, np.ndarray]], truth: np.ndarray, started: float
) -> dict[str, np.ndarray]:
    """Integrals [set, member, region] of networks trained on each set as it is, of bootstraps and
    of refits; fractions of the training events [set, region] and of those that a bootstrap has not
    seen [set, member, region].
    """
    stacked = {name: np.stack([one[name] for one in sets]) for name in sets[0]}
    seconds = np.asarray(time.process_time() - started)
    return stacked | {"truth": truth, "seconds": seconds}


def summarised(part: dict[str, np.ndarray], config: Config) -> dict[str, Any]:
    """Bias, calibration, power and false alarms of one problem and procedure."""
    truth, n = part["truth"], config.n_train
    same, bootstrap, refit = part["same"], part["bootstrap"], part["refit"]
    sigma_n = np.sqrt(truth * (1 - truth) / n)
    bias = (bootstrap.mean(axis=(0, 1)) - truth) / sigma_n
    found = [_tests(part, s, n) for s in range(len(same))]
    marks = {name: np.array([f[name] for f in found]) for name in found[0]}
    actual = ((same - truth) ** 2).mean(axis=(0, 1))
    pool = bootstrap.mean(axis=1)
    squares = {
        "bootstrap": bootstrap.var(axis=1, ddof=1).mean(axis=0),
        "refit": ((refit - pool[:, None]) ** 2).mean(axis=(0, 1)),
    }
    bulk = slice(0, BINS) if len(truth) == BINS + len(_TAILS) else slice(None)
    of_refits = (refit.mean(axis=1) - pool).mean(axis=0) / sigma_n
    training = part["train"] - pool
    unseen = (part["unseen"] - bootstrap).mean(axis=1)
    return {
        "sets": len(same),
        "seconds": part["seconds"],
        "bias": bias,  # of a bootstrap member, in units of sigma_n; what the regions are sorted by
        "largest_bias": float(np.abs(bias).max()),
        "actual_over_sigma_n": np.sqrt(actual) / sigma_n,
        "estimated_over_actual": {
            name: float(np.sqrt(square[bulk].sum() / actual[bulk].sum()))
            for name, square in squares.items()
        },
        "bias_of_refits": of_refits,
        # the share of the actual bias that refits show: slope of a line through zero
        "bias_seen_by_refits": float((of_refits * bias).sum() / (bias**2).sum()),
        # of the difference from the mean member, in units of sigma_n^2
        "variance": {
            "training events": training.var(axis=0, ddof=1) / sigma_n**2,
            "out of bag": unseen.var(axis=0, ddof=1) / sigma_n**2,
        },
        "marked": {
            name: {
                "unbiased": _share(marks[name], np.abs(bias) < _NONE),
                "biased": _share(marks[name], np.abs(bias) > _LARGE),
                "regions": marks[name].mean(axis=0),
            }
            for name in ("training events", "out of bag", "refits")
        },
        "rejected": {name: float(marks[name].mean()) for name in ("chi2", "refits in any")},
    }


def _tests(part: dict[str, np.ndarray], s: int, n: int) -> dict[str, Any]:
    """Which regions, and which sets as a whole, the tests mark."""
    members, refit = part["bootstrap"][s], part["refit"][s]
    truth = Holdout(part["train"][s], n)
    of_training = averaging_amplification(members, n_train=n, holdout=truth, trained_on=True)
    of_refits = refit_amplification(refit, members, n_train=n)
    unseen = part["unseen"][s] - members
    share = part["unseen"][s].mean(axis=0)
    # as wide as one member's; what members have in common narrows it (docs/method)
    error = np.sqrt(unseen.var(axis=0, ddof=1) / len(members) + share * (1 - share) / n)
    pull = np.abs(unseen.mean(axis=0)) / error
    refit_pull = np.abs(of_refits.pull)
    limit = stats.t.isf(_MARK, len(refit) - 1)
    many = stats.t.isf(_ALARM / 2 / len(refit_pull), len(refit) - 1)
    first = slice(0, BINS)
    chi2 = agreement_in_bins(members[:, first], Holdout(truth.integral[first], n))
    return {
        "training events": of_training.status == Status.BIASED,
        "out of bag": pull > 3.0,
        "refits": refit_pull > limit,
        "chi2": chi2.probability < _ALARM,
        "refits in any": (refit_pull > many).any(),
    }


def _share(marks: np.ndarray, regions: np.ndarray) -> dict[str, Any]:
    """Share of marked regions among those, over training sets, and how many there are."""
    count = int(regions.sum())
    return {"regions": count, "share": float(marks[:, regions].mean()) if count else None}


def _pooled(cases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Share of regions that are marked, against the size of their bias, over all problems."""
    edges = [0.0, 0.3, 1.0, 2.0, 3.0, 4.0, 6.0, np.inf]
    bias = np.abs(np.concatenate([case["bias"] for case in cases.values()]))
    which = np.digitize(bias, edges) - 1
    pooled: dict[str, Any] = {"edges": edges, "regions": np.bincount(which, minlength=7)}
    for name in ("training events", "out of bag", "refits"):
        shares = np.concatenate([case["marked"][name]["regions"] for case in cases.values()])
        found = [shares[which == k] for k in range(len(edges) - 1)]
        pooled[name] = [float(f.mean()) if len(f) else None for f in found]
    return pooled


def _say(name: str, case: dict[str, Any]) -> None:
    ratios = case["estimated_over_actual"]
    said = f"bootstrap/actual {ratios['bootstrap']:.2f}, refit/actual {ratios['refit']:.2f}"
    seen = f"refits see {case['bias_seen_by_refits']:.2f} of the bias"
    rejected = f"chi2 rejects {case['rejected']['chi2']:.2f}"
    print(f"{name}: largest bias {case['largest_bias']:.1f} sigma_n, {said}, {seen}, {rejected}")


if __name__ == "__main__":
    study.run(main)
