"""The types that rooms hand to one another: NamedTuples, and so pytrees that pass through jit, vmap
and shard_map.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

if TYPE_CHECKING:
    from jaxtyping import Array, PRNGKeyArray
else:  # the types of JAX are named, JAX is not imported
    Array = PRNGKeyArray = Any

Params = Any  # a pytree of arrays

# how members come to differ
Method = Literal["", "bootstrap", "same data", "refit", "variational", "sgmcmc", "nuts", "dropout"]


class Generator(NamedTuple):
    """A trainable density as pure functions; its settings are closed over, so close over the
    Generator itself, never pass it through jit.

    Attributes:
        init: key -> params.
        loss: (params, key, x [n, dim], weight [n]) -> scalar; the key serves dropout.
        sample: (params, latent [n, dim]) -> x [n, dim]; latents are uniform in the open unit cube,
            so that Monte Carlo and Sobol share it.
        log_prob: (params, x [n, dim]) -> [n], or None where the density is not known.
        dim: dimension of x and of the latents.
        likelihood: the loss is the mean of -log_prob, up to a constant: its gradient may enter with
            negative weights.
        truncation: which of the sampled events could have been data, where not all of them could
            (`amplify.truncated`). `sample` gives candidates then, and whoever generates events
            rejects those that do not pass; `log_prob` is that of the events which pass.
        fit: (key, x [n, dim], weight [n]) -> params at once, in JAX, of what is not trained by
            descent: `fit` and `fit_ensemble` then take no steps. None of networks.
    """

    init: Callable[[PRNGKeyArray], Params]
    loss: Callable[
        [Params, PRNGKeyArray, Float[Array, "n dim"], Float[Array, " n"]], Float[Array, ""]
    ]
    sample: Callable[[Params, Float[Array, "n dim"]], Float[Array, "n dim"]]
    log_prob: Callable[[Params, Float[Array, "n dim"]], Float[Array, " n"]] | None
    dim: int
    likelihood: bool = False
    truncation: "Truncation | None" = None
    fit: Callable[[PRNGKeyArray, Float[Array, "n dim"], Float[Array, " n"]], Params] | None = None


class Truncation(NamedTuple):
    """Training events have passed cuts, and candidates of a generator may fail them.

    Attributes:
        passes: x [n, dim] -> [n] booleans, in JAX: which events could have been data.
        candidates: the generator without its truncation.
        baseline: beta of the loss of own candidates (`amplify.truncated`); None for 1 / Z.
        draws: candidates drawn in each step of a training; None for half a minibatch.
        kept: candidates of how many steps are kept for the loss.
    """

    passes: Callable[[Float[Array, "n dim"]], Any]
    candidates: Generator
    baseline: float | None = None
    draws: int | None = None
    kept: int = 1


class Trainable(NamedTuple):
    """The part of a Generator that training needs; a classifier has no more than this."""

    init: Callable[[PRNGKeyArray], Params]
    loss: Callable[
        [Params, PRNGKeyArray, Float[Array, "n dim"], Float[Array, " n"]], Float[Array, ""]
    ]
    dim: int


class Samples(NamedTuple):
    """Generated events of every member: JAX models, a user's callable and files on disk meet
    here.

    Attributes:
        x: events of each member.
        weight: of the events, or None.
        efficiency: share of the candidates that passed, of truncated generators.
    """

    x: Float[Any, "member event dim"]
    weight: Float[Any, "member event"] | None = None
    efficiency: Float[Any, " member"] | None = None


class Events(NamedTuple):
    """One sample: events x [n, dim] and their weights [n] or None."""

    x: np.ndarray
    weight: np.ndarray | None = None

    def take(self, rows: Any) -> "Events":
        """The events of these rows: indices, a slice or a mask."""
        return Events(self.x[rows], None if self.weight is None else self.weight[rows])


class Interval(NamedTuple):
    """A value with the ends of its confidence interval; an end that data do not limit is
    infinite.
    """

    value: Float[Any, "..."]
    low: Float[Any, "..."]
    high: Float[Any, "..."]


class Bounds(NamedTuple):
    """One-sided limits: each of them holds at the limit level; one that data do not give is 0 or
    infinite.
    """

    low: Float[Any, "..."]
    high: Float[Any, "..."]


class Status(IntEnum):
    """How an estimate may be read."""

    RESOLVED = 0  # value and both ends of the interval are finite
    LOWER_LIMIT = 1  # n_equiv exceeds `low` at the limit level; no value and no upper end
    UPPER_LIMIT = 2  # n_equiv stays below `high` at the limit level; no value and no lower end
    BIASED = 3  # the holdout contradicts the spread of the members
    UNRESOLVED = 4  # too few events to say anything


class AveragingEstimate(NamedTuple):
    """Averaging amplification per region (docs/method, Averaging amplification).
    All arrays are [region].

    Attributes:
        integral: mean over members of the fraction of events inside.
        sigma_stat: noise of one member's finite generated sample, sqrt(mean I (1 - I) / n_gen).
        sigma_model: what training on n_train events left wrong, noise subtracted; no value where
            the noise hides the spread. The value is median-unbiased.
        n_equiv: true events worth the generated sample as n_gen -> infinity, from the spread
            between members alone; a limit without value where the noise hides the spread.
        n_equiv_at_n_gen: the same for the n_gen events that were generated, I (1 - I) /
            (sigma_model^2 + sigma_stat^2).
        pull: (I_holdout - integral) / its expected error; nan without a holdout.
        bias: sqrt(b^2), the part of that difference which errors do not explain; 0 without a
            holdout.
        n_equiv_bias_aware: I (1 - I) / (sigma_model^2 + b^2); its interval joins those of both
            parts, which is wider than the level asks.
        n_equiv_least: the same with the largest bias that the holdout does not exclude at the
            limit level: how little a region may be worth that is not marked; nan without a holdout.
        factor: amplification G = n_equiv / n_train of the quoted n_equiv: bias-aware where the
            status is BIASED, else from the spread.
        bounds: one-sided limits of G at the limit level.
        status: a Status per region.
    """

    integral: Float[Any, " region"]
    sigma_stat: Float[Any, " region"]
    sigma_model: Interval
    n_equiv: Interval
    n_equiv_at_n_gen: Float[Any, " region"]
    pull: Float[Any, " region"]
    bias: Float[Any, " region"]
    n_equiv_bias_aware: Interval
    n_equiv_least: Float[Any, " region"]
    factor: Interval
    bounds: Bounds
    status: Int[Any, " region"]


class DifferentialEstimate(NamedTuple):
    """Differential amplification per region (docs/method, Differential
    amplification). All arrays are [region].

    Attributes:
        distance: D, the distance of the distribution functions of truth and generator in the
            summary; the value of an unbiased estimate may be negative.
        n_equiv: true events whose distribution functions are as far from the truth, (K1 / D)^2, for
            n_gen -> infinity.
        n_equiv_at_n_gen: the same for the events that were generated, 1 / (1 / n_equiv + 1 /
            n_gen); up to 22 % too large for smooth differences.
        factor: amplification G = n_equiv / n_train.
        n_gen: generated events, effective ones for weights.
        n_holdout: holdout events, effective ones for weights.
        status: a Status per region.
    """

    distance: Interval
    n_equiv: Interval
    n_equiv_at_n_gen: Float[Any, " region"]
    factor: Interval
    n_gen: Float[Any, " region"]
    n_holdout: Float[Any, " region"]
    status: Int[Any, " region"]


class Holdout(NamedTuple):
    """Fractions of independent true events in the regions, and how many events (effective ones, for
    weights) they come from.
    """

    integral: Float[Any, " region"]
    n: Float[Any, "*#region"] | int
