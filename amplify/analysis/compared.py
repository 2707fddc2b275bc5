"""True events that members are compared with."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.types import Holdout


class Compared(NamedTuple):
    """A holdout, or for want of one the training events (docs/method, Bias without a holdout).

    Attributes:
        sums: of the events, or None.
        n_train: training events of a member.
        trained_on: they are the training events.
    """

    sums: rg.Sums | None
    n_train: int
    trained_on: bool = False

    def given(self, regions: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
        """What `averaging_amplification` takes of them in these regions."""
        if self.sums is None:
            return {"holdout": None}
        true = rg.fractions(self.sums.take(regions), labels)
        n = true.n_effective
        if self.trained_on:  # a member that saw some of them knows no more than its own
            n = np.minimum(n, self.n_train)
        return {"holdout": Holdout(true.integral, n), "trained_on": self.trained_on}
