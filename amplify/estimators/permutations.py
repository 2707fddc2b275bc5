"""Exact p-values of two-sample statistics from one set of permutations.

Without a difference every assignment of the labels "generated" and "true" to the pooled events is
as likely as the observed one, so the rank of the observed value among N + 1 assignments is uniform:
p = (1 + k) / (N + 1), k of N permutations being at least as far (Phipson and Smyth,
arXiv:1603.05766; arXiv:2204.02317 for NPLM).
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from amplify.engine import current_engine
from amplify.errors import InputError
from amplify.estimators.differences import Part, parts
from amplify.estimators.statistics.protocol import Distances, Pooled, Statistic
from amplify.progress import Progress, silent

MIN_EVENTS = 10  # of each sample, effective ones
_ROUNDING = 1e-6  # of a value, by which equal ones may differ in single precision


class Null(NamedTuple):
    """A statistic between two samples, and what it would be without a difference.

    Attributes:
        statistic: which one.
        part: the events that it saw, and how they are relabelled.
        distances: of differences over these events, as prepared for them.
        observed: of the two samples.
        permuted: of each relabelling.
    """

    statistic: Statistic
    part: Part
    distances: Distances
    observed: float
    permuted: Float[np.ndarray, " permutation"]

    @property
    def pool(self) -> Pooled:
        """The events that the statistic saw."""
        return self.part.pool

    @property
    def quoted(self) -> float:
        """The number that the field quotes."""
        return self.statistic.quoted(self.observed, self.pool)

    @property
    def centre(self) -> float:
        """What means no difference: 0, or of a signed statistic its mean over all assignments of
        labels, the observed one included, so that none is favoured.
        """
        if not self.statistic.signed:
            return 0.0
        return float((self.observed + self.permuted.sum()) / (1 + len(self.permuted)))

    @property
    def assigned(self) -> Float[np.ndarray, " assignment"]:
        """How far from no difference each assignment of labels is, the observed one first."""
        values = np.concatenate([[self.observed], self.permuted])
        return np.abs(values - self.centre) if self.statistic.signed else values

    def away(self, values: Any) -> Any:
        """How far values of the statistic are from no difference, for estimates; the observed value
        has no part in what that is.
        """
        return np.abs(values - self.permuted.mean()) if self.statistic.signed else values

    @property
    def p(self) -> float:
        """(1 + k) / (N + 1); two-sided for a signed statistic."""
        return float(ranked(self.assigned)[0])

    @property
    def z(self) -> float:
        """Standard deviations that a Gaussian would exceed, one-sided, with probability p."""
        return significance(self.p)


def permute(
    statistics: Iterable[Statistic],
    generated: Any,
    holdout: Any,
    *,
    weight_gen: Any = None,
    weight_holdout: Any = None,
    permutations: int = 1000,
    seed: int = 0,
    sizes: Collection[int] = (),
    progress: Progress = silent,
) -> dict[str, Null]:
    """Each statistic between two samples, and between the samples that the same permutations make
    of them.

    A permutation is named by its number, so that fewer of them are the first of more. Memory does
    not grow with their number. With weights, each event takes its own along; p-values are exact
    where weights are drawn alike in both samples, and approximate else (docs/method, One scale for
    every statistic).

    >>> from amplify.estimators.statistics import MEAN_KS
    >>> rng = np.random.default_rng(0)
    >>> samples = rng.normal(size=(100, 2)), rng.normal(0.8, 1, size=(100, 2))
    >>> permute([MEAN_KS], *samples, permutations=99)["mean_ks"].p
    0.01

    Args:
        statistics: of `amplify.estimators.statistics`.
        generated: events of one sample [n, dim].
        holdout: events of the other [m, dim].
        weight_gen: event weights [n], or None.
        weight_holdout: the same of the holdout.
        permutations: N; the smallest p is 1 / (N + 1).
        seed: of permutations, of random directions, centres and parts of the samples.
        sizes: `most` of statistics of other calls that are to have the same permutations.
        progress: watches.

    Returns:
        By the name of the statistic.

    Raises:
        InputError: samples of which no statistic can be made, no permutations.
    """
    chosen = list(statistics)
    weight_gen = checked("generated events", generated, weight_gen)
    weight_holdout = checked("holdout", holdout, weight_holdout)
    if generated.shape[1] != holdout.shape[1]:
        got = f"{generated.shape[1]} and {holdout.shape[1]}"
        fix = "choose the same columns of both samples"
        raise InputError("columns", "as many in both samples", got, fix)
    if permutations < 1:
        fix = "1000 are usual"
        raise InputError("permutations", "at least one", str(permutations), fix)
    most = {statistic.most for statistic in chosen} | set(sizes)
    seen = parts(generated, holdout, weight_gen, weight_holdout, most, seed)
    found = {}
    tasks = [(statistic, seen[statistic.most], permutations, seed) for statistic in chosen]
    # given out one after the other, they are computed in this loop, where progress is heard
    engine = current_engine()
    elsewhere = engine.in_order(_values, tasks) if engine.remote else None
    for task in tasks:
        statistic, part, *_ = task
        with progress(statistic.title, total=permutations) as bar:
            distances = statistic.prepare(part.pool, seed)
            if elsewhere is None:
                observed, permuted = _values(*task, distances, bar.advance)
            else:
                observed, permuted = next(elsewhere)
                bar.advance(permutations)
            found[statistic.name] = Null(statistic, part, distances, observed, permuted)
    return found


def _values(
    statistic: Statistic,
    part: Part,
    permutations: int,
    seed: int,
    distances: Distances | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[float, Float[np.ndarray, " permutation"]]:
    """A statistic, observed and of every permutation."""
    distances = statistic.prepare(part.pool, seed) if distances is None else distances
    permuted = np.empty(permutations)
    observed = np.nan
    for start, stop in part.batches(permutations):
        # the observed difference is computed beside others, that rounding be alike
        differences = part.relabelled(start, stop)
        if start == 0:
            differences = np.concatenate([part.pool.difference[None], differences])
        values = np.asarray(distances(differences), np.float64)
        if start == 0:
            observed, values = float(values[0]), values[1:]
        permuted[start:stop] = values
        advance(stop - start)
    return observed, permuted


def ranked(
    values: Float[np.ndarray, "*shape assignment"],
) -> Float[np.ndarray, "*shape assignment"]:
    """The p-value of each assignment of labels: the share of all that are at least as far, itself
    included. Values that differ by rounding count as equal.

    >>> ranked(np.array([3.0, 1.0, 2.0, 2.0])).tolist()
    [0.25, 1.0, 0.75, 0.75]
    """
    ordered = np.sort(values, axis=-1)
    size = np.median(np.abs(values), axis=-1, keepdims=True)
    least = values - _ROUNDING * np.maximum(np.abs(values), size)
    flat = zip(
        ordered.reshape(-1, values.shape[-1]), least.reshape(-1, values.shape[-1]), strict=True
    )
    below = np.stack([np.searchsorted(row, at) for row, at in flat]).reshape(values.shape)
    return (values.shape[-1] - below) / values.shape[-1]


def significance(p: float) -> float:
    """Z, the standard deviations that a Gaussian exceeds with probability p.

    >>> round(significance(0.00135), 3)
    3.0
    """
    return float(-ndtri(p))


def checked(name: str, x: Any, weight: Any) -> np.ndarray | None:
    """The weights of a sample, whose events and weights are what they must be.

    Raises:
        InputError: events that are no table of finite numbers, weights that are not finite, too few
            events.
    """
    if np.ndim(x) != 2:
        fix = "give [event, column]"
        raise InputError(name, "a table of numbers", f"shape {np.shape(x)}", fix)
    infinite = int((~np.isfinite(x)).any(axis=1).sum())
    if infinite:
        got = f"{infinite} with values that are not"
        raise InputError(name, "finite numbers", got, "drop them or repair the columns")
    n = float(len(x))
    if weight is not None:
        weight = np.asarray(weight, np.float64)
        if weight.shape != (len(x),) or not np.isfinite(weight).all():
            got = f"shape {weight.shape}, or nan or infinity"
            raise InputError(f"weights of {name}", f"{len(x)} finite numbers", got, "repair them")
        total, square = weight.sum(), (weight**2).sum()
        n = total**2 / square if total > 0 else 0.0
    if n < MIN_EVENTS - 1e-6:
        got = f"{n:.3g}"
        raise InputError(name, f"at least {MIN_EVENTS} (effective) events", got, "give more events")
    return weight
