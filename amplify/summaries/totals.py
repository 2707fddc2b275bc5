"""What physicists look at first in an event of many columns: how much there is, where along the
columns, how wide, how many are empty. No event teaches them.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from amplify.summaries.looks import Sample, row_blocks

GROUPS = 8  # contiguous groups of columns
_LITTLE = 1e-3  # of the mean


class Totals(NamedTuple):
    """Numbers of an event that come from all its columns.

    Attributes:
        summed: columns that are summed; one that outweighs all the others together, such as the
            energy that came in, is none of them [column].
        positive: nothing is negative: shares and centres of gravity make sense.
        mean: of the columns, of their absolute values [column].
    """

    summed: Bool[np.ndarray, " column"]
    positive: bool
    mean: Float[np.ndarray, " column"]

    @classmethod
    def of(cls, sample: Sample) -> "Totals":
        """As these events suggest."""
        size, lowest = np.zeros(sample.x.shape[1]), np.inf
        for x, share in sample.blocks():
            size += share @ np.abs(x)
            lowest = min(lowest, float(x.min()))
        summed = size <= 0.5 * size.sum()
        return cls(summed, lowest >= 0, size)

    def __call__(self, x: np.ndarray) -> Float[np.ndarray, "n number"]:
        """The numbers of the events x [n, column]."""
        blocks = [self._of_block(x[rows]) for rows in row_blocks(*x.shape)]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.count))

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return 6 + GROUPS + int((~self.summed).sum())

    def _of_block(self, x: np.ndarray) -> Float[np.ndarray, "n number"]:
        outweighing = np.asarray(x[:, ~self.summed], np.float64)
        values = np.ascontiguousarray(x[:, self.summed], np.float64)
        place = np.linspace(0, 1, values.shape[1])
        total, squares = values.sum(axis=1), (values * values).sum(axis=1)
        first, second = values @ place, values @ place**2
        largest, filled = values.max(axis=1), (values != 0).sum(axis=1)
        ends = np.linspace(0, values.shape[1], GROUPS + 1).astype(int)[:-1]
        groups = np.add.reduceat(values, ends, axis=1)
        if self.positive:
            some = np.where(total > 0, total, 1.0)
            first, second, groups = first / some, second / some, groups / some[:, None]
            second = second - first**2
            largest = largest / some
            squares = _log(squares / some**2, 1 / values.shape[1])
            total = _log(total, _LITTLE * self.mean[self.summed].sum())
            outweighing = _log(outweighing, _LITTLE * self.mean[~self.summed])
        numbers = [total, first, second, squares, largest, filled]
        return np.column_stack([*numbers, groups, outweighing])


def _log(x: np.ndarray, least: np.ndarray | float) -> np.ndarray:
    """The logarithm; an empty event should not be farther away than a small one."""
    return np.log(np.maximum(x, np.maximum(least, 1e-30)))
