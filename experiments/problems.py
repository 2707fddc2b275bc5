"""Problems whose truth is known, on which members, generators and intervals are compared.

Settings are chosen on `DEVELOPMENT` alone, with seeds from 900 on; the others are reported, and
served for no choice. Each problem has ten equiprobable bins of one or two observables and two tails
of each, whose true integrals follow from the distribution function of the observable.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from math import lgamma
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from scipy import stats
from scipy.special import logsumexp

from amplify import regions as rg
from amplify.errors import InputError

BINS = 10
TAILS = stats.norm.sf([1.5, 2.0])  # probabilities of the upper tails of each observable


class Problem(NamedTuple):
    """A known density, and the regions in which integrals are compared.

    Attributes:
        name: of the problem.
        dim: of the events.
        draw: (rng, n) -> true events x [n, dim], independent ones in double precision.
        log_prob: x [n, dim] -> [n], or None where it is not known.
        regions: bins and tails of the observables, one observable after the other.
        is_tail: which of the regions are tails [region]; the others are bins, the bulk.
        observable: which observable a region belongs to [region].
        truth: integrals of the regions [region].
    """

    name: str
    dim: int
    draw: Callable[[np.random.Generator, int], np.ndarray]
    log_prob: Callable[[np.ndarray], np.ndarray] | None
    regions: rg.Regions
    is_tail: np.ndarray
    observable: np.ndarray
    truth: np.ndarray

    @property
    def bulk(self) -> np.ndarray:
        """Places of the bins."""
        return np.flatnonzero(~self.is_tail)

    @property
    def tail(self) -> np.ndarray:
        """Places of the tails."""
        return np.flatnonzero(self.is_tail)


class Observable(NamedTuple):
    """A number per event with a known distribution function.

    Attributes:
        value: events [n, dim] -> [n].
        name: in labels.
        cdf: numbers [k] -> probabilities to lie below.
        span: two numbers between which nearly all events lie.
    """

    value: rg.Observable
    name: str
    cdf: Callable[[np.ndarray], np.ndarray]
    span: tuple[float, float]


def problem_of(
    name: str,
    draw: Callable[[np.random.Generator, int], np.ndarray],
    log_prob: Callable[[np.ndarray], np.ndarray] | None,
    observables: Sequence[Observable],
) -> Problem:
    """A problem with the regions of its observables."""
    regions, truth = [], []
    below = np.concatenate([np.arange(1, BINS) / BINS, 1 - TAILS])
    for observable in observables:
        inner, tails = np.split(_quantiles(observable, below), [BINS - 1])
        lows = np.concatenate([[-np.inf], inner, tails])
        highs = np.concatenate([inner, np.full(1 + len(tails), np.inf)])
        regions.append(rg.intervals(observable.value, lows, highs, observable.name))
        truth.append(observable.cdf(highs) - observable.cdf(lows))
    is_tail = np.tile(np.arange(BINS + len(TAILS)) >= BINS, len(observables))
    belongs = np.repeat(np.arange(len(observables)), BINS + len(TAILS))
    dim = draw(np.random.default_rng(0), 1).shape[1]
    joined = rg.join(*regions)
    return Problem(name, dim, draw, log_prob, joined, is_tail, belongs, np.concatenate(truth))


def top_pairs(path: Path | str) -> Problem:
    """Five observables of top pairs, in coordinates that a flow of real numbers can learn; the
    density is not known, and the true integrals are those of all events of the file.

    Args:
        path: written by `amplify ttbar`.

    Raises:
        InputError: a file without these observables.
    """
    names = ("m_tt_gev", "pt_t_gev", "pt_tt_gev", "y_t", "pt_b_gev")
    try:
        with h5py.File(path) as file:
            columns = [np.asarray(file["observables"][name], np.float64) for name in names]  # pyright: ignore[reportIndexIssue]
    except (OSError, KeyError):
        fix = "simulate them: amplify ttbar --events 1400000 --seed 0 --out events.h5"
        expected = "top pairs with their observables"
        raise InputError(str(path), expected, "something else, or nothing", fix) from None
    m_tt, pt_t, pt_tt, y_t, pt_b = columns
    events = [np.log(m_tt), np.log(pt_t), np.arcsinh(pt_tt / 20), y_t, np.log(pt_b)]
    x = np.stack(events, axis=1)

    def counted(column: int, name: str) -> Observable:
        ordered = np.sort(x[:, column])

        def cdf(at: np.ndarray) -> np.ndarray:
            return np.searchsorted(ordered, at) / len(ordered)

        return Observable(rg.column(column), name, cdf, (ordered[0], ordered[-1]))

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        return x[rng.choice(len(x), n, replace=False)]

    observables = [counted(0, "log m_tt"), counted(2, "asinh pT_tt")]
    return problem_of("top_pairs", draw, None, observables)


def _quantiles(observable: Observable, below: np.ndarray) -> np.ndarray:
    """Inverse of the distribution function by bisection: 60 halvings leave nothing to round."""
    low, high = (np.full(len(below), end) for end in observable.span)
    for _ in range(60):
        middle = (low + high) / 2
        is_low = observable.cdf(middle) < below
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return (low + high) / 2


def _ring(name: str, radius: float, width: float, dim: int) -> Problem:
    """Gaussian radius, uniform direction (arXiv:2509.08048): |x| is a folded normal number."""

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        direction = rng.normal(size=(n, dim))
        r = rng.normal(radius, width, (n, 1))
        return r * direction / np.linalg.norm(direction, axis=1, keepdims=True)

    def log_prob(x: np.ndarray) -> np.ndarray:
        r = np.linalg.norm(x, axis=1)
        there, behind = (stats.norm.logpdf(r, centre, width) for centre in (radius, -radius))
        log_area = np.log(2) + dim / 2 * np.log(np.pi) - lgamma(dim / 2)
        return np.logaddexp(there, behind) - (dim - 1) * np.log(r) - log_area

    def cdf(r: np.ndarray) -> np.ndarray:
        folded = stats.norm.cdf(r, radius, width) - stats.norm.cdf(-r, radius, width)
        return np.maximum(folded, 0.0)

    return problem_of(
        name, draw, log_prob, [Observable(rg.radius, "r", cdf, (0.0, radius + 12 * width))]
    )


class Gaussians(NamedTuple):
    """A mixture of Gaussians: shares [k], means [k, dim], covariances [k, dim, dim]."""

    share: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Events [n, dim]."""
        root = np.linalg.cholesky(self.covariance)
        which = rng.choice(len(self.share), n, p=self.share)
        z = rng.normal(size=(n, self.mean.shape[1]))
        # in blocks: every event has a matrix of its own
        blocks = [slice(start, start + 1000) for start in range(0, n, 1000)]
        turned = [np.einsum("nij,nj->ni", root[which[b]], z[b]) for b in blocks]
        return self.mean[which] + np.concatenate(turned)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Log density [n]."""
        parts = zip(self.mean, self.covariance, strict=True)
        each = [stats.multivariate_normal.logpdf(x, mean, c) for mean, c in parts]
        return np.asarray(logsumexp(np.stack(each, axis=1) + np.log(self.share), axis=1))

    def along(self, direction: np.ndarray, name: str, value: rg.Observable) -> Observable:
        """The projection onto a direction [dim], a mixture of Gaussians in one dimension."""
        mean = self.mean @ direction
        width = np.sqrt(np.einsum("i,kij,j->k", direction, self.covariance, direction))

        def cdf(at: np.ndarray) -> np.ndarray:
            return stats.norm.cdf((at[:, None] - mean) / width) @ self.share

        span = float((mean - 12 * width).min()), float((mean + 12 * width).max())
        return Observable(value, name, cdf, span)


def _gaussian() -> Problem:
    model = Gaussians(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
    axis = model.along(np.ones(1), "x0", rg.column(0))
    return problem_of("gaussian", model.draw, model.log_prob, [axis])


def _mixture() -> Problem:
    """A quarter of the events in a peak ten times narrower than the rest."""
    broad, narrow = np.array([[2.25, 0.6], [0.6, 1.0]]), 0.0225 * np.eye(2)
    model = Gaussians(
        np.array([0.75, 0.25]), np.array([[0.0, 0.0], [1.5, 0.8]]), np.stack([broad, narrow])
    )
    observables = [model.along(np.eye(2)[i], f"x{i}", rg.column(i)) for i in range(2)]
    return problem_of("mixture", model.draw, model.log_prob, observables)


def _mean_column(x: np.ndarray) -> np.ndarray:
    """Sum of the columns over sqrt(dim)."""
    return x.sum(axis=-1) / x.shape[-1] ** 0.5


def _many_gaussians(dim: int, components: int = 5) -> Problem:
    """Gaussians of different shares, places and widths, correlated."""
    rng = np.random.default_rng(dim)
    share = np.arange(2.0, 2 + components)
    mean = rng.normal(0, 2 / dim**0.25, (components, dim))
    mixing = rng.normal(size=(components, dim, dim)) / dim**0.5
    size = rng.uniform(0.5, 1.0, components)[:, None, None]
    covariance = size**2 * (0.5 * np.eye(dim) + 0.5 * mixing @ mixing.swapaxes(1, 2))
    model = Gaussians(share / share.sum(), mean, covariance)
    diagonal = np.full(dim, dim**-0.5)
    observables = [
        model.along(np.eye(dim)[0], "x0", rg.column(0)),
        model.along(diagonal, "mean", _mean_column),
    ]
    return problem_of(f"mog{dim}", model.draw, model.log_prob, observables)


def _banana() -> Problem:
    """x1 is a parabola of the Gaussian x0, with noise of Student's t with four degrees."""
    noise: Any = stats.t(4, scale=0.4)
    bend = 0.5

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        x0 = rng.normal(size=n)
        x1 = bend * (x0**2 - 1) + noise.rvs(n, random_state=rng)
        return np.stack([x0, x1], axis=1)

    def log_prob(x: np.ndarray) -> np.ndarray:
        x0, x1 = x.T
        return stats.norm.logpdf(x0) + noise.logpdf(x1 - bend * (x0**2 - 1))

    # an integral over a Gaussian on a grid converges exponentially
    grid = np.linspace(-9, 9, 721)
    weight = stats.norm.pdf(grid) / stats.norm.pdf(grid).sum()

    def cdf(at: np.ndarray) -> np.ndarray:
        return noise.cdf(at[:, None] - bend * (grid**2 - 1)) @ weight

    observables = [
        Observable(rg.column(0), "x0", stats.norm.cdf, (-12.0, 12.0)),
        Observable(rg.column(1), "x1", cdf, (-1e3, 1e3)),
    ]
    return problem_of("banana", draw, log_prob, observables)


def _correlated() -> Problem:
    """Student's t with five degrees in five dimensions, whose neighbours correlate by .7."""
    dim, degrees = 5, 5
    columns = np.arange(dim)
    shape = 0.7 ** np.abs(columns[:, None] - columns)
    model = stats.multivariate_t(np.zeros(dim), shape, degrees)  # pyright: ignore[reportArgumentType]
    root = np.linalg.cholesky(shape)

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        z = rng.normal(size=(n, dim)) @ root.T
        return z / np.sqrt(rng.chisquare(degrees, (n, 1)) / degrees)

    # any projection is a t of one dimension
    scale = float(np.sqrt(shape.mean() * dim))
    observables = [
        Observable(rg.column(0), "x0", partial(stats.t.cdf, df=degrees), (-1e3, 1e3)),
        Observable(
            _mean_column, "mean", partial(stats.t.cdf, df=degrees, scale=scale), (-1e3, 1e3)
        ),
    ]
    return problem_of("correlated5", draw, model.logpdf, observables)


class _Problems(Mapping[str, Problem]):
    """Each is made when it is asked for: JAX computes then, not before processes have joined."""

    def __getitem__(self, name: str) -> Problem:
        return _made(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_MAKERS)

    def __len__(self) -> int:
        return len(_MAKERS)


@cache
def _made(name: str) -> Problem:
    return _MAKERS[name]()


_MAKERS: dict[str, Callable[[], Problem]] = {
    "gaussian": _gaussian,
    "ring2": partial(_ring, "ring2", 4.0, 1.0, 2),
    "ring4": partial(_ring, "ring4", 4.0, 1.0, 4),
    "shell3": partial(_ring, "shell3", 3.0, 0.5, 3),
    "mixture": _mixture,
    "banana": _banana,
    "correlated5": _correlated,
    **{f"mog{n}": partial(_many_gaussians, n) for n in (4, 16, 64)},
}
PROBLEMS = _Problems()
DEVELOPMENT = ("gaussian", "ring2", "ring4")
