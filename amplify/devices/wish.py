"""How a user wants the devices to be shared out over members and their minibatches."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from amplify.errors import InputError


class MeshWish(NamedTuple):
    """How a user wants devices to be shared out; None is left to `training/mesh.py`.

    Attributes:
        members: devices along members.
        batch: devices that share each minibatch of a member.
    """

    members: int | None = None
    batch: int | None = None


_FREE = MeshWish()
_wish: ContextVar[MeshWish] = ContextVar("mesh", default=_FREE)


def wished_mesh() -> MeshWish:
    """What `using_mesh` says around the caller."""
    return _wish.get()


@contextmanager
def using_mesh(*, members: int | None = None, batch: int | None = None) -> Iterator[MeshWish]:
    """Trainings in the block share out the devices as asked.

    >>> with using_mesh(batch=4) as wish:  # of one member, fit(...) in it on four devices
    ...     wish.batch
    4

    Args:
        members: devices along members; as many as are left by default, never more than members.
        batch: devices that share each minibatch of a member; they divide it. By default those
            that have no member of their own, on a CPU none.

    Raises:
        InputError: less than one.
    """
    if min(members or 1, batch or 1) < 1 or 0 in (members, batch):
        got = f"members {members}, batch {batch}"
        raise InputError("using_mesh", "at least 1 device", got, "correct the number")
    token = _wish.set(MeshWish(members, batch))
    try:
        yield wished_mesh()
    finally:
        _wish.reset(token)
