"""Files that are damaged, command lines with mistakes, runs that are killed at random moments, and
runs that meet in one place: is anything lost, wrong, left behind, or said with a traceback?

    python -m experiments.robustness --preset full
"""

import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from experiments import study
from experiments.mutations import TRUSTED, mistaken
from experiments.robustness_files import outcomes, sources
from experiments.robustness_runs import Run, beside, contents, digest, fault


@dataclass(frozen=True)
class Config:
    """How often; kills by command, pairs by what they meet in."""

    files: int = 2000
    lines: int = 60
    kills: tuple[tuple[str, int], ...] = (
        ("averaging", 16),
        ("pipe", 10),
        ("generator", 20),
        ("differential", 14),
        ("report", 10),
        ("ttbar", 12),
        ("demo", 2),
        ("audit", 10),
        ("blind", 6),
    )
    pairs: tuple[tuple[str, int], ...] = (
        ("averaging", 5),
        ("json", 3),
        ("generator", 4),
        ("differential", 3),
        ("report", 3),
        ("ttbar", 2),
    )
    seed: int = 11


PRESETS = {
    "smoke": Config(files=40, lines=0, kills=(), pairs=()),
    "quick": Config(
        files=200,
        lines=6,
        kills=(("averaging", 2), ("generator", 2), ("audit", 1)),
        pairs=(("averaging", 2), ("generator", 1)),
    ),
    "full": Config(),
}


class Command(NamedTuple):
    """A command line, without where it writes and its seed.

    Attributes:
        module: what python -m runs.
        words: with {} for the place that it writes to, and {seed} where there is one.
        suffix: of that place, where it is a file.
        again: whether it is run once more after it was killed.
    """

    module: str
    words: str
    suffix: str = ""
    again: bool = True


_AVERAGING = "averaging --members a.npy b.npy --n-train 400 --holdout holdout.npy"
COMMANDS = {
    "averaging": Command("amplify", f"{_AVERAGING} --seed {{seed}} --bins 4 --out {{}}"),
    "pipe": Command("amplify", f"{_AVERAGING.replace('a.npy', '-')} --bins 4 --out {{}}"),
    "json": Command(
        "amplify", f"{_AVERAGING} --bins 4 --seed {{seed}} --out {{}}-{{seed}} --json {{}}", ".json"
    ),
    "generator": Command(
        "amplify",
        "averaging --generator amplify.examples.plain:fit --train a.npy --members 3 --workers 2"
        " --n-gen 20000 --bins 4 --seed {seed} --out {}",
    ),
    "differential": Command(
        "amplify",
        "differential --generated a.npy b.npy --holdout holdout.npy --n-train 400"
        " --summary column:x0 --seed {seed} --out {}",
    ),
    "report": Command("amplify", "report done/results.json --out {}/report.html"),
    "ttbar": Command("amplify", "ttbar --events 4000 --workers 2 --seed {seed} --out {}", ".h5"),
    "demo": Command("amplify", "demo --out {}", again=False),
    "audit": Command("experiments.audit", "--preset smoke --out {}"),
    "blind": Command("experiments.blind", "--preset smoke --out {}"),
}
_LINES = (
    f"{_AVERAGING} --bins 4 --out run",
    f"{_AVERAGING} --regions cuts.yaml --columns x0 r=sqrt(x0**2+x1**2) --out run --json -",
    "differential --generated a.npy b.npy --holdout holdout.npy --n-train 400 --out run",
    "averaging --generator amplify.examples.plain:fit --train a.npy --members 2 --out run",
    "report done/results.json --out new/page.html",
    "ttbar --events 50 --level parton --workers 1 --out top.h5",
)


def main(
    preset: Literal["smoke", "quick", "full"] = "full",
    out: Path | None = None,
) -> Path:
    """Runs the study and writes OUT/results.json; full takes about an hour on two cores.

    Args:
        preset: size of the study.
        out: default amplify-runs/robustness-PRESET; finished parts found there are used again.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"robustness-{preset}"
    study.claim(out, config)
    found = {"files": _files(study.rows(out, files, config))}
    for part in (lines, kills, pairs):
        wanted = getattr(config, part.__name__)
        rows = study.rows(out, part, config) if wanted else []
        found[part.__name__] = _summary(rows)
        print(part.__name__, found[part.__name__], flush=True)
    path = out / "results.json"
    study.record(path, f"python -m experiments.robustness --preset {preset}", config, found, [])
    print(path)
    return path


def files(config: Config) -> Iterator[dict[str, Any]]:
    """What a command makes of each damaged file: refuses it in one line, or reads it."""
    with tempfile.TemporaryDirectory() as folder:
        yield from outcomes(Path(folder), config.files, config.seed)


def _files(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often by kind of file, and what went wrong."""
    table: dict[str, Counter[str]] = {}
    faults = []
    for row in rows:
        is_known = row["outcome"] in ("refused", "as before", "other values")
        wrong = row["outcome"] == "other values" and row["kind"] in TRUSTED
        outcome = row["outcome"] if is_known and not wrong else "fault"
        table.setdefault(row["kind"], Counter())[outcome] += 1
        if outcome == "fault":
            faults.append(row)
    by_kind = {kind: dict(counted) for kind, counted in sorted(table.items())}
    slowest = max((row["seconds"] for row in rows), default=0.0)
    most = max((row["peak_mb"] for row in rows), default=0.0)
    head = {"n": len(rows), "by_kind": by_kind, "slowest_seconds": slowest, "peak_mb": most}
    return head | {"faults": faults[:20], "n_faults": len(faults)}


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often each thing happened, and what went wrong."""
    faults = [row for row in rows if row["fault"]]
    counted = Counter(f"{row['kind']}: {row['outcome']}" for row in rows)
    return {
        "n": len(rows),
        "outcomes": dict(sorted(counted.items())),
        "n_faults": len(faults),
        "faults": faults[:20],
    }


def lines(config: Config) -> Iterator[dict[str, Any]]:
    """Command lines with mistakes: one line and exit code 2, or what they say; inputs stay."""
    with tempfile.TemporaryDirectory() as top:
        folder = sources(Path(top) / "deep" / "in" / "there")
        before = _digests(folder)
        for i in range(config.lines):
            words = mistaken(_LINES[i % len(_LINES)], np.random.default_rng([config.seed, 1, i]))
            given = [word.replace("\0", "") for word in words]
            ended = Run("amplify", given, folder, folder / "temporary").end()
            problem = fault(ended, (0, 2))
            if {name: _digests(folder).get(name) for name in before} != before:
                problem = "an input has changed"
                folder = sources(Path(top) / f"deep-{i}" / "in" / "there")
            for left in ("run", "new", "top.h5", "top.h5.parts"):
                _remove(folder / left)
            outcome = "refused" if ended.code == 2 else "done"
            yield {"kind": words[0][:20], "outcome": outcome, "fault": problem and repr(words)}


def kills(config: Config) -> Iterator[dict[str, Any]]:
    """Commands killed at a random moment, and run again: what was finished is whole, and the end is
    that of an undisturbed run.
    """
    with tempfile.TemporaryDirectory() as top:
        folder = sources(Path(top) / "files")
        for k, (kind, times) in enumerate(config.kills):
            whole = _place(folder, kind, "whole")
            took = _run(folder, kind, whole).end() if COMMANDS[kind].again else None
            seconds = took.seconds if took else 60.0
            for i in range(times):
                random = np.random.default_rng([config.seed, 2, k, i])
                yield {"kind": kind, **_killed(folder, kind, whole, i, seconds, random)}


def _killed(
    folder: Path, kind: str, whole: Path, i: int, seconds: float, random: np.random.Generator
) -> dict[str, str]:
    """One run that is killed, and finished by another."""
    number = (signal.SIGKILL, signal.SIGTERM)[int(random.integers(2))]
    out = _place(folder, kind, f"killed-{i}")
    ended = _run(folder, kind, out).end(number, float(random.uniform(0.02, 1.02)) * seconds)
    ended_by = (-signal.SIGKILL,) if number == signal.SIGKILL else (-number, 128 + number)
    problem = fault(ended, (0, *ended_by))
    if ended.code == 128 + signal.SIGTERM and ended.temporary:
        problem = problem or f"{ended.temporary} temporary files"
    outcome = "done before" if ended.code == 0 else "killed"
    if contents(out) is not None and COMMANDS[kind].again:
        problem = problem or _difference(out, whole, left_over=False)
    elif COMMANDS[kind].again:
        again = _run(folder, kind, out).end()
        problem = problem or fault(again, (0,)) or _difference(out, whole)
        outcome = "done again"
    _remove(out)
    return {"outcome": f"{signal.Signals(number).name}, {outcome}", "fault": problem}


def pairs(config: Config) -> Iterator[dict[str, Any]]:
    """Two runs with different seeds that write to one place, the second some moments later."""
    with tempfile.TemporaryDirectory() as top:
        folder = sources(Path(top) / "files")
        for k, (kind, times) in enumerate(config.pairs):
            alone = [_place(folder, kind, f"alone-{seed}") for seed in (1, 2)]
            took = [_run(folder, kind, out, s + 1).end() for s, out in enumerate(alone)]
            for i in range(times):
                random = np.random.default_rng([config.seed, 3, k, i])
                delay = float(random.uniform(0, 1.2)) * took[0].seconds * (i > 0)
                yield {"kind": kind, **_met(folder, kind, alone, i, delay)}


def _met(folder: Path, kind: str, alone: Sequence[Path], i: int, delay: float) -> dict[str, str]:
    """One pair: one of them writes all that is there, the other says why it does not."""
    import time

    out = _place(folder, kind, f"met-{i}")
    first = _run(folder, kind, out, 1)
    time.sleep(delay)
    runs = first, _run(folder, kind, out, 2)
    ended = [run.end() for run in runs]
    codes = [run.code for run in ended]
    problem = fault(ended[0], (0, 2)) or fault(ended[1], (0, 2))
    if codes == [0, 0] and kind == "report":  # one after the other
        return {"outcome": "both", "fault": problem or _difference(out, alone[1])}
    if sorted(codes) != [0, 2]:
        problem = problem or f"exit codes {codes}"
    else:
        problem = problem or _difference(out, alone[codes.index(0)])
        words = "held by process", "in it", "that exists", "existing file", "one that does"
        if not any(word in ended[codes.index(2)].said for word in words):
            problem = problem or ended[codes.index(2)].said[-200:]
    held = "held" if "held by process" in ended[0].said + ended[1].said else "there before"
    _remove(out)
    return {"outcome": held, "fault": problem}


def _run(folder: Path, kind: str, out: Path, seed: int = 1) -> Run:
    command = COMMANDS[kind]
    place = str(out.relative_to(folder))
    words = command.words.replace("{}", place).replace("{seed}", str(seed)).split()
    return Run(command.module, words, folder, folder.parent / f"temporary-{out.stem}-{seed}")


def _place(folder: Path, kind: str, name: str) -> Path:
    return folder / f"{kind}-{name}{COMMANDS[kind].suffix}"


def _difference(out: Path, whole: Path, *, left_over: bool = True) -> str:
    """What differs from an undisturbed run, or is left beside it, where that is asked: a run that
    was killed after it had named its results had no time to put its tools away.
    """
    if contents(out) != contents(whole):
        return "other results than those of an undisturbed run"
    if out.is_dir() and beside(out) != beside(whole):
        return "other tables than those of an undisturbed run"
    page = out / "report.html"
    if out.is_dir() and page.exists() and not page.read_text().rstrip().endswith("</html>"):
        return "half a page"
    if not left_over:
        return ""
    places = out.rglob("*") if out.is_dir() else out.parent.glob(f"*{out.name}*")
    left = [p.name for p in places if p.suffix in (".part", ".lock", ".unfinished", ".parts")]
    return f"{left[0]} was left" if left else ""


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: digest(path) for path in sorted(folder.glob("*.*")) if path.is_file()}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    study.run(main)
