"""Runs of commands as processes of their own, to be killed, or to meet: what they leave, and
whether a process of theirs is still there.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

_TOKEN = "AMPLIFY_ROBUSTNESS"  # noqa: S105  marks a process and what it starts
_LIMIT = 300.0  # seconds that anything may take
_ENDING = 10.0  # seconds that processes may take to end after the one that started them


class Ended(NamedTuple):
    """A process that is over.

    Attributes:
        code: as the shell has it, negative of a signal.
        said: on standard error.
        seconds: it took.
        orphans: processes that it left behind.
        temporary: files that it left in its folder for temporary ones.
    """

    code: int
    said: str
    seconds: float
    orphans: int
    temporary: int


class Run:
    """A command that runs in a folder, with a folder for temporary files of its own."""

    def __init__(self, module: str, words: Sequence[str], folder: Path, temporary: Path) -> None:
        self._token, self._temporary = f"{os.getpid()}-{time.monotonic_ns()}", temporary
        temporary.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {_TOKEN: self._token, "TMPDIR": str(temporary)}
        feed = any(word == "-" for word in words)
        self._started = time.monotonic()
        with open(folder / "a.npy" if feed else os.devnull, "rb") as given:
            self.process = subprocess.Popen(  # noqa: S603  our own commands
                [sys.executable, "-m", module, *words],
                cwd=folder,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
            )

    def end(self, number: int | None = None, after: float = 0.0) -> Ended:
        """Waits for it, or sends it a signal some seconds after its start."""
        if number is not None:
            time.sleep(max(0.0, after - (time.monotonic() - self._started)))
            self.process.send_signal(number)
        try:
            said = self.process.communicate(timeout=_LIMIT)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            said = b"Traceback: it hung\n" + self.process.communicate()[1]
        seconds = time.monotonic() - self._started
        orphans, end = _marked(self._token), time.monotonic() + _ENDING
        while orphans and time.monotonic() < end:
            time.sleep(0.1)
            orphans = _marked(self._token)
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        left = sum(path.is_file() for path in self._temporary.rglob("*"))
        text = said.decode(errors="replace")
        return Ended(self.process.returncode, text, seconds, len(orphans), left)


def _marked(token: str) -> list[int]:
    """Processes that carry the mark and are no zombies."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            marked = f"{_TOKEN}={token}".encode() in (place / "environ").read_bytes().split(b"\0")
            is_over = (place / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if marked and not is_over:
            found.append(int(place.name))
    return found


def contents(out: Path) -> dict[str, Any] | None:
    """What a run came to, without what names the run: results of a folder, or a digest of a file of
    events; None where it is not there.
    """
    if out.suffix == ".h5":
        return {"sha256": digest(out)} if out.exists() else None
    path = out if out.suffix == ".json" else out / "results.json"
    if not path.exists():
        return None
    results = json.loads(path.read_text())
    for name in ("command", "version"):
        results.pop(name, None)
    return results


def beside(out: Path) -> dict[str, str]:
    """Digests of the tables beside the results."""
    return {path.name: digest(path) for path in sorted(out.glob("table.*"))}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fault(ended: Ended, codes: Sequence[int]) -> str:
    """What is wrong with how it ended, in few words; nothing where all is well."""
    if "Traceback" in ended.said:
        return "traceback: " + " ".join(ended.said.split())[-200:]
    if ended.code not in codes:
        return f"exit code {ended.code}: " + " ".join(ended.said.split())[-200:]
    if ended.orphans:
        return f"{ended.orphans} orphans"
    lines = [line for line in ended.said.splitlines() if line.startswith("error: ")]
    if ended.code == 2 and len(lines) != 1:
        return f"{len(lines)} lines of errors"
    return ""
