"""`amplify averaging --generator`: trains a user's generator on bootstrap samples, each member in a
process of its own, into OUT/members.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from amplify.commands.output import say
from amplify.commands.plan import tell
from amplify.errors import InputError, NeedsMembersError
from amplify.external.supervise import train_members
from amplify.progress import progress_bar
from amplify.tables import files

_MEMBERS = 8
_N_GEN = 100_000  # events per member, or ten times the training events if that is more


class Training(NamedTuple):
    """What the user asked; see `amplify averaging --help`."""

    generator: str
    train: Sequence[str] | None
    members: Sequence[str]
    n_train: int | None
    n_gen: int | None
    timeout: float | None
    workers: int
    seed: int
    weight_column: str | None
    columns: Sequence[str] | None
    drop_nonfinite: bool


class Trained(NamedTuple):
    """Files of generated events, one per member, training events of each, members that failed, the
    column of weights in the files, and warnings.
    """

    members: tuple[str, ...]
    n_train: int
    failed: list[dict[str, Any]]
    weight_column: str | None
    notes: list[str]


def train(
    directory: Path, request: Training, json_to: str | None, *, dry_run: bool
) -> Trained | None:
    """Trains what is not trained yet; None for a dry run, which only tells what would be done."""
    if request.train is None:
        raise InputError("--train", "the training events", "nothing", "name their file")
    if request.n_train is not None:
        raise InputError(
            "--n-train",
            "nothing beside --generator",
            str(request.n_train),
            "drop it: the events of --train are counted",
        )
    members = _number(request.members)
    table = files.open_sample(request.train)
    try:
        selection = files.counted(
            files.select(
                table, request.columns, request.weight_column, drop_nonfinite=request.drop_nonfinite
            )
        )
        if selection.n < 2:
            raise InputError(table.source, "training events", str(selection.n), "give more")
        n_gen = request.n_gen or max(_N_GEN, 10 * selection.n)
        if dry_run:
            say(
                f"{table.source}: {selection.n:,} training events, columns {', '.join(selection.names)}"
            )
            say(
                f"{request.generator}: {members} trainings on bootstrap samples, {n_gen:,} events each, into {directory / 'members'};"
            )
            say("the first will tell how long one takes. Nothing was trained or written.")
            tell(
                {
                    "dry_run": True,
                    "generator": request.generator,
                    "members": members,
                    "n_train": selection.n,
                    "n_gen": n_gen,
                },
                json_to,
            )
            return None
        events = files.load(selection)
        x = (
            events.x.astype("float32")
            if all(table.dtype(name) == "float32" for c in selection.columns for name in c.needs)
            else events.x
        )
    finally:
        table.close()
    if sys.stderr.isatty():
        say(
            f"training {members} members of {request.generator} on {len(x)} events into {directory / 'members'}; --out {directory} continues an interrupted run"
        )
    with progress_bar("training", total=members) as bar:
        done = train_members(
            directory / "members",
            request.generator,
            x,
            events.weight,
            members=members,
            n_gen=n_gen,
            seed=request.seed,
            columns=selection.names,
            timeout=request.timeout,
            workers=request.workers,
            progress=bar.count,
        )
    for failure in done.failed:
        say(f"warning: member {failure['member']} failed: {failure['reason']}")
    notes = (
        [
            f"{selection.dropped} training events have values that are not finite and were left out (--drop-nonfinite)"
        ]
        if selection.dropped
        else []
    )
    return Trained(tuple(map(str, done.files)), len(x), done.failed, done.weight_column, notes)


def _number(members: Sequence[str]) -> int:
    """How many to train."""
    if not members:
        return _MEMBERS
    if len(members) > 1 or not members[0].isdigit():
        raise InputError(
            "--members",
            "one number beside --generator",
            " ".join(members[:3]),
            "drop the files, or drop --generator",
        )
    if int(members[0]) < 2:
        raise NeedsMembersError(
            "--members", "at least 2, better 8 or more", members[0], "there is no spread in one"
        )
    return int(members[0])
