"""Differential amplification without truth and without a holdout: how far a member is from the pool
of the others (docs/method, Forecast without a holdout).

The others stand in for the truth. Members of the same data share what their training set left to
chance, so they are closer to one another than to the truth: their n_equiv is an upper bound.
Members of bootstrap samples are about twice as far from the truth as it left them, in squares, and
further from one another than a member of the data itself is from the truth: theirs is too low.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp, ndtri

from amplify.errors import InputError, NeedsMembersError
from amplify.estimators.kolmogorov import K1
from amplify.types import Interval


class Apart(NamedTuple):
    """How far each member is from the pool of the others.

    Attributes:
        distance: D [member]; of unbiased estimates, which may be negative.
        error: standard deviation of each from the finite number of events [member].
    """

    distance: Float[np.ndarray, " member"]
    error: Float[np.ndarray, " member"]


class Bracket(NamedTuple):
    """What a member is worth event by event, from members alone.

    Attributes:
        bootstrap: n_equiv from bootstrap members, too low on average; None without them.
        same_data: n_equiv from members of the same data, too high; None without them.
        low: lower end of the bracket, 0 where there is none.
        high: upper end of the bracket, infinite where there is none.
    """

    bootstrap: Interval | None
    same_data: Interval | None
    low: float
    high: float


def apart(log_prob: Any, source: Any) -> Apart:
    """Distance of each member to the pool of the others from log densities, D_m = E_pool[(1 - p_m /
    p_pool)_+] over the events that the others generated: their total variation.

    >>> x = np.random.default_rng(0).normal(size=4000)  # as if both members had made them
    >>> log_prob = np.stack([-(x**2) / 2, -(x**2) / 2])
    >>> apart(log_prob, np.arange(4000) % 2).distance.tolist()
    [0.0, 0.0]

    Args:
        log_prob: of each event under each member [member, event].
        source: which member generated the event [event]; all generated as many.

    Raises:
        NeedsMembersError: fewer than two members.
        InputError: shapes that do not fit, or densities that are nan.
    """
    density, source = np.asarray(log_prob, float), np.asarray(source)
    if density.ndim != 2 or len(density) < 2:
        fix = "train more members"
        raise NeedsMembersError("members", "at least 2, better 4 or more", f"{len(density)}", fix)
    if source.shape != density.shape[1:] or np.isnan(density).any():
        expected, fix = "log densities [member, event] and a source [event]", "check both"
        raise InputError("log_prob", expected, f"shape {density.shape}, or nan", fix)
    distance, error = [], []
    for m in range(len(density)):
        of_others = density[:, source != m]
        pool = logsumexp(np.delete(of_others, m, axis=0), axis=0) - np.log(len(density) - 1)
        missing = np.maximum(-np.expm1(of_others[m] - pool), 0.0)
        distance.append(missing.mean())
        error.append(missing.std() / np.sqrt(max(missing.size, 1)))
    return Apart(np.array(distance), np.array(error))


def n_equiv_of(found: Apart, *, n_train: float, level: float = 0.68) -> Interval:
    """What a typical member is worth, (K1 / D)^2, with a pool of infinitely many others in place of
    the truth.

    A pool of M - 1 others is off by 1 / (M - 1) of a member's own squared deviation, so D^2 counts
    (M - 1) / M. The mean of the members' D is used, since the mean of G has a heavy tail. The error
    has the scatter of the members, their finite events, and how lucky the one training set was: D^2
    of k parameters is chi^2 with k = 2 pi n_train D^2 degrees of freedom (docs/method, Differential
    amplification), so D scatters by 1 / sqrt(4 pi n_train), whatever it is.

    >>> found = Apart(np.array([0.1, 0.1]), np.array([0.001, 0.001]))
    >>> round(float(n_equiv_of(found, n_train=1000).value), 1)
    150.9

    Args:
        found: by `apart`, or learned from events.
        n_train: training events.
        level: of the interval, central.
    """
    members = len(found.distance)
    shrink = np.sqrt((members - 1) / members)
    mean = shrink * float(found.distance.mean())
    scatter = found.distance.var(ddof=1) / members
    of_members = shrink**2 * max(scatter, (found.error**2).mean() / members)
    luck = 1 / (4 * np.pi * n_train)
    reach = float(ndtri((1 + level) / 2) * np.sqrt(of_members + luck))
    return Interval(*(_worth(d) for d in (mean, mean + reach, mean - reach)))


def bracketed(
    bootstrap: Apart | None = None,
    same_data: Apart | None = None,
    *,
    n_train: float,
    level: float = 0.68,
) -> Bracket:
    """Bootstrap members bound what a member is worth from below, same-data members from above;
    both with their error.

    >>> found = Apart(np.array([0.1, 0.12, 0.11]), np.full(3, 0.001))
    >>> bracket = bracketed(found, n_train=1000)
    >>> round(bracket.low), bracket.high
    (76, inf)

    Args:
        bootstrap: how far bootstrap members are from one another.
        same_data: the same of members of the same data.
        n_train: training events.
        level: of the errors, two-sided.

    Raises:
        NeedsMembersError: neither of both.
    """
    if bootstrap is None and same_data is None:
        fix = "give bootstrap members, members of the same data, or both"
        raise NeedsMembersError("members", "of one kind at least", "none", fix)
    lower = None if bootstrap is None else n_equiv_of(bootstrap, n_train=n_train, level=level)
    upper = None if same_data is None else n_equiv_of(same_data, n_train=n_train, level=level)
    low = 0.0 if lower is None else float(lower.low)
    high = np.inf if upper is None else float(upper.high)
    return Bracket(lower, upper, low, high)


def _worth(distance: float) -> float:
    return (K1 / distance) ** 2 if distance > 0 else np.inf
