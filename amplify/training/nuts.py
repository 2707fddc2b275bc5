"""The exact posterior of small generators by the No-U-Turn sampler (arXiv:1111.4246) of numpyro:
the standard against which cheaper members are measured.

Chains start from short trainings. Every draw looks at all events many times, so this is for some
hundred parameters and some thousand events.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.training import posterior
from amplify.training.fit import FitConfig, StepProgress, fit_members
from amplify.training.trained import Ensemble
from amplify.types import Generator, Params

MOST_PARAMETERS = 3000  # with more, a single draw takes minutes and chains do not mix
_MOST_CALLS = 20  # of the compiled scan, and of progress
_LOOKED_AT = 32  # training events whose log densities tell whether chains have mixed


class NUTSConfig(NamedTuple):
    """Settings of the sampler.

    Attributes:
        chains: independent ones, each from a training of its own.
        warm_up: draws for the step size and the mass matrix, dropped.
        draws: of each chain after that, of which members are taken evenly.
        prior_width: of a Gaussian prior of all params around zero; None for a flat one, with which
            the fitted Gaussian has its closed form and a network has no posterior.
        target_acceptance: that the step size is adapted to.
        max_tree_depth: trajectories have at most 2^depth steps.
        dense: adapt a full mass matrix, not its diagonal alone; wants more warm-up draws than
            parameters.
        start: the training that a chain starts from.
    """

    chains: int = 4
    warm_up: int = 500
    draws: int = 500
    prior_width: float | None = 1.0
    target_acceptance: float = 0.8
    max_tree_depth: int = 8
    dense: bool = False
    start: FitConfig = FitConfig(steps=300)


class _Trace(NamedTuple):
    """What iterations leave [chain, iteration, ...]."""

    position: Array
    energy: Array
    acceptance: Array
    diverging: Array
    steps: Array


def fit_nuts(
    key: PRNGKeyArray,
    generator: Generator,
    x: Float[Any, "n dim"],
    *,
    members: int,
    weight: Float[Any, " n"] | None = None,
    config: NUTSConfig | None = None,
    progress: StepProgress | None = None,
) -> Ensemble:
    """Members are draws of the posterior of a small generator given the events x.

    >>> from amplify.generators.fitted_gaussian import fitted_gaussian
    >>> x = np.random.default_rng(0).normal(size=(100, 1))
    >>> config = NUTSConfig(chains=2, warm_up=50, draws=50, prior_width=None)
    >>> ensemble = fit_nuts(jax.random.key(0), fitted_gaussian(), x, members=20, config=config)
    >>> len(ensemble), ensemble.method, ensemble.posterior.divergences
    (20, 'nuts', 0)

    Args:
        key: the same key gives the same bits on the same devices.
        generator: of at most some thousand params; a density by its likelihood, others by their
            loss, whose posterior is a surrogate, at one choice of its random numbers.
        x: training events of NumPy or JAX; looked at in single precision.
        members: draws to keep, evenly from all chains.
        weight: event weights; the events count as many as they are worth, (sum w)^2 / sum w^2.
        config: settings of the sampler.
        progress: called with (iteration, iterations, mean potential per event [chain]) some 20
            times.

    Returns:
        The ensemble, with `losses` the potential per event in every iteration of the member's
        chain, and diagnostics in `posterior`. Params under a key "fixed" are those of a chain's
        start.

    Raises:
        InputError: too many parameters, settings without sense, more members than draws, or events
            as `fit` refuses them.
        DivergedError: the training that a chain starts from diverged.
    """
    config = NUTSConfig() if config is None else config
    _check(generator, members, config)
    key_start, key_chains = jax.random.split(key)
    chains, n = config.chains, x.shape[0]
    rows = jnp.broadcast_to(jnp.arange(n), (chains, n))
    keys = jax.random.split(key_start, chains)
    start = fit_members(keys, generator, x, rows, weight=weight, config=config.start)
    x = jnp.asarray(x, jnp.float32)
    weight = jnp.ones(n, x.dtype) if weight is None else jnp.asarray(weight, x.dtype)
    trace, fixed = _sampled(key_chains, generator, start.params, x, weight, config, progress)
    report = _diagnosed(generator, trace, fixed, x, config)
    which = _kept(members, chains, config)
    joined = jax.vmap(posterior.joiner(generator))
    of_chain = jax.tree.map(lambda leaf: leaf[which[0]], fixed)
    params = joined(trace.position[which], of_chain)
    losses = trace.energy[which[0]] / float(posterior.n_worth(weight))
    fine = jnp.full(members, -1, jnp.int32)
    return Ensemble(params, losses, fine, generator, method="nuts", posterior=report)


def _check(generator: Generator, members: int, config: NUTSConfig) -> None:
    posterior.refuse_without_posterior("fit_nuts", generator, config.prior_width)
    shapes = jax.eval_shape(generator.init, jax.random.key(0))
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    if parameters > MOST_PARAMETERS:
        fix = "use fit_sgmcmc, fit_variational or fit_ensemble, or a smaller network"
        expected = f"at most {MOST_PARAMETERS} parameters"
        raise InputError("fit_nuts", expected, str(parameters), fix)
    if min(config.chains, config.warm_up, config.draws, config.max_tree_depth) < 1:
        expected = "chains, warm_up, draws and max_tree_depth of at least 1"
        raise InputError("NUTSConfig", expected, str(config), "correct the setting")
    if not 0 < config.target_acceptance < 1:
        expected, got = "target_acceptance between 0 and 1", str(config.target_acceptance)
        raise InputError("NUTSConfig", expected, got, "0.8 is usual")
    if not 1 <= members <= config.chains * config.draws:
        expected = f"1 to {config.chains * config.draws}, the draws of all chains"
        raise InputError("members", expected, str(members), "draw more or keep fewer")


def _kept(members: int, chains: int, config: NUTSConfig) -> tuple[np.ndarray, np.ndarray]:
    """Chain and iteration of each member, evenly over all draws; the chains take turns."""
    member = np.arange(members)
    each = math.ceil(members / chains)
    draw = np.linspace(0, config.draws - 1, each + 1)[1:].astype(int)
    return member % chains, config.warm_up + draw[member // chains]


def _sampled(
    key: PRNGKeyArray,
    generator: Generator,
    params: Params,
    x: Array,
    weight: Array,
    config: NUTSConfig,
    progress: StepProgress | None,
) -> tuple[_Trace, Params]:
    """All iterations of all chains, and the params that stay as they are [chain, ...]."""
    chains, iterations = config.chains, config.warm_up + config.draws
    ours = jax.local_devices()  # each of several processes samples all chains
    devices = ours[: min(len(ours), chains)]
    # every device has as many chains, the last one is repeated
    size = math.ceil(chains / len(devices)) * len(devices)
    padded = np.minimum(np.arange(size), chains - 1)
    keys = jax.random.split(key, chains)[padded]
    position, fixed = jax.tree.map(lambda leaf: leaf[padded], jax.vmap(posterior.parted)(params))
    start, advance = _compiled(generator, config, tuple(devices))
    state, traces = start(keys, position, fixed, x, weight), []
    length = posterior.block_length(iterations, _MOST_CALLS)
    n = float(posterior.n_worth(weight))
    for done in range(length, iterations + 1, length):
        state, trace = advance(state, fixed, x, weight)
        traces.append(trace)
        if progress is not None:
            energy = np.asarray(trace.energy)[:chains].mean(axis=1)
            progress(done, iterations, energy / n)
    trace = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1)[:chains], *traces)
    return trace, jax.tree.map(lambda leaf: leaf[:chains], fixed)


@lru_cache(maxsize=32)  # compiling takes seconds, and other events want the same code
def _compiled(
    generator: Generator, config: NUTSConfig, devices: tuple[Any, ...]
) -> tuple[Callable, Callable]:
    """`start(keys, position, fixed, x, weight)` -> states, and `advance(states, fixed, x, weight)`
    -> (states, trace of a block of iterations), with the chains shared out over the devices: one
    after the other, because trajectories differ in length.
    """
    from numpyro.infer.hmc import hmc  # half a second, for who wants it

    energy = posterior.potential(generator, config.prior_width)
    no_key = jax.random.key(0)  # all events, and no dropout

    def of_events(fixed: Params, x: Array, weight: Array) -> Callable[[Array], Array]:
        n = posterior.n_worth(weight)
        return lambda position: energy(position, fixed, no_key, x, weight, n)

    first_state, next_state = hmc(potential_fn_gen=of_events, algo="NUTS")
    length = posterior.block_length(config.warm_up + config.draws, _MOST_CALLS)
    of_chain, of_all = PartitionSpec("chain"), PartitionSpec()
    mesh = Mesh(np.asarray(devices), ("chain",))
    shared_out = partial(jax.shard_map, mesh=mesh, out_specs=of_chain, check_vma=False)

    @jax.jit
    @partial(shared_out, in_specs=(of_chain, of_chain, of_chain, of_all, of_all))
    def start(keys: Array, position: Array, fixed: Params, x: Array, weight: Array) -> Any:
        def of_one(chain: tuple[Array, Array, Params]) -> Any:
            key, position, fixed = chain
            return first_state(
                position,
                config.warm_up,
                step_size=0.1,
                dense_mass=config.dense,
                target_accept_prob=config.target_acceptance,
                max_tree_depth=config.max_tree_depth,
                model_args=(fixed, x, weight),
                rng_key=key,
            )

        return jax.lax.map(of_one, (keys, position, fixed))

    @jax.jit
    @partial(shared_out, in_specs=(of_chain, of_chain, of_all, of_all))
    def advance(state: Any, fixed: Params, x: Array, weight: Array) -> tuple[Any, _Trace]:
        def of_one(chain: tuple[Any, Params]) -> tuple[Any, _Trace]:
            state, fixed = chain

            def iteration(state: Any, _: None) -> tuple[Any, _Trace]:
                state = next_state(state, model_args=(fixed, x, weight))
                energy, acceptance = state.potential_energy, state.accept_prob
                left = _Trace(state.z, energy, acceptance, state.diverging, state.num_steps)
                return state, left

            return jax.lax.scan(iteration, state, None, length=length)

        return jax.lax.map(of_one, (state, fixed))

    return start, advance


def _diagnosed(
    generator: Generator, trace: _Trace, fixed: Params, x: Array, config: NUTSConfig
) -> posterior.Diagnostics:
    """Of the draws after the warm-up."""
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    drawn = jax.tree.map(lambda leaf: leaf[:, config.warm_up :], trace)
    looked_at = [np.asarray(drawn.energy)]
    if generator.log_prob is not None:
        events = x[np.linspace(0, len(x) - 1, min(_LOOKED_AT, len(x))).astype(int)]
        densities = np.asarray(_densities(generator)(drawn.position, fixed, events))
        looked_at += list(np.moveaxis(densities, -1, 0))
    enough = config.draws >= 4  # for halves with a variance
    r_hat = max(float(split_gelman_rubin(q)) for q in looked_at) if enough else math.nan
    effective = min(float(effective_sample_size(q)) for q in looked_at) if enough else math.nan
    return posterior.Diagnostics(
        acceptance=float(drawn.acceptance.mean()),
        divergences=int(drawn.diverging.sum()),
        r_hat=r_hat,
        effective=effective,
        steps=int(np.asarray(drawn.steps, np.int64).sum()),
    )


@lru_cache(maxsize=32)
def _densities(generator: Generator) -> Callable[[Array, Params, Array], Array]:
    """Log densities (position [chain, draw, parameter], fixed [chain], x) -> [chain, draw, n]."""
    joined = posterior.joiner(generator)
    assert generator.log_prob is not None
    log_prob = generator.log_prob

    @jax.jit
    def of_all(position: Array, fixed: Params, x: Array) -> Array:
        def of_chain(chain: tuple[Array, Params]) -> Array:
            position, fixed = chain
            return jax.lax.map(lambda one: log_prob(joined(one, fixed), x), position)

        return jax.lax.map(of_chain, (position, fixed))

    return of_all
