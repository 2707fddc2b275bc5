"""What the tests of commands share: samples of known densities in files, calls, and what an error
looks like.

Arguments of a call are texts, which are split as a shell splits them, and paths, which are not.
"""

import json
import shlex

import numpy as np
import pytest

from amplify.cli import main

KEYS = (
    "method region summary members n_train n_gen n_holdout integral sigma_stat sigma_model distance"
    " n_equiv n_equiv_interval level amplification amplification_interval status verdict"
)
# N(.1, 1) in the exact ratio, N(0, 1.1) in x (docs/method, Reference numbers)
N_EQUIV, N_EQUIV_IN_X = 474.58, 1421.10

RIGHT = '{"right": {"x0": [0, null]}}'
STRICT = "--level .999 --limit-level .999"


def arguments(*texts_and_paths):
    """A list of arguments for `main`."""
    given = []
    for item in texts_and_paths:
        given += shlex.split(item) if isinstance(item, str) else [str(item)]
    return given


def averaging_call(members, *more, n_train=1000):
    return arguments("averaging --members", *members, f"--n-train {n_train}", *more)


def differential_call(generated, holdout, *more, n_train=1000):
    samples = arguments("differential --generated", generated, "--holdout", holdout)
    return [*samples, *arguments(f"--n-train {n_train}", *more)]


def run_averaging(out, members, *more, n_train=1000):
    """Results of the command."""
    main([*averaging_call(members, *more, n_train=n_train), *arguments("--out", out)])
    return read(out)


def run_differential(out, generated, holdout, *more, n_train=1000):
    """Results of the command."""
    call = differential_call(generated, holdout, *more, n_train=n_train)
    main([*call, *arguments("--out", out)])
    return read(out)


def no_constant(text):
    raise AssertionError(f"{text} in results.json")


def read(directory):
    """results.json of a run; JSON knows no nan and no infinity."""
    return json.loads((directory / "results.json").read_text(), parse_constant=no_constant)


def fails(capsys, *given):
    """The line of an error: exit code 2, and nothing else is printed."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(given))
    captured = capsys.readouterr()
    assert stop.value.code == 2 and captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1, captured.err
    return captured.err


def draw_events(rng, n, shift=0.0, width=1.0):
    """x0 from N(shift, width), x1 from N(0, 1), t the exact log-ratio of N(.1, 1) and N(0, 1)."""
    x = rng.normal(shift, width, n)
    return {"x0": x, "x1": rng.normal(size=n), "t": 0.1 * x - 0.005}


def save(path, events, **more):
    np.savez(path, **events, **more)
    return path


def take(events, rows):
    return {name: values[rows] for name, values in events.items()}


def repeat_events(events, times):
    return {name: np.repeat(values, times) for name, values in events.items()}
