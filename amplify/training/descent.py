"""Members trained by descent: call after call of the compiled scan, with looks at the training and
checkpoints in between.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from amplify.training.checkpoint import Checkpoints
from amplify.training.config import FitConfig
from amplify.training.loop import Report, State, compiled
from amplify.training.mesh import Layout, cut, everywhere, local, on_host
from amplify.training.stopping import Stopping, watch
from amplify.training.trained import Ensemble
from amplify.types import Generator, Params, Trainable

_MOST_CALLS = 40  # of the compiled scan, and of progress


class Training(NamedTuple):
    """What is trained, and how.

    Attributes:
        generator: of the members.
        config: settings of each.
        stop: ends all of them together.
        layout: of the devices.
        members: that count; others only fill up the devices.
    """

    generator: Generator | Trainable
    config: FitConfig
    stop: Stopping | None
    layout: Layout
    members: int


class Table(NamedTuple):
    """What members learn from, on the devices: events [n, dim], their weights [n], and for each
    member its key and its rows of events [member, n_train].
    """

    keys: Any
    rows: Any
    x: Any
    weight: Any


class _Position(NamedTuple):
    """Where a training is: all that the rest of it depends on.

    Attributes:
        state: of the members.
        reports: of all steps so far [member, step].
        best: params that the watch keeps, and what it saw at each check; None without a watch.
    """

    state: State
    reports: Report
    best: tuple[Params, np.ndarray, np.ndarray] | None


def descend(
    training: Training,
    table: Table,
    kept: Checkpoints,
    progress: Callable[..., None] | None,
) -> Ensemble:
    """Trains the members, on from the last checkpoint that was kept.

    Args:
        training: what, and how.
        table: events for each.
        kept: checkpoints of this training.
        progress: of `fit_members`.
    """
    generator, config, stop, layout, members = training
    start, advance = compiled(generator, config, layout.mesh)
    watched = stop and watch(
        stop, generator, table.x, table.weight, table.rows, layout.mesh, members
    )
    length = _length(config, stop)
    state, reports, done = start(table.keys), [], 0

    def position() -> _Position:
        reports[:] = [_joined(reports)]
        return _Position(state, reports[0], watched.seen() if watched else None)

    def expected(step: int) -> _Position:
        said = _nothing_said(state, step)
        return _Position(state, said, _nothing_seen(state, step // length) if watched else None)

    found = kept.resumed(expected)
    if found is not None:
        done, (state, said, seen) = found
        reports.append(said)
        if watched and seen:
            watched.go_on(*seen)
    while done + length <= config.steps and not (watched and watched.over):
        steps = everywhere(layout, jnp.arange(done, done + length))
        state, report = advance(state, *table, steps)
        reports.append(report)
        done += length
        if progress is not None:
            progress(done, config.steps, *_means(report, members))
        if watched:
            watched.ends(done, state.result)
        kept.save(done, position)
    kept.save(done, position, last=True)
    params, stopped = watched.result() if watched else (state.result, None)
    losses, acceptance = jax.tree.map(jnp.asarray, _joined(reports))
    ensemble = Ensemble(params, losses, state.diverged_at, generator, stopped, acceptance)
    return cut(local(ensemble), members)


def _nothing_said(state: State, steps: int) -> Report:
    """Of the shape that reports have after so many steps."""
    members = len(state.diverged_at)
    losses: Any = np.zeros((members, steps), np.float32)
    return Report(losses, None if state.own is None else losses)


def _nothing_seen(state: State, checks: int) -> tuple[Params, np.ndarray, np.ndarray]:
    """Of the shape of what a watch has seen at so many checks."""
    return state.result, np.zeros(checks, int), np.zeros(checks)


def _length(config: FitConfig, stop: Stopping | None) -> int:
    """Steps between two looks at a training."""
    if stop is not None:
        return min(stop.every, config.steps)
    calls = max(k for k in range(1, _MOST_CALLS + 1) if config.steps % k == 0)
    return config.steps // calls


def _joined(reports: list[Report]) -> Report:
    """Of all steps, on the host."""
    return jax.tree.map(lambda *parts: np.concatenate(on_host(parts), axis=1), *reports)


def _means(report: Report, members: int) -> list[np.ndarray]:
    """Of some steps, loss and acceptance of each member; the loss alone without acceptance."""
    return [on_host(values)[:members].mean(axis=1) for values in report if values is not None]
