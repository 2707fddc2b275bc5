"""Which events could have been data: a user's file of cuts as a function of events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from amplify.namespace import namespace
from amplify.regions.cuts import Cut, read_cuts
from amplify.regions.shapes import condition


@dataclass(frozen=True)
class Passes:
    """A function of events x [n, dim] -> [n] booleans: whether all conditions hold, and all columns
    are finite. Events of JAX stay there, under jit and vmap too; it can be pickled.

    >>> import numpy as np
    >>> Passes(("pt > 20", "not eta > 2"), ("pt", "eta"))(np.array([[30, 1], [30, np.nan]]))
    array([ True, False])

    Attributes:
        conditions: expressions of the columns.
        names: of the columns of the events.
    """

    conditions: tuple[str, ...]
    names: tuple[str, ...]

    def __call__(self, x: Any) -> Any:
        """Whether each event passes."""
        held = namespace(x).isfinite(x).all(axis=-1)  # nan fulfils "not pt > 20"
        for holds in _functions(self.conditions, self.names):
            held = held & holds(x)
        return held


def passes(cuts: Path | str | Sequence[Cut], names: Sequence[str]) -> Passes:
    """The function that says which events could have been data: those for which every line of a
    file of cuts holds. An event with a value that is not finite never passes.

        trigger: pt > 400
        detector: {eta1: [-2.5, 2.5], eta2: [-2.5, 2.5]}

    Args:
        cuts: a YAML or JSON file as `amplify.regions.cuts.read_cuts` takes it, or what that
            returns.
        names: of the columns of the events.

    Returns:
        x [n, dim] -> [n] booleans, NumPy's or JAX's.

    Raises:
        InputError: no such file, no cuts, an unknown column, or no condition, with the line.
    """
    read = read_cuts(Path(cuts)) if isinstance(cuts, Path | str) else cuts
    stated = [c for cut in read for c in cut.conditions]
    for each in stated:
        condition(each.text, names, what=each.where)
    return Passes(tuple(each.text for each in stated), tuple(names))


@lru_cache(maxsize=32)
def _functions(
    conditions: tuple[str, ...], names: tuple[str, ...]
) -> tuple[Callable[[Any], Any], ...]:
    """Each condition as x [..., dim] -> [...]."""
    regions = [condition(text, names, what="cuts") for text in conditions]
    return tuple(lambda x, contains=r.contains: contains(x)[..., 0] for r in regions)
