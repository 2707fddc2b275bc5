"""Do members agree with one another better than trainings on samples of their own would?

Members that were trained on the same events scatter by the randomness of training alone. Two things
tell, as far as data can. With a holdout: the truth is further from the mean member than their
spread explains (as it is where they have a common bias). Without: the means of columns, which any
generator learns about as well as its training events have them, scatter less than those of
bootstrap samples.

Both compare traces of a covariance, as Dempster's criterion does (Ann. Math. Statist. 29 (1958)
995): a sum over regions or functions of the columns against its expectation, with as many degrees
of freedom as the eigenvalues of the members' covariance S count, (tr S)^2 / tr S^2, for each of
M - 1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from amplify.types import Holdout

IMPROBABLE = 0.002  # nominal; tests/estimators/test_same_data.py has what simulations give
MEMBERS = 6  # of fewer the covariance is not known well enough


class Agreement(NamedTuple):
    """How much alike members are.

    Attributes:
        ratio: what was found over what trainings on bootstrap samples give on average.
        probability: of such a ratio or a more extreme one.
    """

    ratio: float
    probability: float

    @property
    def improbable(self) -> bool:
        """Whether the members are too much alike, or biased."""
        return self.probability < IMPROBABLE


def agreement(
    integral: Float[np.ndarray, "member region"],
    n_gen: Float[np.ndarray, "member region"] | float,
    truth: Holdout,
    *,
    trained_on: bool = False,
) -> Agreement:
    """Squared distance of truth and mean member, summed over regions in units of I (1 - I), over
    what the members' spread explains.

    >>> rng = np.random.default_rng(0)
    >>> members = 0.2 + 0.001 * rng.normal(size=(8, 5))
    >>> agreement(members, 1e9, Holdout(np.full(5, 0.21), 1e9)).improbable
    True

    Args:
        integral: fractions of the members' events in regions.
        n_gen: events of each member, or numbers of equally noisy unweighted events.
        truth: fractions of true events in the regions, and how many events they come from.
        trained_on: these are the training events. The members follow their fluctuation as far as
            the generator can, so that the error of the training is not added.

    Returns:
        A ratio of nan with probability 1 where regions, members or events are too few.
    """
    nothing = Agreement(np.nan, 1.0)
    members = len(integral)
    mean, share = integral.mean(axis=0), np.asarray(truth.integral, np.float64)
    used = (mean > 0) & (mean < 1)
    if members < MEMBERS or not used.any():
        return nothing
    mean, share = mean[used], share[used]
    scale = mean * (1 - mean)
    deviations = (integral[:, used] - mean) / np.sqrt(scale)
    noise_n = np.broadcast_to(np.asarray(n_gen, np.float64), integral.shape)[:, used]
    n_true = np.broadcast_to(np.asarray(truth.n, np.float64), used.shape)[used]

    total, square = _traces(deviations)
    noise = (1 / noise_n).mean(axis=0)
    of_model = max(total - float(noise.sum()), 0.0)
    # what recurs in all members, with the noise of the truth
    larger = np.maximum(scale, share * (1 - share))
    of_truth = float((larger / scale / n_true).sum())
    common = of_truth if trained_on else of_model + of_truth
    expected = common + total / members
    if not expected > 0:
        return nothing
    distance = float(((share - mean) ** 2 / scale).sum())

    # the noise of independent events leaves less of the covariance than the model's part has
    noise_square = float((noise**2).sum()) + 2 * of_model * float(noise.mean())
    model_square = max(square - noise_square, of_model**2 / len(mean))
    degrees = max(of_model**2 / model_square, 1.0) if of_model > 0 else 1.0
    by_spread = (0 if trained_on else 1) + 1 / members
    known = expected**2 * (members - 1) / (by_spread**2 * square)
    ratio = distance / expected
    return Agreement(ratio, float(special.fdtrc(degrees, known, ratio)))


def smooth(
    x: Float[np.ndarray, "n dim"],
    centre: Float[np.ndarray, " dim"],
    width: Float[np.ndarray, " dim"],
) -> Float[np.ndarray, "n function"]:
    """Functions whose means `scatter` may compare: tanh z and tanh^2 z of each column, where z =
    (x - centre) / (2 width); no tail decides them.

    >>> smooth(np.zeros((1, 1)), np.zeros(1), np.ones(1)).tolist()
    [[0.0, 0.0]]
    """
    bent = np.tanh((x - centre) / (2 * width))
    return np.concatenate([bent, bent**2], axis=1)


def scatter(
    means: Float[np.ndarray, "member function"],
    variance: Float[np.ndarray, "function"],
    *,
    n_train: int,
    n_gen: Float[np.ndarray, "member"] | float,
) -> Agreement:
    """Scatter of the members' means of some functions, over that of means of n_train events.

    Only the half of the functions that scatter most is looked at: a generator may know others, such
    as those that vanish by a symmetry.

    >>> rng = np.random.default_rng(0)
    >>> means = rng.normal(0, 0.1 / np.sqrt(1000), (8, 6))
    >>> scatter(means, np.ones(6), n_train=1000, n_gen=1e9).improbable
    True

    Args:
        means: of functions of the events, over the generated events of each member.
        variance: of the functions.
        n_train: training events of a member.
        n_gen: events in the means, effective ones for weights.
    """
    members, used = len(means), variance > 0
    if members < MEMBERS or not used.any():
        return Agreement(np.nan, 1.0)
    expected = variance[used] * (1 / n_train + float(np.mean(1 / np.asarray(n_gen, np.float64))))
    deviations = (means[:, used] - means[:, used].mean(axis=0)) / np.sqrt(expected)
    most = np.argsort(-deviations.var(axis=0))[: (deviations.shape[1] + 1) // 2]
    total, square = _traces(deviations[:, most])
    degrees = (members - 1) * total**2 / square
    ratio = total / len(most)
    return Agreement(ratio, float(special.chdtr(degrees, degrees * ratio)))


def _traces(deviations: Float[np.ndarray, "member region"]) -> tuple[float, float]:
    """Tr S and tr S^2 of the covariance S between members, both without bias for Gaussian errors
    (Himeno and Yamada, J. Multivariate Anal. 130 (2014) 27, give the second).
    """
    degrees = len(deviations) - 1
    between = deviations @ deviations.T
    total = float(np.trace(between)) / degrees
    raw = float((between**2).sum()) / degrees**2
    unbiased = (raw - total**2 / degrees) * degrees**2 / ((degrees - 1) * (degrees + 2))
    # of eigenvalues that are all equal
    return total, max(unbiased, total**2 / deviations.shape[1])
