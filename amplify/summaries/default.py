"""The learner that commands and studies use unless told otherwise."""

from amplify.summaries import Learner, LogProb
from amplify.summaries.bumps import bumps
from amplify.summaries.least_squares import least_squares_ratio
from amplify.summaries.polynomial import polynomials


def learned_ratio(log_prob: LogProb | None = None) -> Learner:
    """Polynomials for smooth differences and a few bumps for local ones, averaged; a tenth of a
    second, no settings to choose.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> learn = learned_ratio()
    >>> t = learn(rng.normal(0.5, 1, (20_000, 1)), rng.normal(0, 1, (1000, 1)))
    >>> (t(np.array([[-2.0], [2.0]])) <= 0).tolist()  # truth is the denser one on the left
    [True, False]

    Args:
        log_prob: of the generator where it is known, one feature more: events [n, dim] -> [n].
    """
    return least_squares_ratio((polynomials(), bumps()), log_prob)
