"""A sample with the columns that a user's function makes of its events.

The function takes a mapping from names to what the sample has of a batch of events, and gives one
from names to numbers:

    function(events) -> {name: numbers [event]}

Arrays are [event, ...], or `Jagged(values, count)` where events differ in how many they have. The
function runs in this process. What it makes are columns like others, wherever the sample is read.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from threading import Lock
from typing import Any

import numpy as np

from amplify.errors import AmplifyError, InputError
from amplify.external.observables import Observables, wrong
from amplify.external.protocol import raised
from amplify.tables.pieces import in_pieces
from amplify.tables.selection import names_in_table
from amplify.tables.table import Jagged, Table, numbers
from amplify.text import listed

_NUMBERS = 1 << 21  # of a batch
_KEPT = 1 << 22  # numbers that are made are kept, so that no event goes through the function twice
_PROBE = 256  # events that show the names of what is made, and whether it can be relied on
_ALIKE = 1e-4  # relative; sums in single precision differ between batches


def with_observables(table: Table, observables: Observables | None) -> Table:
    """The table with what the function makes of its events as further columns, `made`.

    Raises:
        InputError: a function that fails, does not give one number per event, or whose numbers
            depend on chance or on which other events are in the batch.
    """
    if observables is None:
        return table
    user = _User(table, observables)
    kinds = user.probed()
    made = set(kinds)
    one_at_a_time = Lock()  # samples are read in threads, of which a user's function knows nothing

    def read(start: int, stop: int, names: Sequence[str]) -> list[Any]:
        wanted = [name for name in names if name in made]
        if not wanted:
            return table.read(start, stop, names)
        others = [name for name in names if name not in made]
        values = dict(zip(others, table.read(start, stop, others), strict=True)) if others else {}
        with one_at_a_time:
            values |= user.values(start, stop, wanted, kinds)
        return [values[name] for name in names]

    return table._replace(
        columns=(*table.columns, *kinds),
        dtypes=(*table.dtypes, *kinds.values()),
        read=read,
        made=tuple(kinds),
    )


class Batch(Mapping[str, Any]):
    """What a sample has of some events, by name; read when it is asked for."""

    def __init__(
        self, names: Sequence[str], held: Mapping[str, Any], read: Callable[[str], Any]
    ) -> None:
        self._names, self._held, self._read = names, dict(held), read
        self.used: list[str] = list(held)

    def __getitem__(self, name: str) -> Any:
        if name not in self._held:
            if name not in self._names:
                raise KeyError(f"no {name}; there are {listed(self._names)}")
            self._held[name] = own(self._read(name))
            self.used.append(name)
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def own(values: Any) -> Any:
    """Values that may be written to, in single precision at least: half overflows in a sum."""
    if isinstance(values, Jagged):
        return Jagged(own(values.values), np.array(values.count))
    kind = values.dtype.newbyteorder("=")
    return np.array(values, np.float32 if kind == np.float16 else kind)


class _User:
    """A user's function with the sample that it looks at."""

    def __init__(self, table: Table, observables: Observables) -> None:
        self.table, self.observables = table, observables
        self.known = names_in_table(table)
        self.names = self.known.inputs()
        self.used: list[str] = []
        self.kept: dict[str, np.ndarray] = {}
        self.there = np.zeros(table.n, bool)

    def probed(self) -> dict[str, np.dtype]:
        """Names and precision of what it makes of the first events."""
        n = min(self.table.n, _PROBE)
        first, again = self._call(0, n, {}), self._call(0, n, {})
        few = self._call(0, max(n // 2, 1), {})
        for name, values in first.items():
            if name in self.table.columns or name in self.table.arrays:
                fix = "give it another name"
                raise self._wrong("new names", f"{name}, which the sample has", fix)
            if not np.array_equal(values, again.get(name, ()), equal_nan=True):
                got, fix = f"others for {name} in a second call", "draw no random numbers"
                raise self._wrong("the same numbers for the same events", got, fix)
            small = values[: len(few[name])] if name in few else values[:0]
            largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
            if len(few.get(name, ())) != len(small) or not np.allclose(
                few[name], small, rtol=_ALIKE, atol=_ALIKE**2 * largest, equal_nan=True
            ):
                got = f"others for {name} in a batch of fewer events"
                fix = "make the numbers of an event of this event alone"
                raise self._wrong("the same numbers for the same events", got, fix)
        single = (np.float16, np.float32)
        return {
            name: np.dtype(np.float32 if values.dtype in single else np.float64)
            for name, values in first.items()
        }

    def values(
        self, start: int, stop: int, wanted: Sequence[str], kinds: Mapping[str, np.dtype]
    ) -> dict[str, np.ndarray]:
        """What it makes of the rows from start to stop."""
        if self.table.n * len(kinds) > _KEPT:
            every = self._made(start, stop, kinds)
            return {name: every[name] for name in wanted}
        if not self.kept:
            self.kept = {name: np.empty(self.table.n, kind) for name, kind in kinds.items()}
        missing = np.flatnonzero(~self.there[start:stop])
        if len(missing):
            first, last = start + int(missing[0]), start + int(missing[-1]) + 1
            for name, values in self._made(first, last, kinds).items():
                self.kept[name][first:last] = values
            self.there[first:last] = True
        return {name: self.kept[name][start:stop].copy() for name in wanted}

    def _made(self, start: int, stop: int, kinds: Mapping[str, np.dtype]) -> dict[str, np.ndarray]:
        """All that it makes of these rows."""
        result = {name: np.empty(stop - start, kind) for name, kind in kinds.items()}
        first = 0
        stored = [name for name in self.used if name not in self.known.stacked]
        for n, held in in_pieces(self.table, start, stop, stored, at_once=_NUMBERS):
            made = self._call(start + first, start + first + n, held)
            if set(made) != set(kinds):
                differ = sorted(set(made) ^ set(kinds))
                got, fix = (
                    f"a difference in {listed(differ)}",
                    "give the same names for every batch",
                )
                raise self._wrong(listed(list(kinds)), got, fix)
            for name, values in made.items():
                result[name][first : first + n] = values
            first += n
        return result

    def _call(self, start: int, stop: int, held: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Calls it for a batch and looks at what comes."""
        batch = Batch(
            self.names,
            {name: own(values) for name, values in held.items()},
            lambda name: self._read(start, stop, name),
        )
        try:
            with redirect_stdout(sys.stderr):  # results may go to standard output
                made = self.observables.function(batch)
        except AmplifyError:
            raise
        except (Exception, SystemExit) as error:
            got = f"{raised(error)} in rows {start} to {stop - 1} of {self.table.source}"
            raise self._wrong("a function that works", got, "correct it") from None
        self.used = list(dict.fromkeys([*self.used, *batch.used]))
        if not hasattr(made, "keys") or not len(made):
            got = f"a {type(made).__name__}" if not hasattr(made, "keys") else "an empty one"
            raise self._wrong("a dictionary of name: numbers", got, 'return {"name": numbers}')
        return {str(name): self._checked(str(name), made[name], stop - start) for name in made}

    def _read(self, start: int, stop: int, name: str) -> Any:
        """A column or an array; one whose elements are columns is put together."""
        columns = self.known.stacked.get(name)
        if columns is None:
            return self.table.read(start, stop, [name])[0]
        each = np.stack(self.table.read(start, stop, columns), axis=1)
        return each.reshape(stop - start, *(n or 0 for n in self.known.arrays[name]))

    def _checked(self, name: str, values: Any, n: int) -> np.ndarray:
        """One number per event."""
        try:
            array = np.asarray(values)
        except Exception as error:
            array = None
            got = raised(error)
        if array is not None:
            got = f"{array.dtype} of shape {array.shape}"
            if numbers(array.dtype) and array.shape == (n,):
                return array
        fix = "reduce over all axes but the first, in the order of the events"
        raise self._wrong(f"{n} numbers of {name} for {n} events", got, fix)

    def _wrong(self, expected: str, got: str, fix: str) -> InputError:
        return wrong(self.observables.name, expected, got, fix)
