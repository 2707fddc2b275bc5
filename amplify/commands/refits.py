"""`amplify averaging --generator --refits`: trains a user's generator again on events that its
members generated, into OUT/refits (docs/method, Bias without a holdout).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from amplify.commands.output import say
from amplify.commands.training import Trained, Training
from amplify.errors import InputError, NeedsMembersError
from amplify.external.refits import POOL
from amplify.external.supervise import train_members
from amplify.progress import progress_bar
from amplify.regions import passes
from amplify.tables import files
from amplify.types import Events


def number_of_refits(refits: Sequence[str] | None) -> int:
    """How many to train; 0 where none are asked for.

    Raises:
        InputError: files beside --generator, or fewer than two.
    """
    if refits is None:
        return 0
    if len(refits) != 1 or not refits[0].isdigit():
        got, fix = " ".join(refits[:3]) or "nothing", "give a number, or drop --generator"
        raise InputError("--refits", "one number beside --generator", got, fix)
    if int(refits[0]) < 2:
        fix = "one refit does not tell bias from chance"
        raise NeedsMembersError("--refits", "at least 2, better 8", refits[0], fix)
    return int(refits[0])


def train_refits(
    directory: Path, request: Training, trained: Trained, refits: int
) -> tuple[str, ...]:
    """Files of generated events, one per refit; those that are finished are not trained again.

    Args:
        directory: of the run.
        request: what the members were trained with.
        trained: the members.
        refits: how many.

    Raises:
        InputError: the members generated fewer events than refits learn from.
        NeedsMembersError: fewer than two refits came to an end.
    """
    events, names = _generated(trained, refits)
    cuts = () if request.cuts is None else passes(request.cuts, names).conditions
    with progress_bar("training refits", total=refits) as bar:
        done = train_members(
            directory / "refits",
            request.generator,
            events.x,
            events.weight,
            members=refits,
            n_gen=request.n_gen or _events_in(trained.members[0]),
            seed=request.seed + 1,
            columns=names,
            resample=f"1/{refits}",  # events of its own for each
            timeout=request.timeout,
            workers=request.workers,
            cuts=cuts,
            rounds=request.rounds,
            progress=bar.count,
        )
    for failure in done.failed:
        say(f"warning: refit {failure['member']} failed: {failure['reason']}")
    return tuple(map(str, done.files))


def _events_in(member: str) -> int:
    table = files.open_sample([member])
    n = table.n
    table.close()
    return n


def _generated(trained: Trained, refits: int) -> tuple[Events, list[str]]:
    """Events for the refits, as many of each member, in an order that mixes them; and the names of
    their columns.
    """
    # unweighted events stand for as many of the training events as their weights are worth
    n_train = trained.n_train if trained.weight_column else trained.n_worth
    wanted = refits * n_train
    each = -(-wanted // len(trained.members))
    x, weight, names = [], [], []
    for member in trained.members:
        table = files.open_sample([member])
        names = [name for name in table.columns if name != trained.weight_column]
        events = files.load(files.select(table, names, trained.weight_column))
        table.close()
        if len(events.x) < POOL * each:
            got = f"{len(events.x)} of each member for {refits} refits of {n_train}"
            expected = f"{POOL * each} of each member"
            raise InputError("generated events", expected, got, "raise --n-gen")
        x.append(events.x[:each].astype(table.dtype(names[0])))
        weight.append(None if events.weight is None else events.weight[:each])
    # one of each member in turn
    joined = np.stack(x, axis=1).reshape(-1, len(names))[:wanted]
    if any(w is None for w in weight):
        return Events(joined), names
    return Events(joined, np.stack(weight, axis=1).reshape(-1)[:wanted]), names
