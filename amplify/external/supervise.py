"""Members from a user's own generator, each in a process of its own, here or on the workers of the
engine, so that a crash, a hang or a leak loses that member and no other.

Processes are started, not forked, because many frameworks must not be. What is finished stays on
disk, and a run that was stopped goes on from there.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from amplify.engine import current_engine
from amplify.errors import InputError, NeedsMembersError
from amplify.external.attended import Failure, members_here
from amplify.external.completion import ROUNDS
from amplify.external.job import (
    Job,
    events_file,
    is_intact,
    log_file,
    new_job,
    outcome,
    prepare,
    read_job,
)
from amplify.external.loading import split_name
from amplify.external.protocol import (
    MemberProgress,
    Resample,
    check_numbers,
    mixed_weights,
    same_events,
    training_events,
)
from amplify.external.remote import members_there
from amplify.locks import directory_lock
from amplify.sealed import digest, load_json


class Supervised(NamedTuple):
    """Members that were trained.

    Attributes:
        files: of generated events, in the order of the members.
        failed: {"member", "reason"} of the others. The caller should say so: survivors may be a
            biased selection.
        weight_column: of the files, or None where generated events have no weights.
        completion: {"acceptance", "acceptance_error", "warning"} of each member that had completion
            rounds, in the order of the files.
        damaged: members whose files were damaged; they were trained again.
    """

    files: list[Path]
    failed: list[dict[str, Any]]
    weight_column: str | None
    completion: list[dict[str, Any]]
    damaged: list[int] = []


def train_members(
    directory: Path,
    generator: str,
    x_train: Any,
    weight: Any = None,
    *,
    members: int,
    n_gen: int,
    seed: int = 0,
    columns: Sequence[str] | None = None,
    resample: Resample = "bootstrap",
    timeout: float | None = None,
    workers: int = 1,
    cuts: Sequence[str] = (),
    rounds: int = ROUNDS,
    progress: MemberProgress | None = None,
) -> Supervised:
    """Trains members and writes the events of each to `directory/member_NNN.npy`, which
    `amplify.tables.files.open_table` reads.

    Members that are finished there are not trained again; those that failed before are. Rows and
    seeds are those of `external_members`, whatever the number of workers. The cores are shared out
    over the workers by OMP_NUM_THREADS and its like, where the environment has no wish of its own:
    frameworks may round differently with other numbers of threads.

    Args:
        directory: of this job alone.
        generator: `package.module:function` (see `protocol`), imported with the current directory
            on the path.
        x_train: training events [n, dim]; generated ones are written in single precision where
            these are.
        weight: their weights [n]; the generator then takes `weight` as a third parameter.
        members: a spread needs 2, a useful interval 8.
        n_gen: events per member.
        seed: of the ensemble.
        columns: names for the columns of the files; default x0, x1, ...
        resample: "bootstrap" gives each member a resampled training set, "none" the same events to
            all.
        timeout: seconds that one member may take, from the start of its process to its last event.
        workers: processes at a time.
        cuts: conditions of the columns that all training events fulfil: each member is then trained
            in completion rounds (see `completion`).
        rounds: of completion.
        progress: called about once a second with (members done, members, note).

    Raises:
        InputError: events or settings that make no sense, members of another job in the directory,
            a generator that fails for a reason which is no matter of one member, the first two
            members failing, or members that do not differ.
        NeedsMembersError: fewer than two members are left in the end.
    """
    if members < 2:
        raise NeedsMembersError(
            "members", "at least 2, better 8 or more", str(members), "there is no spread in one"
        )
    check_numbers(members=members, n_gen=n_gen, seed=seed, resample=resample)
    if workers < 1:
        raise InputError("workers", "at least 1 process", str(workers), "give 1")
    if timeout is not None and not timeout > 0:
        raise InputError(
            "--timeout", "seconds above zero", f"{timeout:g}", "leave it away for no limit"
        )
    if cuts and rounds < 1:
        raise InputError("--rounds", "at least 1", str(rounds), "6 to 8 are usual")
    split_name(generator)
    x_train, weight = training_events(x_train, weight)
    directory = directory.resolve()  # the user's code may change the working directory
    job = new_job(generator, seed, n_gen, resample, columns, x_train, weight, cuts, rounds)
    with directory_lock(directory, "members in"):
        prepare(directory, job, x_train, weight)
        done = _train(directory, job, members, timeout, min(workers, members), progress)
        _check_job(directory, job, done.files)
    return done


def _train(
    directory: Path,
    job: Job,
    members: int,
    timeout: float | None,
    workers: int,
    progress: MemberProgress | None,
) -> Supervised:
    """Trains what is not there, until every member has finished or failed."""
    finished = [m for m in range(members) if is_intact(directory, m, job)]
    waiting = [m for m in range(members) if m not in finished]
    damaged = [m for m in waiting if events_file(directory, m).exists()]
    failed: dict[int, Failure] = {}
    last_news = None

    def note(words: str) -> None:
        nonlocal last_news
        count = f"{len(failed)} failed" if failed else ""
        news = len(finished) + len(failed), members, ", ".join(filter(None, (words, count)))
        if progress is not None and news != last_news:
            progress(*news)
            last_news = news

    _compare(directory, finished)
    if remote := current_engine().remote:
        note("")
        trained = members_there(directory, job, waiting, timeout=timeout)
    else:
        trained = members_here(directory, waiting, timeout=timeout, workers=workers, note=note)
    with closing(trained):
        for member, failure in trained:
            if failure is None:
                finished.append(member)
                _compare(directory, finished)
            else:
                failed[member] = failure
                _give_up(directory, failed, finished)
            if remote:
                note("")
    if len(finished) < 2:
        member, failure = min(failed.items())
        why = f"member {member}: expected {failure.expected}, got {failure.got}"
        raise NeedsMembersError(
            "trained members",
            "at least 2",
            f"{len(finished)} of {members}; {why}",
            f"{failure.fix}; log in {log_file(directory, member)}",
        )
    weighted = outcome(directory, finished[0])["weighted"]
    reasons = [
        {"member": m, "reason": f"expected {f.expected}, got {f.got}; {f.fix}"}
        for m, f in sorted(failed.items())
    ]
    return Supervised(
        [events_file(directory, m) for m in sorted(finished)],
        reasons,
        job.weight_column if weighted else None,
        [_completion(directory, m) for m in sorted(finished) if job.cuts],
        damaged,
    )


def _check_job(directory: Path, job: Job, files: Sequence[Path]) -> None:
    """Finds out whether another run wrote there meanwhile, on a file system without locks."""
    ours, outcomes = digest(job._asdict()), [load_json(file.with_suffix(".json")) for file in files]
    if read_job(directory) != job or any((o or {}).get("job") != ours for o in outcomes):
        got, fix = "those of another run, which wrote there meanwhile", "give another directory"
        raise InputError(f"members in {directory}", "those of this job", got, fix)


def _completion(directory: Path, member: int) -> dict[str, Any]:
    """What the member's rounds came to."""
    known = outcome(directory, member)
    acceptance, error = known["acceptance"][-1]
    warning = known["warning"]
    return {"acceptance": acceptance, "acceptance_error": error, "warning": warning}


def _give_up(directory: Path, failed: dict[int, Failure], finished: Sequence[int]) -> None:
    """Does not wait for eight failures where two, or one that is no matter of one member, say
    enough.
    """
    for member, failure in sorted(failed.items()):
        where = f"log in {log_file(directory, member)}"
        if failure.of_all:
            what, expected, got, fix = failure.of_all
            raise InputError(what, expected, got, f"{fix}; {where}")
        if len(failed) > 1 and not finished:
            others = ", ".join(str(m) for m in sorted(failed) if m != member)
            raise InputError(
                f"member {member}",
                failure.expected,
                failure.got,
                f"{failure.fix}; {where}; member {others} failed too, so no more were tried",
            )


def _compare(directory: Path, finished: Sequence[int]) -> None:
    """Refuses members whose samplers are the same, or of which only some have weights."""
    by_fingerprint: dict[str, int] = {}
    outcomes = {member: outcome(directory, member) for member in sorted(finished)}
    for member, known in outcomes.items():
        other = by_fingerprint.setdefault(known["fingerprint"], member)
        if other != member:
            raise same_events((other, member))
    if len({known["weighted"] for known in outcomes.values()}) > 1:
        raise mixed_weights()
