"""One training as one compiled scan, and many of them over all devices.

Which events a member learns from is data: `rows` [member, n] indexes a table of events. A
bootstrap, the same events for all, or a training set of its own for each are the same compiled code
with other rows.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from amplify.errors import DivergedError, InputError
from amplify.training.trained import Ensemble, Fitted
from amplify.types import Generator, Params, Trainable

StepProgress = Callable[
    [int, int, np.ndarray], None
]  # step, steps, mean loss of each member since the last call


class FitConfig(NamedTuple):
    """One training: AdamW with gradient clipping and a learning rate that falls to zero along a
    cosine.

    Attributes:
        steps: minibatches.
        batch: events per minibatch, drawn with replacement.
        learning_rate: at the start; the default is that of the ring study, where 2e-3 left a bias
            common to all members.
        weight_decay: decoupled, multiplied by the learning rate in each step.
        clip: largest global norm of a gradient.
        micro_batch: events whose gradient is computed at once, a divisor of `batch`; gradients add
            up over a minibatch. Large networks are bound by memory traffic, and small parts stay in
            the cache of a CPU. None takes the whole minibatch.
    """

    steps: int = 1000
    batch: int = 256
    learning_rate: float = 5e-3
    weight_decay: float = 0.0
    clip: float = 5.0
    micro_batch: int | None = None


class _State(NamedTuple):
    params: Params
    optimiser: Any
    diverged_at: Int[Array, ""]


def fit(
    key: PRNGKeyArray,
    generator: Generator,
    x: Float[Array, "n dim"],
    *,
    weight: Float[Array, " n"] | None = None,
    config: FitConfig = FitConfig(),
    progress: StepProgress | None = None,
) -> Fitted:
    """Trains one generator on events x, with event weights in the loss.

    The result samples and gives log densities: `fitted.sample(key, n)`, `fitted.log_prob(x)`.

    Args:
        key: the same key gives the same bits on the same devices.
        generator: what is trained.
        x: training events.
        weight: event weights in the loss; ones by default.
        config: settings of the training.
        progress: called with (step, steps, mean loss [1]) some 40 times.

    Raises:
        InputError: events or weights that are not finite, do not fit together, or a setting that
            makes no sense.
        DivergedError: the loss became infinite or nan; `error.ensemble` holds the last finite
            params.
    """
    rows = jnp.arange(x.shape[0])[None]
    ensemble = fit_members(
        jax.random.split(key, 1),
        generator,
        x,
        rows,
        weight=weight,
        config=config,
        progress=progress,
    )
    return ensemble[0]


def fit_members(
    keys: Key[Array, " member"],
    generator: Generator | Trainable,
    x: Float[Array, "n dim"],
    rows: Int[Array, "member n_train"],
    *,
    weight: Float[Array, " n"] | None = None,
    config: FitConfig = FitConfig(),
    progress: StepProgress | None = None,
) -> Ensemble:
    """Trains one member per key on x[rows[member]], spread over all devices.

    Args:
        keys: one per member. The same keys give the same bits on the same devices; another number
            of devices changes the rounding only.
        generator: what is trained.
        x: table of events.
        rows: which events each member learns from.
        weight: event weights in the loss; ones by default.
        config: settings of each training.
        progress: called with (step, steps, mean loss [member]) some 40 times.

    Raises:
        InputError: as in `fit`.
        DivergedError: names the members and steps; `error.ensemble` holds all of them,
            `error.ensemble.survivors()` the others.
    """
    _check(generator, x, weight, rows, config)
    x = jnp.asarray(x, jnp.float32)
    weight = jnp.ones(x.shape[0], x.dtype) if weight is None else jnp.asarray(weight, x.dtype)
    members = rows.shape[0]
    devices = jax.devices()[: min(len(jax.devices()), members)]
    padded = np.minimum(np.arange(math.ceil(members / len(devices)) * len(devices)), members - 1)
    keys, rows = keys[padded], jnp.asarray(rows)[padded]
    start, advance = _compiled(generator, config, tuple(devices))

    state, losses = start(keys), []
    n_chunks = max(
        k for k in range(1, 41) if config.steps % k == 0
    )  # calls of the compiled scan, for progress
    length = config.steps // n_chunks
    for chunk in range(n_chunks):
        steps = jnp.arange(chunk * length, (chunk + 1) * length)
        state, loss = advance(state, keys, rows, x, weight, steps)
        losses.append(loss)
        if progress is not None:
            progress((chunk + 1) * length, config.steps, np.asarray(loss)[:members].mean(axis=1))
    ensemble = Ensemble(state.params, jnp.concatenate(losses, axis=1), state.diverged_at, generator)
    if len(padded) > members:
        ensemble = jax.tree.map(lambda leaf: leaf[:members], ensemble)
    _refuse_divergence(ensemble)
    return ensemble


@lru_cache(maxsize=32)  # compiling takes seconds, and the same generator is often trained again
def _compiled(
    generator: Generator | Trainable, config: FitConfig, devices: tuple[Any, ...]
) -> tuple[Callable, Callable]:
    """Jitted `start(keys)` and `advance(state, keys, rows, x, weight, steps)`, with the members
    shared out over the devices.
    """
    optimiser = optax.chain(
        optax.clip_by_global_norm(config.clip),
        optax.adamw(
            optax.cosine_decay_schedule(config.learning_rate, config.steps),
            weight_decay=config.weight_decay,
        ),
    )

    def start_one(key: PRNGKeyArray) -> _State:
        params = generator.init(jax.random.fold_in(key, 0))
        return _State(params, optimiser.init(params), jnp.int32(-1))

    def loss_and_gradient(
        params: Params, key: PRNGKeyArray, x: Array, weight: Array
    ) -> tuple[Array, Params]:
        parts = config.batch // (config.micro_batch or config.batch)
        if parts == 1:
            return jax.value_and_grad(generator.loss)(params, key, x, weight)

        def add(
            total: tuple[Array, Params], part: tuple[Array, Array, Array]
        ) -> tuple[tuple[Array, Params], None]:
            key, x, weight = part
            share = weight.sum() / all_weights  # a loss is a weighted mean over its events
            return jax.tree.map(
                lambda a, b: a + share * b,
                total,
                jax.value_and_grad(generator.loss)(params, key, x, weight),
            ), None

        all_weights = weight.sum()
        zero = (jnp.zeros((), x.dtype), jax.tree.map(jnp.zeros_like, params))
        split = (
            jax.random.split(key, parts),
            x.reshape(parts, -1, x.shape[1]),
            weight.reshape(parts, -1),
        )
        return jax.lax.scan(add, zero, split)[0]

    def step(
        x: Array, weight: Array, rows: Array, key: PRNGKeyArray, state: _State, index: Array
    ) -> tuple[_State, Array]:
        key_batch, key_loss = jax.random.split(jax.random.fold_in(key, index + 1))
        batch = rows[jax.random.randint(key_batch, (config.batch,), 0, rows.shape[0])]
        loss, gradient = loss_and_gradient(state.params, key_loss, x[batch], weight[batch])
        updates, moments = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        finite = jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradient))
        alive = (state.diverged_at < 0) & finite
        kept = jax.tree.map(
            partial(jnp.where, alive), (params, moments), (state.params, state.optimiser)
        )
        diverged_at = jnp.where((state.diverged_at < 0) & ~finite, index, state.diverged_at).astype(
            jnp.int32
        )
        return _State(kept[0], kept[1], diverged_at), jnp.where(alive, loss, jnp.nan)

    mesh = Mesh(np.asarray(devices), ("member",))
    split, whole = PartitionSpec("member"), PartitionSpec()
    shared_out = partial(jax.shard_map, mesh=mesh, out_specs=split, check_vma=False)

    @jax.jit
    @partial(shared_out, in_specs=split)
    def start(keys: Array) -> _State:
        return jax.vmap(start_one)(keys)

    @partial(jax.jit, donate_argnums=0)
    @partial(shared_out, in_specs=(split, split, split, whole, whole, whole))
    def advance(
        state: _State, keys: Array, rows: Array, x: Array, weight: Array, steps: Array
    ) -> tuple[_State, Array]:
        def one(member: tuple[_State, PRNGKeyArray, Array]) -> tuple[_State, Array]:
            state, key, rows = member
            return jax.lax.scan(partial(step, x, weight, rows, key), state, steps)

        # one member after the other on a CPU, where it is as fast as all at once
        return jax.lax.map(
            one,
            (state, keys, rows),
            batch_size=None if devices[0].platform == "cpu" else keys.shape[0],
        )

    return start, advance


def _refuse_divergence(ensemble: Ensemble) -> None:
    diverged_at = np.asarray(ensemble.diverged_at)
    if (diverged_at < 0).all():
        return
    named = ", ".join(
        f"member {m} at step {diverged_at[m]}" for m in np.flatnonzero(diverged_at >= 0)
    )
    left = int((diverged_at < 0).sum())
    raise DivergedError(
        "training",
        "a finite loss",
        f"infinity or nan in {named}",
        f"the other {left} members are kept; lower the learning rate or check the events",
        ensemble,
    )


def _check(
    generator: Generator | Trainable, x: Array, weight: Array | None, rows: Array, config: FitConfig
) -> None:
    if x.ndim != 2 or x.shape[0] == 0 or x.shape[1] != generator.dim:
        raise InputError(
            "training events",
            f"shape [n, {generator.dim}]",
            str(x.shape),
            "one row per event, one column per dimension",
        )
    if not np.isfinite(np.asarray(x)).all():
        raise InputError(
            "training events", "finite numbers", "nan or infinity", "remove those events"
        )
    if weight is not None and (
        weight.shape != x.shape[:1]
        or not np.isfinite(np.asarray(weight)).all()
        or not np.asarray(weight).sum() > 0
    ):
        raise InputError(
            "weights",
            f"{x.shape[0]} finite numbers with a positive sum",
            f"shape {weight.shape}",
            "one weight per event",
        )
    if rows.ndim != 2 or 0 in rows.shape:
        raise InputError(
            "rows", "shape [member, n_train]", str(rows.shape), "at least one member and one event"
        )
    if config.steps < 1 or config.batch < 1 or not config.learning_rate > 0:
        raise InputError(
            "FitConfig",
            "steps, batch and learning_rate above zero",
            str(config),
            "correct the setting",
        )
    if config.micro_batch is not None and (
        config.micro_batch < 1 or config.batch % config.micro_batch
    ):
        raise InputError(
            "FitConfig",
            f"a micro_batch that divides the batch of {config.batch}",
            str(config.micro_batch),
            "correct the setting",
        )
