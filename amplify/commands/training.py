"""`amplify averaging --generator`: trains a user's generator on bootstrap samples, each member in a
process of its own, into OUT/members.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.analysis.questions import AveragingQuestion, check_level
from amplify.commands.dry_run import tell
from amplify.commands.output import say
from amplify.commands.true_events import chosen
from amplify.errors import InputError, NeedsMembersError
from amplify.external.candidates import refuse_failing
from amplify.external.supervise import train_members
from amplify.progress import progress_bar
from amplify.regions import passes
from amplify.regions.cuts import read_cuts
from amplify.tables import files
from amplify.tables.overlap import overlap
from amplify.types import Events

_MEMBERS = 8
_N_GEN = 100_000  # events per member, or ten times the training events if that is more


@dataclass(frozen=True)
class Training:
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
    cuts: Path | None
    rounds: int


class Trained(NamedTuple):
    """What came of it.

    Attributes:
        members: files of generated events, one per member.
        n_train: training events of each.
        n_worth: effective number of them, for weights.
        failed: members that failed, and why.
        weight_column: of the files.
        notes: warnings.
        ignored: columns of the training file that are no physics, and why.
        completion: settings and results of the completion rounds, where there are cuts.
    """

    members: tuple[str, ...]
    n_train: int
    n_worth: int
    failed: list[dict[str, Any]]
    weight_column: str | None
    notes: list[str]
    ignored: dict[str, str]
    completion: dict[str, Any]


def check_before_training(
    question: AveragingQuestion,
    holdout: Sequence[str] | None,
    train: Sequence[str] | None,
    cuts: Path | None = None,
) -> None:
    """Finds out before a training what would fail after it, or prove nothing: hours of training
    should not end in a file of regions that is not there, nor in a holdout of training events, or
    of events that the cuts would have removed.
    """
    check_level(question.level)
    if isinstance(question.regions, Path) and str(question.regions) != "-":
        read_cuts(question.regions)
    if holdout is None or "-" in holdout:
        return
    table = files.open_sample(holdout)
    ignored = {} if question.holdout_columns else files.ignored_columns([table])
    held_out = files.select(table, question.holdout_columns, drop_nonfinite=True, ignored=ignored)
    if train is not None and "-" not in train:
        training = files.open_sample(train)
        columns = question.holdout_columns or held_out.names
        same = overlap(held_out, files.select(training, columns, drop_nonfinite=True))
        training.close()
        if same:
            got = f"{same} events of {table.source} in {training.source}"
            fix = "give true events that were kept aside"
            raise InputError("--holdout", "events that are not trained on", got, fix)
    if cuts is not None:
        held_out_passes = passes(cuts, held_out.names)
        blocks = [~held_out_passes(x) for x, _ in files.chunks(held_out)]
        refuse_failing("--holdout", np.concatenate(blocks))
    table.close()


def train(
    directory: Path, request: Training, json_to: str | None, *, dry_run: bool
) -> Trained | None:
    """Trains what is not trained yet; None for a dry run, which only tells what would be done."""
    if request.train is None:
        raise InputError("--train", "the training events", "nothing", "name their file")
    if request.n_train is not None:
        fix = "drop it: the events of --train are counted"
        raise InputError("--n-train", "nothing beside --generator", str(request.n_train), fix)
    members = _number(request.members)
    table = files.open_sample(request.train)
    try:
        asked = chosen(
            table, request.columns, request.weight_column, drop_nonfinite=request.drop_nonfinite
        )
        selection = asked.selection
        n_gen = request.n_gen or max(_N_GEN, 10 * selection.n)
        cuts = None if request.cuts is None else passes(request.cuts, selection.names)
        if dry_run:
            _announce(directory, request, selection, members, n_gen, json_to)
            return None
        events, x = asked.load()
        notes = asked.notes("training events")
        if cuts is not None:
            refuse_failing(table.source, ~cuts(x))
    finally:
        table.close()
    where = directory / "members"
    if sys.stderr.isatty():
        what = f"training {members} members of {request.generator} on {len(x)} events into {where}"
        say(f"{what}; --out {directory} continues an interrupted run")
    with progress_bar("training", total=members) as bar:
        done = train_members(
            where,
            request.generator,
            x,
            events.weight,
            members=members,
            n_gen=n_gen,
            seed=request.seed,
            columns=selection.names,
            timeout=request.timeout,
            workers=request.workers,
            cuts=() if cuts is None else cuts.conditions,
            rounds=request.rounds,
            progress=bar.count,
        )
    for member in done.damaged:
        say(f"member {member} in {where} was damaged and has been trained again")
    for failure in done.failed:
        say(f"warning: member {failure['member']} failed: {failure['reason']}")
    notes += _unsettled(done.completion)
    completion: dict[str, Any] = {}
    if done.completion:
        say(_accepted(done.completion))
        completion = {
            "cuts": request.cuts,
            "rounds": request.rounds,
            "acceptance": [member["acceptance"] for member in done.completion],
            "acceptance_error": [member["acceptance_error"] for member in done.completion],
        }
    return Trained(
        members=tuple(map(str, done.files)),
        n_train=len(x),
        n_worth=_n_worth(events),
        failed=done.failed,
        weight_column=done.weight_column,
        notes=notes,
        ignored=asked.ignored,
        completion=completion,
    )


def _accepted(completion: Sequence[Mapping[str, Any]]) -> str:
    """The acceptance of the members in words."""
    z = [member["acceptance"] for member in completion]
    mean = f"{np.mean(z):.3f} ({min(z):.3f} to {max(z):.3f}, {len(z)} members)"
    return f"{mean} of the generated events passed the cuts; the others were rejected"


def _unsettled(completion: Sequence[Mapping[str, Any]]) -> list[str]:
    """A warning where completion rounds did not come to an end: the words of the first member."""
    words = [member["warning"] for member in completion if member["warning"]]
    of = f"in {len(words)} of {len(completion)} members"
    return [f"{of}, such as this one: {words[0]}"] if words else []


def _announce(
    directory: Path,
    request: Training,
    selection: files.Selection,
    members: int,
    n_gen: int,
    json_to: str | None,
) -> None:
    names = ", ".join(selection.names)
    say(f"{selection.table.source}: {selection.n:,} training events, columns {names}")
    what = f"{request.generator}: {members} trainings on bootstrap samples"
    say(f"{what}, {n_gen:,} events each, into {directory / 'members'};")
    if request.cuts is not None:
        say(f"each is trained {request.rounds + 1} times, to learn what {request.cuts} cut away;")
    say("the first will tell how long one takes. Nothing was trained or written.")
    plan = {
        "dry_run": True,
        "generator": request.generator,
        "members": members,
        "n_train": selection.n,
        "n_gen": n_gen,
    }
    tell(plan, json_to)


def _n_worth(events: Events) -> int:
    """How many events of weight one the events are worth, (sum w)^2 / sum w^2."""
    if events.weight is None:
        return len(events.x)
    return max(round(float(events.weight.sum() ** 2 / (events.weight**2).sum())), 1)


def _number(members: Sequence[str]) -> int:
    """How many to train."""
    if not members:
        return _MEMBERS
    if len(members) > 1 or not members[0].isdigit():
        got = " ".join(members[:3])
        fix = "drop the files, or drop --generator"
        raise InputError("--members", "one number beside --generator", got, fix)
    if int(members[0]) < 2:
        expected, fix = "at least 2, better 8 or more", "there is no spread in one"
        raise NeedsMembersError("--members", expected, members[0], fix)
    return int(members[0])
