"""Do members agree with the events that they were trained on, in many bins at once?

A generator follows the fluctuations of its training events as far as it can, so the differences are
smaller than those of independent events: chi^2 with as many degrees of freedom as independent
events have is more than one expects (Chernoff and Lehmann, Ann. Math. Statist. 25 (1954) 579, for
fits of maximum likelihood). What exceeds it is a bias (docs/method, Bias without a holdout).
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special

from amplify.estimators.averaging import MIN_EVENTS
from amplify.estimators.same_data import Agreement
from amplify.types import Holdout


def agreement_in_bins(integral: Float[np.ndarray, "member bin"], truth: Holdout) -> Agreement:
    """Pearson's chi^2 of the training events and the mean member in bins that are disjoint and
    together everything.

    >>> members = np.array([[0.40, 0.35, 0.25], [0.42, 0.34, 0.24]])
    >>> agreement_in_bins(members, Holdout(np.array([0.3, 0.4, 0.3]), 1000)).improbable
    True

    Args:
        integral: fraction of each member's generated events in each bin.
        truth: fractions of the training events, and how many there are, effective ones for weights.

    Returns:
        chi^2 over its degrees of freedom, and the probability of so much; bins with few events are
        looked at together. A ratio of nan with probability 1 where fewer than two are left.
    """
    mean, spread = integral.mean(axis=0), integral.var(axis=0, ddof=1) / len(integral)
    n: Any = np.broadcast_to(np.asarray(truth.n, np.float64), mean.shape)
    few = np.minimum(mean, truth.integral) * n < MIN_EVENTS
    apart = np.asarray(truth.integral) - mean
    used = ~few & (mean > 0)
    # the others are one bin, whose content is what is left
    rest = max(1 - float(mean[used].sum()), 0.0)
    squares = (n * apart**2)[used] / mean[used]
    binomial = (mean * (1 - mean) / n)[used]
    total, degrees = float(squares.sum()), int(used.sum()) - 1
    if rest * n.min() >= MIN_EVENTS and few.any():
        total += float(n.min() * apart[used].sum() ** 2 / rest)
        degrees += 1
    if degrees < 1:
        return Agreement(np.nan, 1.0)
    total /= 1 + float(spread[used].sum() / binomial.sum())
    return Agreement(total / degrees, float(special.chdtrc(degrees, total)))
