"""What a forecast is asked for, and how far it reaches."""

from dataclasses import dataclass

import numpy as np

from amplify.analysis.questions import check_level, check_limit
from amplify.errors import InputError

MOST = 1000  # times the training events, beyond which nothing is extrapolated


@dataclass(frozen=True)
class Goals:
    """What a forecast is asked for.

    Attributes:
        factor: a G that is wanted.
        precision: a relative error of integrals that is wanted.
        n_train: training events that it is for; None for those at hand.
        exponent: of D, where it is known; free otherwise.
        level: of two-sided intervals.
        limit_level: of limits, one-sided.
    """

    factor: float = 10.0
    precision: float = 0.01
    n_train: int | None = None
    exponent: float | None = None
    level: float = 0.68
    limit_level: float = 0.95

    def check(self) -> None:
        """Refuses what makes no sense.

        Raises:
            InputError: a number out of its range.
        """
        check_level(self.level)
        check_limit(self.limit_level)
        for what, value in (("factor", self.factor), ("precision", self.precision)):
            if not 0 < value < np.inf:
                fix = "10 and 0.01 are usual"
                expected = "a number above zero"
                raise InputError(f"--target-{what}", expected, f"{value:g}", fix)
        if self.n_train is not None and self.n_train < 1:
            fix = "leave it out for the training events at hand"
            raise InputError("--n-train", "at least 1", str(self.n_train), fix)
        if self.exponent is not None and not 0 <= self.exponent <= 1:
            fix = "0.5 is that of a fit of parameters; leave it out where it is not known"
            raise InputError("--exponent", "between 0 and 1", f"{self.exponent:g}", fix)


def check_reach(n_train: int | None, n: int) -> None:
    """Refuses to extrapolate too far.

    Args:
        n_train: training events that the forecast is for.
        n: those at hand.

    Raises:
        InputError: more than a thousand times as many.
    """
    if n_train is not None and n_train > MOST * n:
        expected = f"at most {MOST} times the {n} events at hand"
        raise InputError("--n-train", expected, str(n_train), "nothing is known of so many")
