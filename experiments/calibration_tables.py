"""What the calibration study says of its integrals: ratios of estimated to actual errors, bias and
variance apart, and how often intervals on G are true.

The actual error is that of networks trained on independent training sets as they are, against the
truth: the network that a user has in hand. Bayesian draws are also compared with the error of their
own mean, which is what a posterior speaks of.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.pooled import pooled_amplification
from amplify.estimators.refit import refit_amplification
from amplify.types import Interval
from experiments.problems import Problem

POSTERIORS = ("variational", "sgmcmc", "nuts", "dropout")
PACKAGED, N_TRAIN = "coupling", 1000  # generator and training events of the packaged table
LEVELS = np.arange(1, 20) * 0.05
_REPETITIONS = 1000  # of the bootstrap over training sets


class Integrals(NamedTuple):
    """Of one generator, problem and n_train, all [set, member, region].

    Attributes:
        networks: trained on each set as it is.
        members: of the method, on the same sets or on some of them.
        pool: for refits, the bootstrap members whose pool they learned from.
    """

    networks: np.ndarray
    members: np.ndarray
    pool: np.ndarray | None = None


def estimated(found: Integrals) -> np.ndarray:
    """sigma_model^2 that each set's members claim [set, region]."""
    if found.pool is None:
        return found.members.var(axis=1, ddof=1)
    truth = found.pool.mean(axis=1, keepdims=True)
    return ((found.members - truth) ** 2).mean(axis=1)


def actual(networks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Squared error of the networks of each set [set, region]."""
    return ((networks - truth) ** 2).mean(axis=1)


def squared_bias(networks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Of all networks in common, less the scatter of its estimate [region]; may come out below
    zero.
    """
    of_sets = networks.mean(axis=1)
    scatter = of_sets.var(axis=0, ddof=1) / len(of_sets)
    return (of_sets.mean(axis=0) - truth) ** 2 - scatter


def ratios(found: Integrals, problem: Problem, seed: int = 0) -> dict[str, Any]:
    """sqrt(estimated / actual), pooled over the bins, over the tails, and for each tail, with 68 %
    intervals from drawing training sets again: the same ones for both.
    """
    claimed, true = estimated(found), actual(found.networks, problem.truth)
    center = found.members.mean(axis=1, keepdims=True)
    own = actual(center, problem.truth)
    groups = {"bulk": problem.bulk, "tail": problem.tail}
    result: dict[str, Any] = {}
    for name, error in (("", true), ("own_", own)):
        for group, regions in groups.items():
            result[name + group] = _with_interval(claimed, error, regions, seed)
        each = [_with_interval(claimed, error, [region], seed) for region in problem.tail]
        result[f"{name}tails"] = each
        result[f"{name}regions"] = np.sqrt(claimed.mean(axis=0) / error.mean(axis=0))
    return result


def transfer_variance(found: Integrals, problem: Problem, seed: int = 0) -> float:
    """tau^2, what is left of the mean of ln(estimated / actual sigma)^2 over sets and regions when
    chi^2 of so few members, and the few networks behind the actual error, have had their part. It
    holds the spread of spreads over training sets, regions and problems, and their common factor.
    """
    degrees = found.members.shape[1] - 1
    claimed, true = estimated(found), actual(found.networks, problem.truth)
    of_chi2 = special.digamma(degrees / 2) - np.log(degrees / 2)
    away = np.log(claimed / true.mean(axis=0)) - of_chi2
    pick = np.random.default_rng(seed).integers(0, len(true), (_REPETITIONS, len(true)))
    of_truth = np.log(true[pick].mean(axis=1)).var(axis=0, ddof=1)
    return float((away**2 - special.polygamma(1, degrees / 2) - of_truth).mean() / 4)


def packaged(found: dict[str, Any]) -> dict[str, Any]:
    """The table that reports speak from: of the default generator, a ratio for each problem whose
    training sets served for no choice, and the transfer that the others gave. Draws of a posterior
    are compared with the error of their own mean: whoever has them generates with them.
    """
    kinds: dict[str, dict[str, list[float]]] = {}
    for row in found["ratios"]:
        if row["chosen"] or row["generator"] != PACKAGED:
            continue
        kind = kinds.setdefault(row["method"].replace(" ", "-"), {"bulk": [], "tail": []})
        whose = "own_" if row["method"] in POSTERIORS else ""
        for group, values in kind.items():
            values.append(round(row[whose + group][0], 2))
    return {"n_train": N_TRAIN, "transfer": round(found["transfer"], 2), "kinds": kinds}


def _with_interval(claimed: np.ndarray, true: np.ndarray, regions: Any, seed: int) -> list[float]:
    """Pooled ratio and the ends of its interval."""
    a, b = claimed[:, regions].sum(axis=1), true[:, regions].sum(axis=1)
    rng = np.random.default_rng(seed)
    if len(a) == len(b):
        pick = rng.integers(0, len(a), (_REPETITIONS, len(a)))
        drawn = np.sqrt(a[pick].mean(axis=1) / b[pick].mean(axis=1))
    else:  # members on some of the sets only
        picks = [rng.integers(0, len(v), (_REPETITIONS, len(v))) for v in (a, b)]
        drawn = np.sqrt(a[picks[0]].mean(axis=1) / b[picks[1]].mean(axis=1))
    low, high = np.quantile(drawn, [0.16, 0.84])
    return [float(np.sqrt(a.mean() / b.mean())), float(low), float(high)]


def of_networks(networks: np.ndarray, problem: Problem, n_train: int) -> dict[str, Any]:
    """Actual G by region, and which share of the squared error is a bias in common."""
    true = actual(networks, problem.truth).mean(axis=0)
    bias = squared_bias(networks, problem.truth)
    binomial = problem.truth * (1 - problem.truth) / n_train
    of_sets = networks.mean(axis=1).mean(axis=0) - problem.truth
    groups = {"bulk": problem.bulk, "tail": problem.tail}
    shares = {
        f"bias_share_{name}": float(bias[regions].sum() / true[regions].sum())
        for name, regions in groups.items()
    }
    pooled = {
        f"actual_amplification_{name}": float(binomial[regions].sum() / true[regions].sum())
        for name, regions in groups.items()
    }
    return {
        **shares,
        **pooled,
        "actual_amplification": binomial / true,
        "bias_in_sigma_n": of_sets / np.sqrt(binomial),
        "variance_in_sigma_n": (true - bias) / binomial,
    }


def _factors(found: Integrals, n_train: int, level: float, settings: Any) -> Any:
    """Interval of G of every set and region [set, region], all at once."""
    sets, _, regions = found.members.shape

    def in_a_row(integral: np.ndarray) -> np.ndarray:
        return np.moveaxis(integral, 1, 0).reshape(integral.shape[1], sets * regions)

    common = {"n_train": n_train, "level": level}
    if found.pool is not None:
        estimate = refit_amplification(in_a_row(found.members), in_a_row(found.pool), **common)
    else:
        estimate = averaging_amplification(in_a_row(found.members), **common, **settings)
    return Interval(*(end.reshape(sets, regions) for end in estimate.factor))


def _inside_pooled(found: Integrals, problem: Problem, n_train: int, error: np.ndarray) -> Any:
    """Whether the interval at 68 % of all bins of an observable is true [set, observable]."""
    binomial, inside = problem.truth * (1 - problem.truth), []
    for k in range(int(problem.observable.max()) + 1):
        bins = problem.bulk[problem.observable[problem.bulk] == k]
        true = binomial[bins].sum() / error[bins].sum() / n_train
        fractions = found.members[..., bins]
        fractions = fractions / fractions.sum(axis=2, keepdims=True)  # rounding
        each = [pooled_amplification(of_set, n_train=n_train)[0] for of_set in fractions]
        inside.append([g.low <= true <= g.high for g in each])
    return np.transpose(inside)


def coverage(found: Integrals, problem: Problem, n_train: int, **settings: Any) -> dict[str, Any]:
    """Share of sets whose interval is true, at LEVELS and at 68 %, in the bins, in the tails and
    for all bins of an observable together, with standard errors over the sets.
    """
    error = actual(found.networks, problem.truth).mean(axis=0)
    true = problem.truth * (1 - problem.truth) / error / n_train
    intervals = [_factors(found, n_train, level, settings) for level in (*LEVELS, 0.68)]
    inside = np.array([(g.low <= true) & (true <= g.high) for g in intervals])
    groups = {"bulk": problem.bulk, "tail": problem.tail}
    result: dict[str, Any] = {"sets": len(found.members), "levels": LEVELS}
    for name, regions in groups.items():
        share, spread = _mean_over_sets(inside[:, :, regions].mean(axis=2))
        at_68 = {"at_68": float(share[-1]), "at_68_error": float(spread[-1])}
        result[name] = {"observed": share[:-1], "error": spread[:-1], **at_68}
    if found.pool is None:
        pooled = _inside_pooled(found, problem, n_train, error).mean(axis=1)
        share, spread = _mean_over_sets(pooled[None])
        result["pooled"] = {"at_68": float(share[0]), "at_68_error": float(spread[0])}
    result["at_68_by_region"] = inside[-1].mean(axis=0)
    result["median_value_over_actual"] = float(np.median(intervals[-1].value / true))
    return result


def _mean_over_sets(of_sets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the sets [level, set], and its standard error."""
    return of_sets.mean(axis=1), of_sets.std(axis=1, ddof=1) / np.sqrt(of_sets.shape[1])
