"""Generators of events that passed cuts: trained with a likelihood that knows the cuts, sampled by
rejection.

A smooth density that is cut by rejection has a normalisation Z = P(pass), and a loss that does not
know it makes the density spill over the edges and fall inside (docs/method, Training events that
passed cuts). The wrapper only says which events could have been data; `fit` draws own candidates,
`sample` rejects, `log_prob` is normalised.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from amplify.errors import InputError
from amplify.latents import sobol_latents
from amplify.types import Generator, Params, Truncation

_POINTS = 1 << 14  # Sobol points behind the normalisation of a density

Passes = Callable[[Any], Any]  # x [n, dim] -> [n] booleans
Loss = Literal["completion", "score"]


def truncated(
    generator: Generator,
    passes: Passes,
    *,
    loss: Loss | None = None,
    draws: int | None = None,
    kept: int = 1,
) -> Generator:
    """The generator of events of which only those that pass could have been data.

    >>> from amplify.generators.fitted_gaussian import GaussianParams, fitted_gaussian
    >>> above = truncated(fitted_gaussian(1), lambda x: x[:, 0] > 0)
    >>> standard = GaussianParams(mean=jnp.zeros(1), log_width=jnp.zeros(1))
    >>> [round(float(value), 2) for value in above.log_prob(standard, jnp.array([[0.1], [-1.0]]))]
    [-0.23, -inf]

    Args:
        generator: any; its loss is a weighted mean over events.
        passes: which events could have been data, x [n, dim] -> [n] booleans in JAX, e.g.
            `amplify.regions.passes` of a file of cuts.
        loss: "completion" adds own rejected candidates to the data, at weight (1 - Z) / Z
            (expectation maximisation); it suits every generator. "score" is the score-function
            gradient of log Z with the control variate beta = 1: less noise where few candidates
            pass, but negative weights, so for generators that are trained on their likelihood.
            Default: "score" for those, "completion" for others.
        draws: own candidates drawn in each step of a training; default half a minibatch.
        kept: candidates of how many steps are kept, of which each step uses half a minibatch. Fresh
            ones, 1, are best; where sampling is slow, as in flow matching, few draws that are kept
            cost less.

    Returns:
        A Generator. `fit` and `fit_ensemble` train it, `sample`, `sample_members` and
        `member_integrals` reject what does not pass. Its own `sample` gives candidates. Its
        `log_prob` is log p - log Z, and minus infinity where events do not pass; Z comes from 2^14
        Sobol points, an error of at most sqrt((1 - Z) / Z / 2^14) in the logarithm (`efficiency`
        of what `fit` returns gives Z with its error).

    Raises:
        InputError: no function of JAX arrays, "score" without a likelihood, already truncated, or
            fitted without steps.
    """
    if generator.truncation is not None:
        fix = "truncate once, with a function that says all"
        raise InputError("truncated", "a generator that is not truncated", "one that is", fix)
    if generator.fit is not None:  # own candidates enter the loss of a step
        got, fix = "one that is fitted at once", "use a flow"
        raise InputError("truncated", "a generator that is trained in steps", got, fix)
    loss = loss or ("score" if generator.likelihood else "completion")
    if loss == "score" and not generator.likelihood:
        expected, fix = "a generator whose loss is its likelihood", "use the loss 'completion'"
        raise InputError("truncated", expected, "another loss", fix)
    if loss not in ("completion", "score"):
        fix = "choose one of the two"
        raise InputError("truncated", "the loss 'completion' or 'score'", repr(loss), fix)
    if kept < 1 or (draws is not None and draws < 1):
        got = f"draws {draws}, kept {kept}"
        raise InputError("truncated", "draws and kept of at least 1", got, "correct them")
    _check(passes, generator.dim)
    baseline = None if loss == "completion" else 1.0
    truncation = Truncation(passes, generator, baseline, draws, kept)
    log_prob = None if generator.log_prob is None else _normalised(generator, passes)
    return generator._replace(log_prob=log_prob, truncation=truncation)


def _normalised(
    generator: Generator, passes: Passes
) -> Callable[[Params, Float[Array, "n dim"]], Float[Array, " n"]]:
    points: list[np.ndarray] = []  # made when first asked for: half a second

    def log_prob(params: Params, x: Float[Array, "n dim"]) -> Float[Array, " n"]:
        if not points:
            points.append(sobol_latents(0, _POINTS, generator.dim))
        assert generator.log_prob is not None
        candidates = generator.sample(params, jnp.asarray(points[0]))
        z = passing(passes, candidates).mean()
        log_p = generator.log_prob(params, x)
        return jnp.where(passing(passes, x), log_p - jnp.log(z), -jnp.inf)

    return log_prob


def passing(passes: Passes, x: Float[Array, "n dim"]) -> Any:
    """Which events are finite and pass [n]."""
    return passes(x) & jnp.isfinite(x).all(axis=-1)


def _check(passes: Passes, dim: int) -> None:
    """Refuses what is no function of JAX arrays to booleans, without calling it on numbers."""
    expected = "a function x [n, dim] -> [n] booleans, in JAX"
    fix = "write it with jax.numpy, or use amplify.regions.passes of a file of cuts"
    try:
        result = jax.eval_shape(passes, jax.ShapeDtypeStruct((3, dim), jnp.float32))
    except Exception as error:  # whatever a user's function may raise
        got = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise InputError("passes", expected, got[:200], fix) from None
    shape, dtype = getattr(result, "shape", None), getattr(result, "dtype", None)
    if shape != (3,) or dtype != jnp.bool_:
        got = f"{dtype} of shape {shape} for 3 events"
        raise InputError("passes", expected, got, fix)
