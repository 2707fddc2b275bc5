"""Draws of the posterior of large generators by stochastic gradients: Langevin dynamics (SGLD, ICML
2011) and Hamiltonian dynamics with friction (SGHMC, arXiv:1402.4102), by the integrators of
blackjax.

A chain starts from a training, and every minibatch moves it by a step. The step is explicit, and
what a minibatch adds to the noise grows with it: a small step is closer to the posterior, and is
slower to get anywhere.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from amplify.errors import DivergedError, InputError
from amplify.training import posterior
from amplify.training.chains import Chains, drawn
from amplify.training.checkpoint import Folder, checkpoints, inner
from amplify.training.dynamics import SGMCMCConfig, integrators
from amplify.training.fit import FitConfig, StepProgress, fit_members
from amplify.training.trained import Ensemble
from amplify.types import Generator

__all__ = ["SGMCMCConfig", "fit_sgmcmc"]


def fit_sgmcmc(
    key: PRNGKeyArray,
    generator: Generator,
    x: Float[Any, "n dim"],
    *,
    members: int,
    weight: Float[Any, " n"] | None = None,
    config: SGMCMCConfig | None = None,
    progress: StepProgress | None = None,
    checkpoint: Folder | None = None,
) -> Ensemble:
    """Members are draws of the posterior of a generator given the events x, of chains driven by
    minibatches (docs/method, Averaging amplification).

    >>> from amplify.generators.fitted_gaussian import fitted_gaussian
    >>> x = np.random.default_rng(0).normal(size=(100, 1))
    >>> config = SGMCMCConfig(start=FitConfig(steps=50), between=10)
    >>> ensemble = fit_sgmcmc(jax.random.key(0), fitted_gaussian(), x, members=4, config=config)
    >>> len(ensemble), ensemble.method, ensemble.losses.shape
    (4, 'sgmcmc', (4, 10))

    Args:
        key: the same key gives the same bits on the same devices.
        generator: a density by its likelihood; others, such as flow matching, by their loss, whose
            posterior is a surrogate.
        x: training events of NumPy or JAX; trained on in single precision.
        members: draws, shared out over the chains.
        weight: event weights; the events count as many as they are worth, (sum w)^2 / sum w^2.
        config: settings of the chains.
        progress: called with (step, steps, mean loss [chain]) in the training that chains start
            from, and then at every draw.
        checkpoint: a folder for checkpoints of that training and of the chains, as for
            `fit_ensemble`.

    Returns:
        The ensemble, with `losses` those of the minibatches between a member and the draw before.

    Raises:
        InputError: settings without sense, or events as `fit` refuses them.
        MissingExtraError: blackjax is not installed.
        DivergedError: names the chains and steps at which a gradient was not finite;
            `error.ensemble` holds all members, `error.ensemble.survivors()` those of other chains.
    """
    config = SGMCMCConfig() if config is None else config
    _check(generator, members, config)
    integrators()  # before anything is trained
    key_start, key_chains = jax.random.split(key)
    chains, n = min(config.chains, members), x.shape[0]
    first = _half_a_training(n) if config.start is None else config.start
    rows = jnp.broadcast_to(jnp.arange(n), (chains, n))
    keys = jax.random.split(key_start, chains)
    settings: dict[str, Any] = {"weight": weight, "config": first, "progress": progress}
    settings["checkpoint"] = inner(checkpoint, "start")
    start = fit_members(keys, generator, x, rows, **settings)
    x = jnp.asarray(x, jnp.float32)
    weight = jnp.ones(n, x.dtype) if weight is None else jnp.asarray(weight, x.dtype)
    keys = jax.random.split(key_chains, chains)
    all_chains = Chains(keys, generator, start.params, x, weight, members, config)
    with checkpoints(inner(checkpoint, "chains"), all_chains.settings) as kept:
        ensemble = drawn(all_chains, kept, progress)
    _refuse_divergence(ensemble, chains)
    return ensemble


def _half_a_training(n: int) -> FitConfig:
    whole = FitConfig.for_integrals(n)
    return whole._replace(steps=whole.steps // 2)


def _check(generator: Generator, members: int, config: SGMCMCConfig) -> None:
    posterior.refuse_without_posterior("fit_sgmcmc", generator, config.prior_width)
    if members < 1:
        raise InputError("members", "at least 1", str(members), "an estimate needs 8 or more")
    if min(config.between, config.chains, config.batch) < 1 or config.burn_in < 0:
        expected = "between, chains and batch of at least 1, burn_in of at least 0"
        raise InputError("SGMCMCConfig", expected, str(config), "correct the setting")
    if not (config.step_size > 0 and 0 < config.friction <= 1 and config.temperature >= 0):
        expected = "step_size above 0, friction in (0, 1], temperature of at least 0"
        raise InputError("SGMCMCConfig", expected, str(config), "correct the setting")
    if not 0 <= config.precondition <= 0.5:
        got, fix = str(config.precondition), "0.25 is that of RMSprop"
        raise InputError("precondition", "a power of 0 to 0.5", got, fix)
    if config.dynamics not in ("sghmc", "sgld"):
        got = repr(config.dynamics)
        raise InputError("dynamics", "'sghmc' or 'sgld'", got, "choose one of the two")
    if config.schedule not in ("constant", "cyclical") or not 0 <= config.explore < 1:
        expected = "schedule 'constant' or 'cyclical', explore of at least 0 and below 1"
        raise InputError("SGMCMCConfig", expected, str(config), "correct the setting")


def _refuse_divergence(ensemble: Ensemble, chains: int) -> None:
    diverged_at = np.asarray(ensemble.diverged_at)
    if (diverged_at < 0).all():
        return
    steps = {m % chains: int(step) for m, step in enumerate(diverged_at) if step >= 0}
    named = ", ".join(f"chain {c} at step {steps[c]}" for c in sorted(steps))
    left = int((diverged_at < 0).sum())
    fix = f"the {left} draws before are kept; lower step_size or check the events"
    raise DivergedError(
        "fit_sgmcmc", "a finite gradient", f"infinity or nan in {named}", fix, ensemble
    )
