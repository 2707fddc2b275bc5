"""What the events of members have in common: with those of other members, with training events,
with a holdout; and columns that are the same.

A bounded number of events of each sample is looked at, from all over it.
"""

from collections.abc import Mapping, Sequence, Sized

import numpy as np

from amplify.errors import InputError
from amplify.estimators import same_data
from amplify.tables import files
from amplify.tables.marks import marks_of
from amplify.tables.overlap import copies_among, marks_in_common, overlap, single_columns
from amplify.text import number
from amplify.types import Events

_EVENTS = 200_000  # of each sample
_IN_ALL = 20_000_000  # of all members
_READ = 100_000_000  # numbers of a sample
_NEIGHBOURS = 3  # other members that each is compared with
_COLUMNS = 32
_COPIES = 0.01  # of the events of a member that is worth a warning
_NUMBERS = 2_000_000  # that tell which columns are the same
_FEWEST = 128  # events of a member that do


def refuse_training_events(holdout: files.Selection, train: files.Selection) -> None:
    """Refuses a holdout that was trained on.

    Raises:
        InputError: more events in common than chance explains.
    """
    same = overlap(_first(holdout), _first(train))
    if same:
        got = f"{same} events of {train.table.source} in {holdout.table.source}"
        fix = "give true events that were kept aside"
        raise InputError("--holdout", "events that were not used in training", got, fix)


def event_notes(
    members: Sequence[files.Selection],
    holdout: files.Selection | None,
    train: files.Selection | None,
    *,
    n_train: int,
    bootstraps: bool,
) -> list[str]:
    """Warnings about events that members share or took from the training, and about members that
    are too much alike.

    Args:
        members: one sample each, with the same columns.
        holdout: true events, or None.
        train: the training events, or None.
        n_train: training events of each member.
        bootstraps: the members are known to be trained on bootstrap samples.

    Raises:
        InputError: a holdout with events of a member.
    """
    others = [s for s in (holdout, train) if s is not None]
    looked_at = [_first(s) for s in (*members, *others)]
    single = single_columns(looked_at)
    widest = max(len(s.table.columns) for s in looked_at)  # rows may be read as a whole
    most = max(min(_EVENTS, _IN_ALL // len(looked_at), _READ // widest), _FEWEST)
    marks: list[np.ndarray] = []
    copies: dict[int, float] = {}
    means = _Means()
    for selection in looked_at:
        events = files.spread(selection, most)
        marks.append(marks_of(events.x, single))
        if len(marks) <= len(members):
            means.add(events)
            copies[len(marks) - 1] = copies_among(events.x, marks[-1], single)
    of_members = marks[: len(members)]
    if holdout is not None:
        _refuse_generated(members, of_members, holdout, marks[len(members)])
    notes = _about_shared(members, of_members) + _about_copies(members, copies)
    if train is not None:
        notes += _about_training(members, of_members, train, marks[-1])
    if not notes and not bootstraps:
        notes = means.note(n_train)
    return notes


class _Means:
    """Means of smooth functions of each column over the events of each member."""

    def __init__(self) -> None:
        self._centre = self._width = np.zeros(0)
        self._variance = np.zeros(0)
        self._means: list[np.ndarray] = []
        self._n: list[float] = []

    def add(self, events: Events) -> None:
        """Adds a member."""
        x, weight = events
        w = np.ones(len(x)) if weight is None else weight
        if not len(x) or not w.sum() > 0:
            return
        if not self._means:
            low, self._centre, high = np.quantile(x, [0.16, 0.5, 0.84], axis=0)
            self._width = np.where(high > low, (high - low) / 2, np.inf)
        bent = same_data.smooth(x, self._centre, self._width)
        share = w / w.sum()
        self._means.append(share @ bent)
        self._n.append(1 / float((share**2).sum()))
        if len(self._means) == 1:
            self._variance = np.maximum(share @ bent**2 - self._means[0] ** 2, 0.0)

    def note(self, n_train: int) -> list[str]:
        """A warning where they scatter less than the training events allow."""
        if not self._means:
            return []
        found = same_data.scatter(
            np.array(self._means), self._variance, n_train=n_train, n_gen=np.array(self._n)
        )
        if not found.improbable:
            return []
        what = "the means of columns scatter less between members than those of bootstrap samples"
        share = f"{number(found.ratio)} of the variance"
        which = "trained on the same events, members see only the randomness of training"
        return [f"{what} of {n_train} events, {share}: {which}, and G comes out too high"]


def same_columns(members: Sequence[files.Selection]) -> dict[str, str]:
    """Columns whose values are those of an earlier one in all events that were looked at, and that
    one.
    """
    most = _NUMBERS // (len(members) * len(members[0].columns))
    x = np.concatenate([files.spread(s, max(most, _FEWEST)).x for s in members])
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    for name, values in zip(members[0].names, x.T, strict=True):
        key = np.ascontiguousarray(values).tobytes()
        if key in first and values.min() < values.max():
            same[name] = first[key]
        first.setdefault(key, name)
    return same


def about_columns(same: Mapping[str, str], *, left_out: bool) -> list[str]:
    """A warning about each."""
    fate = "the second is left out" if left_out else "their regions count twice"
    return [f"columns {first} and {name} are the same: {fate}" for name, first in same.items()]


def _first(selection: files.Selection) -> files.Selection:
    """The sample in some of its columns, without events that are not finite."""
    return selection._replace(columns=selection.columns[:_COLUMNS], drop=True)


def _refuse_generated(
    members: Sequence[files.Selection],
    marks: Sequence[np.ndarray],
    holdout: files.Selection,
    of_holdout: np.ndarray,
) -> None:
    for member, of_member in zip(members, marks, strict=True):
        same = marks_in_common(of_holdout, of_member)
        if same:
            got = f"{same} events of {holdout.table.source} that are in {member.table.source}"
            fix = "the holdout are true events of their own"
            raise InputError("--members and --holdout", "different events", got, fix)


def _about_shared(members: Sequence[files.Selection], marks: Sequence[np.ndarray]) -> list[str]:
    """Which members are the same sample, and which share events."""
    first: dict[bytes, int] = {}
    same: list[tuple[int, int]] = []
    for m, of_member in enumerate(marks):
        key = np.sort(of_member).tobytes()
        if key in first and members[m].n == members[first[key]].n:
            same.append((first[key], m))
        first.setdefault(key, m)
    count = len(marks)
    steps = range(1, min(_NEIGHBOURS, count - 1) + 1)
    pairs = {(min(a, b), max(a, b)) for a in range(count) for b in [(a + s) % count for s in steps]}
    shares = {pair: _share(members, marks, *pair) for pair in sorted(pairs - set(same))}
    shared = {pair: share for pair, share in shares.items() if share > 0}
    harm = "they scatter less than trainings do, and G comes out too high"
    notes = []
    if same:
        a, b = (members[m].table.source for m in same[0])
        notes.append(f"members {a} and {b}{_more(same)} are the same sample: {harm}")
    if shared:
        worst = max(shared, key=lambda pair: shared[pair])
        a, b = (members[m].table.source for m in worst)
        what = f"about {_percent(shared[worst])} of the events of {a} are in {b} too{_more(shared)}"
        notes.append(f"{what}: members share events, {harm}")
    return notes


def _about_copies(members: Sequence[files.Selection], copies: Mapping[int, float]) -> list[str]:
    """Members that generate the same event again and again."""
    found = {m: share for m, share in copies.items() if share > _COPIES}
    if not found:
        return []
    worst = max(found, key=lambda m: found[m])
    what = f"{_percent(found[worst])} of the events of {members[worst].table.source}{_more(found)}"
    why = "a generator that repeats events is worth no more than those it repeats"
    return [f"{what} have a copy in the same sample: {why}"]


def _share(
    members: Sequence[files.Selection], marks: Sequence[np.ndarray], a: int, b: int
) -> float:
    """Part of the events of one member that are in the other, as far as some of them tell."""
    if not (len(marks[a]) and len(marks[b])):
        return 0.0
    seen = len(marks[b]) / members[b].n
    return min(marks_in_common(marks[a], marks[b]) / len(marks[a]) / seen, 1.0)


def _about_training(
    members: Sequence[files.Selection],
    marks: Sequence[np.ndarray],
    train: files.Selection,
    of_train: np.ndarray,
) -> list[str]:
    """Generated events that are training events."""
    copied = {}
    for m, of_member in enumerate(marks):
        same = marks_in_common(of_member, of_train, true=True)
        seen = len(of_train) / max(train.n, 1)
        if same and seen:
            copied[m] = min(same / len(of_member) / seen, 1.0)
    if not copied:
        return []
    worst = max(copied, key=lambda m: copied[m])
    where = f"{members[worst].table.source}{_more(copied)}"
    what = f"about {_percent(copied[worst])} of the events of {where}"
    why = "a generator that repeats its training events is worth no more than them"
    return [f"{what} are training events of {train.table.source}: {why}"]


def _more(found: Sized) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1g} %"
