"""Bumps in single columns, on the scale of where events are: the family of ratios that sees narrow
resonances, however many other columns stand beside them.

Each column is seen through its distribution function under the generator, u = F(x), in bins that
hold equally many events: a peak with a tenth of the events takes a tenth of the axis, however
narrow it is. What is sought there are bumps, an excess or a lack, and dipoles, a peak that has
moved. All sums over events are sums over bins, so that a million events cost little more than a
thousand.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from amplify.regions.places import places_among
from amplify.summaries.least_squares import FOLDS, Models, ModelsOfTrue, TwoStepFamily

_RIDGE = 1e-3
_BINS = 512
_SORTED = 100_000  # events that tell where the bins are
_DIPOLE = np.sqrt(np.e)  # gives z exp(-z^2 / 2) the height of a bump

Step = tuple[list[int], np.ndarray, np.ndarray]  # chosen so far, coefficients, their covariance


def margins(
    *,
    most: int = 4,
    widths: Sequence[float] = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16),
    penalty: float = 2.0,
    most_gen: int = 1_000_000,
    most_numbers: int = 10_000_000,
    most_joint: int = 20_000,
) -> TwoStepFamily:
    """Models with one, two ... `most` bumps or dipoles.

    Args:
        most: bumps and dipoles.
        widths: of them, as fractions of the generated events; they stand one width apart.
        penalty: in the logarithm of the weight, for each.
        most_gen: generated events in the fit.
        most_numbers: and their numbers, events times columns.
        most_joint: those that tell how columns go together.
    """
    shapes = _shapes(widths)

    def on_generated(gen: np.ndarray, share: np.ndarray) -> ModelsOfTrue:
        axes = [_Axis.of(column) for column in gen[:_SORTED].T]
        where = _binned(axes, gen)
        in_bins = _in_bins(where, share)
        in_folds = _fold_means(in_bins, shapes)
        joint, share_joint = where[:, :most_joint], share[:most_joint]
        candidates = _Candidates(
            shapes, in_bins.sum(axis=0), joint, share_joint / share_joint.sum()
        )

        def models(true: np.ndarray, share_true: np.ndarray) -> Models:
            of_true = _fold_means(_in_bins(_binned(axes, true), share_true), shapes)
            held, others, total = (a - b for a, b in zip(of_true, in_folds, strict=True))
            loss = candidates.loss(held, others, most)
            used, coefficients = _of_all_steps(candidates.greedy(total, most))
            columns, kinds = np.divmod(used, len(shapes))
            mean = candidates.mean[used]

            def features(x: np.ndarray) -> np.ndarray:
                pairs = zip(columns, kinds, strict=True)
                table = [shapes[kind][axes[column].bins(x[:, column])] for column, kind in pairs]
                return np.stack(table, axis=1) - mean

            def value(x: np.ndarray, a: np.ndarray) -> np.ndarray:
                total = np.full(len(x), -mean @ a)
                for column in np.unique(columns):
                    here = columns == column
                    heights = a[here] @ shapes[kinds[here]]
                    total += heights[axes[column].bins(x[:, column])]
                return total

            return Models(features, coefficients, loss, penalty * np.arange(1, most + 1), value)

        return models

    return TwoStepFamily(on_generated, most_gen, most_numbers)


class _Axis(NamedTuple):
    """The bins of a column. A value that recurs has one of its own, and bins before it are empty.

    Attributes:
        edges: where a bin that holds events begins, but for the first [edge].
        number: of the first and of these bins [edge + 1].
    """

    edges: Float[np.ndarray, " edge"]
    number: Int[np.ndarray, " bin"]

    @classmethod
    def of(cls, column: Float[np.ndarray, " n"]) -> "_Axis":
        """Those that cut these events into equal parts."""
        ordered = np.sort(column)
        edges = np.unique(ordered[np.arange(1, _BINS) * len(ordered) // _BINS])
        below = np.searchsorted(ordered, edges) / len(ordered)
        ends = np.concatenate([[0.0], below, [1.0]])
        middle = (ends[1:] + ends[:-1]) / 2
        return cls(edges, np.minimum(middle * _BINS, _BINS - 1).astype(np.int16))

    def bins(self, x: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The bin of each value."""
        return self.number[places_among(x, self.edges)]


class _Candidates:
    """All bumps and dipoles that may be chosen, numbered by column, then by shape, and their second
    moments under the generator: of those that were chosen once, with all others.

    Attributes:
        mean: under the generator [candidate].
    """

    def __init__(
        self,
        shapes: Float[np.ndarray, "shape bin"],
        density: Float[np.ndarray, "column bin"],
        joint: Int[np.ndarray, "column n"],
        share: Float[np.ndarray, " n"],
    ) -> None:
        self._shapes, self._density = shapes, density
        self._joint, self._share = joint, share
        self._means = density @ shapes.T
        self.mean = self._means.ravel()
        square = density @ (shapes**2).T - self._means**2
        self._square = np.maximum(square, 0.0).ravel()  # weights may be negative
        self._moments: dict[int, np.ndarray] = {}

    def loss(
        self,
        held: Float[np.ndarray, "fold candidate"],
        others: Float[np.ndarray, "fold candidate"],
        most: int,
    ) -> Float[np.ndarray, " step"]:
        """Cross-validated loss after each step: the differences of means in all other folds choose,
        those in the fold test.
        """
        loss = np.zeros(most)
        for of_held, of_others in zip(held, others, strict=True):
            for step, (chosen, a, covariance) in enumerate(self.greedy(of_others, most)):
                loss[step] += (0.5 * a @ covariance @ a - of_held[chosen] @ a) / FOLDS
        return loss

    def greedy(self, d: Float[np.ndarray, " candidate"], most: int) -> list[Step]:
        """The next one is that which lowers the loss most, given how the means of all differ
        between truth and generator.
        """
        steps: list[Step] = []
        chosen: list[int] = []
        left: np.ndarray = d
        for _ in range(most):
            chosen = [*chosen, int(np.argmax(left**2 / (self._square + _RIDGE)))]
            moments = np.stack([self._moments_with(one) for one in chosen])
            covariance = (moments[:, chosen] + moments[:, chosen].T) / 2
            a = np.linalg.solve(covariance + _RIDGE * np.eye(len(chosen)), d[chosen])
            steps.append((chosen, a, covariance))
            left = d - a @ moments
        return steps

    def _moments_with(self, candidate: int) -> Float[np.ndarray, " candidate"]:
        """Covariances of this candidate with all: from bins in its own column, from the joint
        events in others.
        """
        if candidate not in self._moments:
            column, kind = divmod(candidate, len(self._shapes))
            shape = self._shapes[kind] - self._means[column, kind]
            weight = self._share * shape[self._joint[column]]
            products = np.stack([np.bincount(bins, weight, _BINS) for bins in self._joint])
            products[column] = self._density[column] * shape
            centred = products @ self._shapes.T - products.sum(axis=1)[:, None] * self._means
            self._moments[candidate] = centred.ravel()
        return self._moments[candidate]


def _shapes(widths: Sequence[float]) -> Float[np.ndarray, "shape bin"]:
    """Bumps and dipoles of each width at all places, as the bins see them."""
    u = (np.arange(_BINS) + 0.5) / _BINS
    shapes = []
    for width in widths:
        z = (u - np.arange(width / 2, 1, width)[:, None]) / width
        bumps = np.exp(-(z**2) / 2)
        shapes += [bumps, _DIPOLE * z * bumps]
    return np.concatenate(shapes)


def _binned(axes: Sequence[_Axis], x: Float[np.ndarray, "n column"]) -> Int[np.ndarray, "column n"]:
    return np.stack([axis.bins(column) for axis, column in zip(axes, x.T, strict=True)])


def _in_bins(
    where: Int[np.ndarray, "column n"], share: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "fold column bin"]:
    """Sums of shares; every fifth event is a fold, as they come in no order."""
    fold = np.arange(len(share)) % FOLDS * _BINS
    counts = [np.bincount(bins + fold, share, FOLDS * _BINS) for bins in where]
    return np.stack(counts, axis=1).reshape(FOLDS, _BINS, -1).transpose(0, 2, 1)


def _fold_means(
    in_bins: Float[np.ndarray, "fold column bin"], shapes: Float[np.ndarray, "shape bin"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of all candidates in each fold and in all others [fold, candidate], and of all events
    [candidate].
    """
    sums = (in_bins.reshape(-1, _BINS) @ shapes.T).reshape(FOLDS, -1)
    size, total = in_bins[:, :1].sum(axis=2), sums.sum(axis=0)
    return sums / size, (total - sums) / (1 - size), total


def _of_all_steps(steps: Sequence[Step]) -> tuple[np.ndarray, Float[np.ndarray, "step used"]]:
    """What the last step uses, and the coefficients that each step gives it."""
    used = steps[-1][0]
    coefficients = np.zeros((len(steps), len(used)))
    for step, (chosen, a, _) in enumerate(steps):
        for candidate, height in zip(chosen, a, strict=True):
            # one may be chosen twice
            coefficients[step, used.index(candidate)] += height
    return np.asarray(used), coefficients
