"""Stochastic gradient dynamics of chains (`sgmcmc`): their settings, their steps by the integrators
of blackjax, compiled for all devices.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PRNGKeyArray

from amplify.errors import MissingExtraError
from amplify.training import posterior
from amplify.training.config import FitConfig
from amplify.training.memory import in_groups, in_turns
from amplify.training.mesh import OF_ALL, OF_MEMBER, is_cpu, on_devices, split
from amplify.types import Generator, Params

Dynamics = Literal["sghmc", "sgld"]
StepSchedule = Literal["constant", "cyclical"]

_EVENTS = 512  # whose gradients make the preconditioner
_AT_ONCE = 64  # of them
_DAMPING = 1e-3


class SGMCMCConfig(NamedTuple):
    """Settings of the chains.

    The defaults were chosen on rings in two and four dimensions with the spline coupling flow and
    1000 events, for one chain that costs one training with its start. Draws spread by .7 of the
    actual error of a trained network in radial shells and by .8 to 1.2 of it in the tails, while
    they are farther from the truth than that network: 1.4 times in shells, twice and more in tails,
    into which they spill. A larger step spreads and spills more, a smaller one less; a lower
    temperature, several chains, cycles and a preconditioner changed little in how the two go
    together.

    Attributes:
        dynamics: "sghmc" keeps a momentum, "sgld" has none.
        step_size: as a learning rate: a step of SGLD moves the params by step_size times the
            gradient of the mean loss per event, and SGHMC by up to 1 / friction as much. Stable
            below 2 over the largest curvature of the mean loss, and SGHMC below friction over it.
            With a preconditioner, in its coordinates.
        friction: share of the momentum that is lost in each step of SGHMC.
        temperature: of the posterior; 1 is the posterior itself, less is narrower.
        schedule: "constant", or "cyclical": along a cosine from step_size to zero between two draws
            (arXiv:1902.03932).
        explore: share of each cycle, at its start, without noise.
        between: minibatches from one draw to the next.
        burn_in: draws that each chain drops at its start.
        chains: independent ones, each from a training of its own; members are shared out over them.
        batch: events per minibatch, drawn with replacement.
        prior_width: of a Gaussian prior of all params around zero; None for a flat one.
        precondition: power p with which every parameter is stretched, a change of variables: by (F
            / mean F + .001)^-p, with F the mean square of its gradient per event where the chain
            starts. 0 is none; 1/4 is that of RMSprop (arXiv:1512.07666); 1/2 gives all parameters
            about the same width, and lets those that data do not determine run far.
        start: the training that a chain starts from; by default half of that for integrals of so
            many events: this and 16 draws cost 1.1 times one member of `fit_ensemble`.
    """

    dynamics: Dynamics = "sghmc"
    step_size: float = 1e-3
    friction: float = 0.1
    temperature: float = 1.0
    schedule: StepSchedule = "constant"
    explore: float = 0.5
    between: int = 30
    burn_in: int = 0
    chains: int = 1
    batch: int = 256
    prior_width: float | None = 1.0
    precondition: float = 0.0
    start: FitConfig | None = None


class Dials(NamedTuple):
    """Numbers of the config that compiled code takes as they come, so that tuning does not compile.

    Attributes:
        step_size: of `SGMCMCConfig`, as the others.
        friction: of SGHMC.
        temperature: of the posterior.
    """

    step_size: Any
    friction: Any
    temperature: Any


class State(NamedTuple):
    """A chain between two steps, in the coordinates z of the preconditioner: params = centre +
    scale z.

    Attributes:
        z: where the chain is.
        momentum: of SGHMC; unused by SGLD.
        diverged_at: the step at which the gradient was not finite, or -1. Nothing moves after it.
    """

    z: Float[Array, "*chain parameter"]
    momentum: Float[Array, "*chain parameter"]
    diverged_at: Int[Array, "*chain"]


class Frame(NamedTuple):
    """What stays of a chain.

    Attributes:
        key: of its minibatches and its noise.
        centre: where it started [parameter].
        scale: of each parameter, the preconditioner.
        fixed: params that are not sampled.
    """

    key: Any
    centre: Float[Array, "*chain parameter"]
    scale: Float[Array, "*chain parameter"]
    fixed: Params


def integrators() -> Any:
    """The module of blackjax.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        from blackjax.sgmcmc import diffusions
    except ImportError as error:
        fix = "pip install '.[bayes]' in the directory of amplify"
        raise MissingExtraError(
            "blackjax", "the package blackjax", "no such package", fix
        ) from error
    return diffusions


def compiled(generator: Generator, config: SGMCMCConfig, mesh: Mesh) -> tuple[Callable, Callable]:
    """`start(keys, params, x, weight)` -> (states, frames), and `advance(states, frames, x, weight,
    steps)` -> (states, params [chain, parameter], losses [chain, step]), with the chains shared out
    over the mesh.
    """
    dials = Dials(config.step_size, config.friction, config.temperature)
    dials = jax.tree.map(jnp.float32, dials)
    same_code = config._replace(step_size=1.0, friction=1.0, temperature=1.0)
    same_code = same_code._replace(chains=1, burn_in=0, start=None)
    start, advance = _jitted(generator, same_code, mesh)
    return start, partial(advance, dials)


@lru_cache(maxsize=32)  # compiling takes seconds, and other events want the same code
def _jitted(generator: Generator, config: SGMCMCConfig, mesh: Mesh) -> tuple[Callable, Callable]:
    move = _mover(config)
    energy_and_gradient = jax.value_and_grad(posterior.potential(generator, config.prior_width))

    def start_by(at_once: int | None) -> Any:
        def start(keys: Array, params: Params, x: Array, weight: Array) -> tuple[State, Frame]:
            def of_one(chain: tuple[Array, Params]) -> tuple[State, Frame]:
                key, params = chain
                key_scale, key_steps = jax.random.split(key)
                centre, fixed = posterior.parted(params)
                scale = jnp.ones_like(centre)
                if config.precondition:
                    squares = _squared_gradients(generator, key_scale, params, x, weight)
                    scale = (squares / squares.mean() + _DAMPING) ** -config.precondition
                state = State(jnp.zeros_like(centre), jnp.zeros_like(centre), jnp.int32(-1))
                return state, Frame(key_steps, centre, scale, fixed)

            return in_turns(of_one, (keys, params), at_once)

        return on_devices(start, mesh, (OF_MEMBER, OF_MEMBER, OF_ALL, OF_ALL))

    def step(
        dials: Dials, frame: Frame, table: tuple[Array, Array], state: State, index: Array
    ) -> tuple[State, Array]:
        x, weight = table
        n = posterior.n_worth(weight)
        keys = jax.random.split(jax.random.fold_in(frame.key, index), 3)
        key_batch, key_loss, key_noise = keys
        batch = jax.random.randint(key_batch, (config.batch,), 0, len(x))
        events = split(mesh, (x[batch], weight[batch]))
        position = frame.centre + frame.scale * state.z
        energy, gradient = energy_and_gradient(position, frame.fixed, key_loss, *events, n)
        z, momentum = move(dials, key_noise, state, -frame.scale * gradient, index, n)
        finite = jnp.isfinite(energy) & jnp.isfinite(gradient).all()
        was_alive = state.diverged_at < 0
        alive = was_alive & finite
        diverged_at = jnp.where(was_alive & ~finite, index, state.diverged_at)
        moved = State(
            jnp.where(alive, z, state.z),
            jnp.where(alive, momentum, state.momentum),
            diverged_at.astype(jnp.int32),
        )
        return moved, jnp.where(alive, energy / n, jnp.nan)

    def advance_by(at_once: int | None) -> Any:
        def advance(
            dials: Dials, state: State, frame: Frame, x: Array, weight: Array, steps: Array
        ) -> tuple[State, Array, Array]:
            def of_one(chain: tuple[State, Frame]) -> tuple[State, Array, Array]:
                state, frame = chain
                one = partial(step, dials, frame, (x, weight))
                state, losses = jax.lax.scan(one, state, steps)
                return state, frame.centre + frame.scale * state.z, losses

            return in_turns(of_one, (state, frame), at_once)

        return on_devices(advance, mesh, (OF_ALL, OF_MEMBER, OF_MEMBER, OF_ALL, OF_ALL, OF_ALL))

    if is_cpu(mesh):  # one after the other is as fast as all at once
        return start_by(None), advance_by(None)
    return in_groups(start_by, mesh), in_groups(advance_by, mesh)


def _mover(config: SGMCMCConfig) -> Callable:
    """One step: (dials, key, state, gradient of the log posterior, index, n) -> (z, momentum)."""
    diffusions = integrators()

    def size_and_temperature(dials: Dials, index: Array) -> tuple[Any, Any]:
        if config.schedule == "constant":
            return dials.step_size, dials.temperature
        phase = (index % config.between) / config.between
        size = dials.step_size / 2 * (jnp.cos(jnp.pi * phase) + 1)
        return size, jnp.where(phase < config.explore, 0.0, dials.temperature)

    def sgld(
        dials: Dials, key: Array, state: State, gradient: Array, index: Array, n: Any
    ) -> tuple[Array, Array]:
        size, temperature = size_and_temperature(dials, index)
        one_step = diffusions.overdamped_langevin()
        return one_step(key, state.z, gradient, size / n, temperature), state.momentum

    def sghmc(
        dials: Dials, key: Array, state: State, gradient: Array, index: Array, n: Any
    ) -> tuple[Array, Array]:
        size, temperature = size_and_temperature(dials, index)
        time = jnp.sqrt(size / n)  # of one step, with unit masses
        one_step = diffusions.sghmc(alpha=dials.friction / time)
        return one_step(key, state.z, state.momentum, gradient, time, temperature)

    return {"sgld": sgld, "sghmc": sghmc}[config.dynamics]


def _squared_gradients(
    generator: Generator,
    key: PRNGKeyArray,
    params: Params,
    x: Float[Array, "n dim"],
    weight: Float[Array, " n"],
) -> Float[Array, " parameter"]:
    """Mean square over events of the gradient of the loss of one, the diagonal of the empirical
    Fisher information.
    """
    key_events, key_losses = jax.random.split(key)
    which = jax.random.randint(key_events, (_EVENTS,), 0, len(x))
    keys = jax.random.split(key_losses, _EVENTS)

    def square(event: tuple[Array, Array]) -> Array:
        key, x = event
        gradient = jax.grad(generator.loss)(params, key, x[None], jnp.ones(1, x.dtype))
        return posterior.parted(gradient).position ** 2

    squares = jax.lax.map(square, (keys, x[which]), batch_size=_AT_ONCE)
    return (weight[which] @ squares) / weight[which].sum()
