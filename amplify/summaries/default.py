"""The learner that commands and studies use unless told otherwise."""

from amplify.summaries import Learner, LogProb
from amplify.summaries.atoms import atoms_first, linear_moved
from amplify.summaries.bumps import bumps
from amplify.summaries.condensed import condensing
from amplify.summaries.least_squares import least_squares_ratio
from amplify.summaries.margins import margins
from amplify.summaries.polynomial import polynomials


def learned_ratio(log_prob: LogProb | None = None) -> Learner:
    """Polynomials for smooth differences, a few bumps for local ones and bumps in single columns
    for narrow ones, averaged; a tenth of a second, no settings to choose. Values that one sample
    alone has are told apart first, and more than 30 columns are condensed to few numbers.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> learn = learned_ratio()
    >>> t = learn(rng.normal(0.5, 1, (20_000, 1)), rng.normal(0, 1, (1000, 1)))
    >>> (t(np.array([[-2.0], [2.0]])) <= 0).tolist()  # truth is the denser one on the left
    [True, False]

    Args:
        log_prob: of the generator where it is known, one feature more: events [n, dim] -> [n].
    """

    def few(known: LogProb | None) -> Learner:
        return least_squares_ratio((polynomials(), bumps(), margins()), known)

    def of_condensed() -> Learner:
        # what was chosen for its mean differs linearly, if the events are few
        families = polynomials((1, 2, 4, 6)), bumps(), margins()
        return least_squares_ratio(families)

    return atoms_first(condensing(few, log_prob, of_condensed), linear_moved)
