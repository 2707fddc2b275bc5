"""When a training ends: where events that a member has not seen stop being described better.

The criterion is that of the pool of the members, since the pool is what a user should take: -log of
the mean density of those members that did not see an event, averaged over events (out-of-bag, for
bootstrap members). It follows the differential distance closely (docs/method, Training that stops
where it should), and a member's own likelihood would stop too early for the pool.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float
from scipy.special import logsumexp

from amplify.errors import InputError
from amplify.training.memory import in_groups, in_turns
from amplify.training.mesh import (
    OF_ALL,
    OF_MEMBER,
    Layout,
    everywhere,
    is_cpu,
    on_devices,
    on_host,
    padded,
    split,
)
from amplify.types import Generator, Params, Trainable

Criterion = Literal["density", "loss"]


class Stopping(NamedTuple):
    """How a training watches itself.

    Attributes:
        every: steps between two checks.
        patience: checks without a better value after which training ends.
        criterion: "density" is -log of the pool's density; "loss" the mean loss of the members on
            their unseen events with the same random numbers in every check, for generators without
            a (cheap) density, such as flow matching. None takes the density where there is one.
        events: most events that a check looks at.
        holdout: share of the events that nobody trains on where members would see all of them;
            bootstrap members need none.
        repeats: how often the loss is taken for each event, with other random numbers.
        refit: where a share was left out, train once more on all events for as many steps as were
            best: twice the time. It wants a learning rate that does not depend on the number of
            steps.
    """

    every: int = 100
    patience: int = 5
    criterion: Criterion | None = None
    events: int = 10_000
    holdout: float = 0.1
    repeats: int = 8
    refit: bool = False


class Stopped(NamedTuple):
    """How a training ended; plain numbers.

    Attributes:
        step: minibatches behind the params that were kept.
        steps: minibatches at each check.
        values: the criterion there, lower is better.
    """

    step: int
    steps: tuple[int, ...]
    values: tuple[float, ...]


class Watch:
    """Keeps the best params of one training, and says when to end it."""

    def __init__(self, stop: Stopping, value: Callable[[Params], float]) -> None:
        self._stop, self._value = stop, value
        self._steps: list[int] = []
        self._values: list[float] = []
        self._best: Params = None

    def ends(self, step: int, params: Params) -> bool:
        """Looks at the params after `step` minibatches."""
        value = self._value(params)
        if not self._values or value < min(self._values):
            self._best = jax.tree.map(jnp.copy, params)  # the loop reuses the memory of its state
        self._steps.append(step)
        self._values.append(value)
        return self.over

    @property
    def over(self) -> bool:
        """Whether the training has ended."""
        since = len(self._values) - 1 - int(np.argmin(self._values)) if self._values else 0
        return since >= self._stop.patience

    def seen(self) -> tuple[Params, np.ndarray, np.ndarray]:
        """What a checkpoint needs: the best params, steps and values of the checks so far."""
        return self._best, np.array(self._steps), np.array(self._values)

    def go_on(self, best: Params, steps: np.ndarray, values: np.ndarray) -> None:
        """Goes on from what `seen` was at a checkpoint."""
        self._best, self._steps, self._values = best, steps.tolist(), values.tolist()

    def result(self) -> tuple[Params, Stopped]:
        """The best params, and where they were."""
        step = self._steps[int(np.argmin(self._values))]
        return self._best, Stopped(step, tuple(self._steps), tuple(self._values))


def watch(
    stop: Stopping,
    generator: Generator | Trainable,
    x: Float[Array, "n dim"],
    weight: Float[Array, " n"],
    rows: Any,
    mesh: Mesh,
    members: int,
) -> Watch:
    """The watch over members that train on x[rows[member]].

    Args:
        stop: its settings.
        generator: what is trained.
        x: all events that a member may be tested on where it has not seen them.
        weight: of the events.
        rows: [member, n_train], as many members as the loop has.
        mesh: over which the members are shared out.
        members: the first so many count; the others only fill up the devices.

    Raises:
        InputError: settings without sense, or no event that a member has not seen.
    """
    has_density = getattr(generator, "log_prob", None) is not None
    criterion = stop.criterion or ("density" if has_density else "loss")
    if criterion not in ("density", "loss") or (criterion == "density" and not has_density):
        fix = "use 'loss', or a generator that knows its density"
        raise InputError("criterion of Stopping", "'density' or 'loss'", repr(criterion), fix)
    if min(stop.every, stop.patience, stop.events, stop.repeats) < 1:
        expected = "every, patience, events and repeats of at least 1"
        raise InputError("Stopping", expected, str(stop), "correct the setting")
    unseen = _unseen(on_host(rows), len(x))
    chosen = np.flatnonzero(unseen[:members].any(axis=0))
    if not len(chosen):
        fix = "train bootstrap members, or leave a holdout to Stopping"
        raise InputError("Stopping", "events that a member does not see", "none", fix)
    # evenly over the table, which may be sorted
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(stop.events, len(chosen))).astype(int)]
    weights, unseen = np.asarray(weight)[chosen], unseen[:, chosen]
    measure = _measured(generator, criterion, stop.repeats, mesh)
    there = Layout(mesh, len(unseen))
    unseen_there = padded(there, unseen)
    events = everywhere(there, (np.asarray(x)[chosen], weights))

    def value(params: Params) -> float:
        of_members = on_host(measure(params, unseen_there, *events))[:members].astype(float)
        if criterion == "loss":
            return float(np.nanmean(of_members))
        return pool_loss(of_members, unseen[:members], weights)

    return Watch(stop, value)


def pool_loss(
    log_prob: Float[np.ndarray, "member n"],
    unseen: Bool[np.ndarray, "member n"],
    weight: Float[np.ndarray, " n"],
) -> float:
    """Weighted mean over events of -log of the mean density of the members that have not seen them.

    >>> log_prob = np.log([[0.2, 0.4], [0.6, 0.1]])
    >>> unseen = np.array([[True, True], [True, False]])
    >>> round(pool_loss(log_prob, unseen, np.ones(2)), 3)  # -log .4 of both
    0.916
    """
    how_many = unseen.sum(axis=0)
    known = how_many > 0
    of_unseen = np.where(unseen, log_prob, -np.inf)[:, known]
    pooled = logsumexp(of_unseen, axis=0) - np.log(how_many[known])
    return float(-(weight[known] * pooled).sum() / weight[known].sum())


def _unseen(rows: np.ndarray, n: int) -> np.ndarray:
    """Which events [member, n] a member does not train on."""
    unseen = np.ones((len(rows), n), bool)
    np.put_along_axis(unseen, rows, False, axis=1)
    return unseen


@lru_cache(maxsize=32)
def _measured(
    generator: Any, criterion: Criterion, repeats: int, mesh: Mesh
) -> Callable[[Params, Array, Array, Array], Array]:
    """Compiled (params [member], unseen [member, n], x, weight) -> log densities [member, n], or
    losses [member], with the members shared out over the mesh.
    """

    def density(params: Params, x: Array, weight: Array, unseen: Array) -> Array:
        return generator.log_prob(params, split(mesh, x))

    def loss(params: Params, x: Array, weight: Array, unseen: Array) -> Array:
        keys = jax.random.split(jax.random.key(0), repeats)
        events = split(mesh, (x, jnp.where(unseen, weight, 0.0)))
        return jax.lax.map(lambda key: generator.loss(params, key, *events), keys).mean()

    of_one = {"density": density, "loss": loss}[criterion]

    def measure_by(at_once: int | None) -> Any:
        def measure(params: Params, unseen: Array, x: Array, weight: Array) -> Array:
            def of_member(member: tuple[Params, Array]) -> Array:
                return of_one(member[0], x, weight, member[1])

            return in_turns(of_member, (params, unseen), at_once)

        return on_devices(measure, mesh, (OF_MEMBER, OF_MEMBER, OF_ALL, OF_ALL))

    return measure_by(None) if is_cpu(mesh) else in_groups(measure_by, mesh)
