"""Progress: a bar on a terminal, plain lines in a log and few of them, names as they are."""

import io
import sys

import numpy as np
import pytest

from amplify import progress


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_plain_lines_ever_more_rarely(clock, capsys):
    """An hour of news every second is 11 lines; what is quick has none."""
    with progress.progress_bar("reading \x1b[31mevents", total=3600) as bar:
        for second in range(1, 3601):
            clock[0] = second
            bar.advance(1)
    lines = capsys.readouterr().err.splitlines()
    far = "10 of 3 600 (0%) after 10 s, about 59.8 min left"
    assert lines[0] == rf"reading \x1b[31mevents: {far}"
    assert lines[-1] == r"reading \x1b[31mevents: done after 1 h"
    assert 8 <= len(lines) <= 14
    clock[0] = 0.0
    with progress.progress_bar("quick", total=9) as bar:
        for second in range(9):
            clock[0] = second
            bar.count(second, note="a note")
    assert capsys.readouterr().err == ""


def test_lines_tell_losses_and_what_has_no_end(clock, capsys):
    with progress.progress_bar("training") as bar:
        clock[0] = 20.0
        bar.losses(50, 100, np.array([1.0, 3.0]), np.array([0.5, 0.7]))
    with progress.progress_bar("searching") as bar:
        clock[0] = 200.0
        bar.count(5)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        "training: 50 of 100 (50%) after 20 s, about 20 s left; "
        "loss 2.000, worst 3.000, 60.0% pass, least 50.0%"
    )
    assert "searching: 5 after 3 min" in said


def test_a_terminal_gets_a_bar_and_markup_is_text(monkeypatch):
    """rich would end a style, or fail, at what looks like its markup."""
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress.progress_bar("[/red] \x1b]0;title\x07", total=3) as bar:
        bar.count(2, 3, note="[bold]")
    assert "[/red]" in screen.getvalue() and "[bold]" in screen.getvalue()
    assert "\x1b]0" not in screen.getvalue()
