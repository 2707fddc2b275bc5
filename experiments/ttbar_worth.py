"""What is measured on generated top pairs after the cuts, and what it says over training sets: for
networks and for the pool of bootstrap members, distances in observables, integrals over regions
with their estimates, and a learned distance event by event.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from amplify import regions as rg
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.differential import differential_amplification
from amplify.estimators.learned import split
from amplify.results.records import finite
from amplify.types import Events, Holdout, Status
from experiments.ttbar_analysis import BINS, BULK, COLUMN, NAMES, features, ks_of, learner, table

TAILS = {
    "m_tt_gev": ("m_tt [GeV]", 1000.0),
    "pt_t_gev": ("pT_t [GeV]", 400.0),
    "pt_tt_gev": ("pT_tt [GeV]", 200.0),
    "y_t": ("y_t", 2.0),
    "delta_r_min": ("Delta R", 1.3),
}
SEVEN = ("m_tt_gev", "pt_t_gev", "pt_tt_gev", "y_t", "m_wplus_gev", "pt_b_gev", "delta_r_min")
CELLS = 3  # of m_tt and of pT_t, equiprobable ones
_LEARNED_TRUE = 200_000  # true events that a learned distance sees


class Worth:
    """The truth, and where it is looked at.

    Attributes:
        momenta: of true events [n_truth, 6, 4] in GeV.
        observed: their observables [n_truth, 14].
        regions: of the table of observables.
        integral: true fractions [region].
        held: the same of a user's holdout.
        groups: names of regions that belong together, and their places.
    """

    def __init__(
        self, momenta: np.ndarray, holdout: np.ndarray, passes: Callable[[Any], Any]
    ) -> None:
        self.momenta, self.passes = momenta, passes
        self.observed = table(momenta)
        self.regions, self.groups = _regions(self.observed)
        self.integral = rg.fractions(rg.count(self.regions, self.observed)).integral
        self.held = rg.fractions(rg.count(self.regions, table(holdout))).integral


def _regions(truth: np.ndarray) -> tuple[rg.Regions, dict[str, list[int]]]:
    """Ten bins, bulk and tail of three observables, two more tails, and cells of m_tt and pT_t."""
    regions, groups, count = [], {}, 0

    def add(name: str, several: rg.Regions) -> None:
        nonlocal count
        regions.append(several)
        groups[name] = list(range(count, count + len(several.labels)))
        count += len(several.labels)

    for name, short in NAMES.items():
        label, threshold = TAILS[name]
        observable, values = rg.column(COLUMN[name]), truth[:, COLUMN[name]]
        add(f"{short}, ten bins", rg.equiprobable(truth, observable, BINS, label))
        add(f"{short}, bulk", rg.bins(observable, list(np.quantile(values, BULK)), label))
        add(f"{short}, tail", rg.tail(observable, threshold, label))
    for name in ("y_t", "delta_r_min"):
        label, threshold = TAILS[name]
        add(f"{label}, tail", rg.tail(rg.column(COLUMN[name]), threshold, label))
    add("m_tt x pT_t", rg.join(*_cells(truth)))
    return rg.join(*regions), groups


def _cells(truth: np.ndarray) -> list[rg.Regions]:
    columns = [COLUMN[name] for name in ("m_tt_gev", "pt_t_gev")]
    edges = [np.quantile(truth[:, c], np.linspace(0, 1, CELLS + 1)) for c in columns]
    for of_column in edges:
        of_column[[0, -1]] = -np.inf, np.inf
    cells = []
    for i in range(CELLS):
        for j in range(CELLS):
            low = np.full(truth.shape[1], -np.inf)
            high = np.full(truth.shape[1], np.inf)
            for column, of_column, k in zip(columns, edges, (i, j), strict=True):
                low[column], high[column] = of_column[k], of_column[k + 1]
            cells.append(rg.box(low, high, f"m_tt third {i + 1}, pT_t third {j + 1}"))
    return cells


def measured(
    worth: Worth,
    name: str,
    momenta: list[np.ndarray],
    efficiency: np.ndarray,
    *,
    same: int,
    learned: bool,
    seed: int,
) -> dict[str, np.ndarray]:
    """Of the networks of one training set: the first ones learned from the set itself, and are also
    looked at as a pool if there are several; the others learned from bootstrap samples of it.

    Args:
        worth: the truth.
        name: of these networks, the beginning of the keys.
        same: how many learned from the set itself.
        momenta: of each network's events that pass [n_gen, 6, 4] in GeV.
        efficiency: share of its candidates that passed [network].
        learned: also the learned distance event by event.
        seed: of its split.
    """
    observed = [table(p) for p in momenta]
    result = {
        f"{name}_integral": np.stack(
            [rg.fractions(rg.count(worth.regions, o)).integral for o in observed]
        ),
        f"{name}_efficiency": efficiency,
        f"{name}_ks": _ks(worth, observed[0]),
    }
    if learned:
        result[f"{name}_distance"] = distance(worth, momenta[0], seed)
    if same > 1:
        result["pool_ks"] = _ks(worth, np.concatenate(observed[:same]))
        if learned:
            result["pool_distance"] = distance(worth, np.concatenate(momenta[:same]), seed)
    return result


def _ks(worth: Worth, observed: np.ndarray) -> np.ndarray:
    return np.array([ks_of(observed[:, COLUMN[n]], worth.observed[:, COLUMN[n]]) for n in SEVEN])


def distance(worth: Worth, generated: np.ndarray, seed: int) -> np.ndarray:
    """D in a ratio learned from half of both samples and tested on the other half, and the upper
    limit on n_equiv at 95 %: (D, n_equiv limit). A learned D is at most the actual one.
    """
    rng = np.random.default_rng(seed)
    events = rng.permutation(generated)[:_LEARNED_TRUE]
    x_gen, x_true = features(events), features(worth.momenta[:_LEARNED_TRUE])
    halves = split(learner(x_gen.shape[1]), Events(x_gen), Events(x_true), seed=seed)
    t_gen, t_true = (halves.summary(part.x) for part in (halves.generated, halves.holdout))
    found = differential_amplification(t_gen, t_true, n_train=1, learned=True)
    return np.array([found.distance.value[0], found.n_equiv.high[0]])


class _Size(NamedTuple):
    n_train: int
    n_gen: int
    n_holdout: int
    same: int


def summarised(
    worth: Worth,
    sets: list[dict[str, np.ndarray]],
    *,
    n_train: int,
    n_gen: int,
    n_holdout: int,
    same: int,
) -> dict[str, Any]:
    """Means over the training sets, by generator and group of regions. The first `same` networks of
    a set learned from it, the others from bootstrap samples of it.

    Actual squared errors are in units of sigma_n^2 = I (1 - I) / n_train, with the noise of
    generated events and of the truth taken off; actual G is the inverse of their mean.
    """
    size = _Size(n_train, n_gen, n_holdout, same)
    result: dict[str, Any] = {
        "n_train": n_train,
        "sets": len(sets),
        "members_of_pool": same,
        "bootstrap_members": len(sets[0]["truncated_integral"]) - same,
        "observables": SEVEN,
    }
    by_generator = {
        "plain": [s["plain_integral"][:1] for s in sets if "plain_integral" in s],
        "member": [s["truncated_integral"][:same] for s in sets],
        "pool": [s["truncated_integral"][:same].mean(axis=0)[None] for s in sets],
    }
    events = {"plain": n_gen, "member": n_gen, "pool": n_gen * same}
    for generator, integrals in by_generator.items():
        if not integrals:
            continue
        name = {"member": "truncated"}.get(generator, generator)
        squares = _squares(worth, np.stack(integrals), size, events[generator])
        mean = np.stack(integrals).mean(axis=(0, 1))
        result[generator] = {
            "ks": np.mean([s[f"{name}_ks"] for s in sets if f"{name}_ks" in s], axis=0),
            "groups": {g: _actual(squares[:, places]) for g, places in worth.groups.items()},
            "deviation": (mean - worth.integral) / np.sqrt(_unit(worth, size)),
            **_distances(sets, name),
        }
        if generator != "pool":
            found = [s[f"{name}_efficiency"] for s in sets if f"{name}_efficiency" in s]
            result[generator]["efficiency"] = np.array([of_set[:same].mean() for of_set in found])
            seconds = [s[f"{name}_cpu_seconds"] for s in sets if f"{name}_cpu_seconds" in s]
            result[generator]["cpu_seconds"] = np.mean(seconds)
    result["estimate"] = _estimated(worth, sets, size)
    for group, values in result["pool"]["groups"].items():
        member = result["member"]["groups"][group]["amplification"]
        pool = values["amplification"]
        print(f"n_train {n_train}, {group}: G member {member:.2f}, pool {pool:.2f}")
    return finite(result)


def _unit(worth: Worth, size: _Size) -> np.ndarray:
    return worth.integral * (1 - worth.integral) / size.n_train


def _squares(worth: Worth, integrals: np.ndarray, size: _Size, n_gen: int) -> np.ndarray:
    """Squared errors [set, region] of integrals [set, network, region] in units of sigma_n^2, noise
    taken off; means over the networks of a set.
    """
    noise = integrals * (1 - integrals) / n_gen
    of_truth = worth.integral * (1 - worth.integral) / len(worth.observed)
    squares = (integrals - worth.integral) ** 2 - noise - of_truth
    return squares.mean(axis=1) / _unit(worth, size)


def _actual(squares: np.ndarray) -> dict[str, Any]:
    """Of a group [set, region]: mean squared error, its error over the sets, and G."""
    per_set = squares.mean(axis=1)
    error = per_set.std(ddof=1) / np.sqrt(len(per_set)) if len(per_set) > 1 else np.nan
    mean = per_set.mean()
    ends = [_inverse(mean + sign * error) for sign in (1, -1)]
    return {
        "squared_error": mean,
        "error": error,
        "amplification": _inverse(mean),
        "amplification_interval": ends,
    }


def _inverse(square: float) -> float:
    """G of a squared error in units of sigma_n^2; infinite where the noise hides the error."""
    return 1 / square if square > 0 else np.inf


def _distances(sets: list[dict[str, np.ndarray]], name: str) -> dict[str, Any]:
    """Of a learned ratio, which sees a part of the difference: n_equiv has an upper limit."""
    found = np.array([s[f"{name}_distance"] for s in sets if f"{name}_distance" in s])
    if not len(found):
        return {}
    return {
        "distances": found[:, 0],
        "distance": found[:, 0].mean(),
        "n_equiv_below": np.median(found[:, 1]),
    }


def _filled(values: Any, where: np.ndarray) -> np.ndarray:
    """Values of some regions among all; nan elsewhere."""
    every = np.full(where.shape, np.nan)
    every[where] = np.asarray(values)
    return every


def _estimated(worth: Worth, sets: list[dict[str, np.ndarray]], size: _Size) -> dict[str, Any]:
    """What a user with one training set, its bootstrap members and a holdout says of a member,
    against the actual error over the sets.
    """
    actual = np.stack([s["truncated_integral"][: size.same] for s in sets])
    squares = _squares(worth, actual, size, size.n_gen).mean(axis=0)  # [region]
    spreads, inside, biased = [], [], []
    for s in sets:
        members = s["truncated_integral"][size.same :]
        some = members.sum(axis=0) > 0  # a short run may leave a tail empty
        with jax.enable_x64(True):
            estimate = averaging_amplification(
                members[:, some],
                n_train=size.n_train,
                n_gen=size.n_gen,
                holdout=Holdout(worth.held[some], size.n_holdout),
            )
        noise = (members * (1 - members) / size.n_gen).mean(axis=0)
        spreads.append((members.var(axis=0, ddof=1) - noise) / _unit(worth, size))
        low, high = (_filled(end, some) / size.n_train for end in estimate.n_equiv[1:])
        g = np.array([_inverse(square) for square in squares])
        inside.append((low <= g) & (g <= high))
        biased.append(_filled(estimate.status, some) == Status.BIASED)
    spread, covered = np.mean(spreads, axis=0), np.mean(inside, axis=0)
    return {
        "ratio_of_sigma": {
            g: np.sqrt(max(spread[places].mean(), 0) * max(_inverse(squares[places].mean()), 0))
            for g, places in worth.groups.items()
        },
        "squared_error": squares,
        "spread": spread,
        "covered": covered,
        "covered_share": {g: covered[places].mean() for g, places in worth.groups.items()},
        "regions_covered_in_half_of_the_sets": int((covered >= 0.5).sum()),
        "marked": np.mean(biased, axis=0),
    }
