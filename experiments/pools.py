"""What is the pool of the members worth, and what do members alone say of one of them?

Spline flows and Gaussian mixtures on the two-dimensional ring: on each of many training sets some
members of the same data and some of bootstrap samples. For integrals the estimates of a pool's
variance are compared with its actual error; event by event the distance of a member to the pool of
the others with its distance to the truth. How a pool is estimated was chosen with the mixtures of
`tuning` alone. Run `python -m experiments.pools --preset full`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from scipy.special import logsumexp

from amplify.analysis.forecast import as_record, learned_apart
from amplify.estimators.forecast import Apart, apart, bracketed
from amplify.estimators.kolmogorov import K1
from amplify.estimators.pool import Spread, pool_amplification, variance_difference
from amplify.sampling import sample_members
from amplify.types import Events, Status
from experiments import study
from experiments.pool_members import (
    Design,
    flows,
    gaussian_mixture,
    mixture_members,
    mixtures,
    regions_of,
)


@dataclass(frozen=True)
class Config:
    """Numbers of training sets, and of repetitions of the toy."""

    design: Design = Design()
    tuning: int = 40
    flows: int = 40
    mixtures: int = 60
    learned: int = 12
    learned_events: int = 20_000
    toy: int = 4000
    seed: int = 131
    tuning_seed: int = 900


PRESETS = {
    "smoke": Config(
        Design(
            n_train=200,
            same=2,
            groups=2,
            steps=20,
            components=3,
            sobol=1 << 10,
            events=256,
            true_events=512,
        ),
        tuning=3,
        flows=2,
        mixtures=3,
        learned=1,
        learned_events=500,
        toy=50,
    ),
    "full": Config(),
}


def main(preset: Literal["smoke", "full"] = "full", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json; full takes about twelve minutes of one core.

    Args:
        preset: size of the study.
        out: default amplify-runs/pools-PRESET; finished parts found there are used again.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"pools-{preset}"
    study.claim(out, config)
    found: dict[str, Any] = {"toy": study.rows(out, toy, config)}
    families = {
        "tuning": (mixtures, config.tuning_seed, config.tuning),
        "mixtures": (mixtures, config.seed, config.mixtures),
        "flows": (flows, config.seed, config.flows),
    }
    for name, (train, seed, sets) in families.items():
        arrays = study.cached(
            out / "parts" / f"{name}.npz",
            lambda train=train, seed=seed, sets=sets: train(
                jax.random.key(seed), config.design, sets
            ),
        )
        found[name] = {
            "sets": sets,
            "integrals": integrals(arrays["integral"], config.design),
            "distances": distances(arrays, config.design),
        }
    found["learned"] = study.rows(out, learned, config)
    path = out / "results.json"
    study.record(path, f"python -m experiments.pools --preset {preset}", config, found, [])
    print(path)
    return path


def toy(config: Config) -> Iterator[dict[str, Any]]:
    """Gaussian integrals with known variances of data and training: how often intervals at 68 %
    hold the pool's G, and limits at 95 % are true, in regions of training sets of their own.
    """
    rng = np.random.default_rng(config.seed)
    share, n_train = 0.2, 1000
    binomial = share * (1 - share)
    for members, same in ((4, 4), (8, 4), (8, 8), (16, 8)):
        for training in (0.05, 0.2, 0.5):  # part of a member's variance
            total = binomial / n_train / 3
            data = (1 - training) * total
            centre = share + rng.normal(0, np.sqrt(data), config.toy)
            bootstrap = centre + rng.normal(0, np.sqrt(total), (members, config.toy))
            of_same = centre + rng.normal(0, np.sqrt(training * total), (same, config.toy))
            actual = binomial / n_train / (data + total / members)
            row: dict[str, Any] = {"members": members, "same": same, "training": training}
            for name, given in (("alone", None), ("with_same_data", of_same)):
                pool = pool_amplification(bootstrap, n_train=n_train, same_data=given)
                inside = (pool.factor.low < actual) & (actual < pool.factor.high)
                row[f"{name}_covered"] = float(inside.mean())
                row[f"{name}_limit_true"] = float((pool.bounds.low < actual).mean())
                row[f"{name}_resolved"] = float((pool.status == Status.RESOLVED).mean())
            yield row


def integrals(integral: np.ndarray, design: Design) -> dict[str, Any]:
    """Estimated over actual sigma of pools, pooled over shells, and how often ends are right.

    Args:
        integral: [set, member, region].
        design: of the members.
    """
    _, truth = regions_of(design)
    sets, _, count = integral.shape
    same = integral[:, : design.same]
    groups = integral[:, design.same :].reshape(sets, design.groups, design.copies, count)
    bootstrap = groups[:, :, 0]

    def actual(pool: np.ndarray) -> np.ndarray:
        return ((pool - truth) ** 2).mean(axis=0)

    errors = {
        "member": ((same - truth) ** 2).mean(axis=(0, 1)),
        "bootstrap member": ((bootstrap - truth) ** 2).mean(axis=(0, 1)),
        "bootstrap pool": actual(bootstrap.mean(axis=1)),
        "same-data pool": actual(same.mean(axis=1)),
        "pool of groups": actual(groups.mean(axis=(1, 2))),
    }
    shells = slice(0, design.shells)
    of_member = errors["member"][shells].sum()
    rows = [
        _judged(name, of, first, second, errors[of], shells)
        for name, of, first, second in _candidates(same, groups)
    ]
    return {
        "actual_variance_of_member": {
            name: float(v[shells].sum() / of_member) for name, v in errors.items()
        },
        "candidates": rows,
    }


def _candidates(same: np.ndarray, groups: np.ndarray) -> list[tuple[str, str, Spread, Any]]:
    """How a pool's variance may be estimated: name, pool, and one spread less another, if any."""
    bootstrap, k = groups[:, :, 0], same.shape[1]
    _, m, copies, _ = groups.shape
    of_bootstrap = Spread(bootstrap.var(axis=1, ddof=1), m - 1, 0.0, 1.0)
    of_same = Spread(same.var(axis=1, ddof=1), k - 1, 0.0, 1.0)
    between = Spread(groups.mean(axis=2).var(axis=1, ddof=1), m - 1, 0.0, 1 + 1 / m)
    inside = Spread(groups.var(axis=2, ddof=1).mean(axis=1), m * (copies - 1), 0.0, 1 / copies)
    more = of_bootstrap._replace(factor=1 + 1 / m)
    less = of_same._replace(factor=1 - 1 / k)
    return [
        ("s2", "bootstrap pool", of_bootstrap, None),
        ("s2", "same-data pool", of_bootstrap, None),
        ("s2 / M", "bootstrap pool", of_bootstrap._replace(factor=1 / m), None),
        ("(1 + 1/M) s2", "bootstrap pool", more, None),
        ("(1 + 1/M) s2 - t2", "bootstrap pool", more, of_same),
        ("s2 - (1 - 1/K) t2", "same-data pool", of_bootstrap, less),
        ("groups", "pool of groups", between, inside),
    ]


def _judged(
    name: str, of: str, first: Spread, second: Spread | None, actual: np.ndarray, shells: slice
) -> dict[str, Any]:
    """One candidate: its mean over the actual variance, and how often its ends are right."""
    estimate = variance_difference(first, second, 0.84)
    one_sided = variance_difference(first, second, 0.95)
    inside = (estimate.low < actual) & (actual < estimate.high)
    of_sets = inside.mean(axis=1)  # the regions of a set move together
    limits = (actual < one_sided.high).mean(axis=1)
    # the value is a median of chi^2; the mean is what is compared
    whole = first.factor * first.square
    unbiased = whole if second is None else whole - second.factor * second.square
    mean = unbiased[:, shells].mean(axis=0).sum()
    return {
        "estimate": name,
        "of": of,
        "sigma_over_actual": float(np.sqrt(max(mean, 0.0) / actual[shells].sum())),
        "covered": float(of_sets.mean()),
        "covered_error": _error(of_sets),
        "limit_true": float(limits.mean()),
        "limit_error": _error(limits),
    }


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def distances(arrays: dict[str, np.ndarray], design: Design) -> dict[str, Any]:
    """Event by event: D of members and pools to the truth, a + b / M, and the bracket."""
    log_prob, on_true, truth = (arrays[k] for k in ("log_prob", "log_prob_true", "log_truth"))
    same = list(range(design.same))
    bootstrap = [design.same + design.copies * g for g in range(design.groups)]
    rng = np.random.default_rng(3)

    def of_pool(members: list[int]) -> np.ndarray:
        pool = logsumexp(on_true[:, members], axis=1) - np.log(len(members))
        return np.maximum(-np.expm1(pool - truth), 0).mean(axis=1)

    found: dict[str, Any] = {}
    for name, members in (("same_data", same), ("bootstrap", bootstrap)):
        sizes = range(1, len(members) + 1)
        squares = []
        for size in sizes:  # all or some pools of this size
            picks = [rng.permutation(members)[:size].tolist() for _ in range(8)]
            squares.append(float(np.mean([(of_pool(p) ** 2).mean() for p in picks])))
        slope, constant = np.polyfit(1 / np.array(sizes), squares, 1)
        off = np.abs(constant + slope / np.array(sizes) - squares).max()
        found[name] = {
            "pool_of": list(sizes),
            "squared_distance": squares,
            "a": float(constant),
            "b": float(slope),
            "largest_deviation": float(off),
        }
    actual = np.mean([of_pool([m]) for m in same], axis=0)
    one = of_pool(same[:1])
    rows = []
    for s in range(len(on_true)):
        bracket = bracketed(
            _apart(log_prob[s], bootstrap), _apart(log_prob[s], same), n_train=design.n_train
        )
        assert bracket.bootstrap is not None and bracket.same_data is not None
        n_typical, n_one = (K1 / actual[s]) ** 2, (K1 / one[s]) ** 2
        rows.append(
            [
                bracket.low < n_typical < bracket.high,
                bracket.low < n_one < bracket.high,
                bracket.bootstrap.value / n_typical,
                bracket.same_data.value / n_typical,
                bracket.high / bracket.low,
            ]
        )
    table = np.array(rows, float)
    found["bracket"] = {
        "sets": len(table),
        "actual_n_equiv": float((K1 / actual.mean()) ** 2),
        "holds_typical_member": float(table[:, 0].mean()),
        "holds_first_member": float(table[:, 1].mean()),
        "error": [_binomial(table[:, c].mean(), len(table)) for c in (0, 1)],
        "bootstrap_over_actual": np.quantile(table[:, 2], [0.16, 0.5, 0.84]).tolist(),
        "same_data_over_actual": np.quantile(table[:, 3], [0.16, 0.5, 0.84]).tolist(),
        "high_over_low": float(np.median(table[:, 4])),
    }
    return found


def _apart(log_prob: np.ndarray, members: list[int]) -> Apart:
    """From log densities [member, source, event] of one set."""
    of_members = log_prob[np.ix_(members, members)]
    source = np.repeat(np.arange(len(members)), of_members.shape[-1])
    return apart(of_members.reshape(len(members), -1), source)


def _binomial(share: float, n: int) -> float:
    return float(np.sqrt(max(share * (1 - share), 1 / n) / n))


def learned(config: Config) -> Iterator[dict[str, Any]]:
    """Gaussian mixtures by their events alone: limits of a learned ratio beside the distances that
    densities give.
    """
    design = config.design
    key = jax.random.key(config.seed + 1)
    params = mixture_members((key, jax.random.fold_in(key, 1)), design, config.learned)
    members = design.same + design.groups * design.copies
    chosen = {
        "same_data": list(range(design.same)),
        "bootstrap": [design.same + design.copies * g for g in range(design.groups)],
    }
    generator = gaussian_mixture()
    assert generator.log_prob is not None
    log_prob = jax.jit(jax.vmap(generator.log_prob, in_axes=(0, None)))
    for s in range(config.learned):
        row: dict[str, Any] = {"set": s}
        for kind, places in chosen.items():
            rows = np.array(places) + s * members
            of_kind = jax.tree.map(lambda leaf, rows=rows: leaf[rows], params)
            key_events = jax.random.fold_in(key, 2 + s)
            x = np.asarray(sample_members(key_events, generator, of_kind, config.learned_events).x)
            found = learned_apart([Events(of_member) for of_member in x])
            density = np.asarray(log_prob(of_kind, x.reshape(-1, 2)))
            exact = apart(density, np.repeat(np.arange(len(x)), x.shape[1]))
            levels = {"level": 0.68, "limit_level": 0.95}
            record = as_record({kind: found}, n_train=design.n_train, learned=True, **levels)
            limit = record[kind]["n_equiv_interval"][1]
            n_exact = (K1 / exact.distance.mean()) ** 2
            row |= {
                f"{kind}_efficiency": float(found.distance.mean() / exact.distance.mean()),
                f"{kind}_exact": float(n_exact),
                f"{kind}_limit": np.inf if limit is None else float(limit),
            }
        yield row


if __name__ == "__main__":
    study.run(main)
