"""What training leaves: a generator with its params, to sample from and to ask for densities."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators.mixture import mixture
from amplify.sampling import sample_members
from amplify.training.densities import LogProb, log_prob_of_members
from amplify.training.posterior import Diagnostics
from amplify.training.stopping import Stopped
from amplify.types import Generator, Method, Params, Samples, Trainable

_CANDIDATES = 1 << 16  # an error of .2 % of Z where a half passes


class Efficiency(NamedTuple):
    """Share of candidates that pass, and its binomial error."""

    value: Any
    error: Any


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "losses", "acceptance"],
    meta_fields=["generator", "stopped"],
)
@dataclass(frozen=True)
class Fitted:
    """One trained generator; a pytree of its params and losses, so that `jax.tree.map`, jit and
    files of arrays take it as it is.

    Attributes:
        params: pytree of arrays, what `generator.sample` and `generator.log_prob` take.
        losses: of every minibatch [step].
        generator: what was trained.
        stopped: which step was kept, where a `Stopping` chose it.
        acceptance: share of own candidates that passed in each step [step], of a truncated
            generator; else None.
    """

    params: Params
    losses: Float[Array, " step"]
    generator: Generator
    stopped: Stopped | None = None
    acceptance: Float[Array, " step"] | None = None

    def sample(
        self, key: PRNGKeyArray, n: int, *, sobol: bool = False
    ) -> Float[np.ndarray, "n dim"]:
        """Generates n events, on the host.

        Args:
            key: the same key gives the same events, those of `amplify.sample_members`.
            n: events.
            sobol: scrambled Sobol latents instead of Monte Carlo; n is then a power of two.

        Raises:
            InputError: n below one, or no power of two with Sobol latents.
        """
        one_member = jax.tree.map(lambda leaf: leaf[None], self.params)
        return np.asarray(sample_members(key, self.generator, one_member, n, sobol=sobol).x[0])

    def efficiency(self, key: PRNGKeyArray, n: int = _CANDIDATES) -> Efficiency:
        """Share Z of n candidates that pass, of a truncated generator: what `sample` keeps, and the
        normalisation of `log_prob`.

        Raises:
            InputError: a generator that is not truncated.
        """
        truncation = self.generator.truncation
        if truncation is None:
            fix = "every event is kept: the efficiency is 1"
            raise InputError("efficiency", "a truncated generator", "one that is not", fix)
        one_member = jax.tree.map(lambda leaf: leaf[None], self.params)
        x = sample_members(key, truncation.candidates, one_member, n).x[0]
        z = float((truncation.passes(x) & jnp.isfinite(x).all(axis=-1)).mean())
        return Efficiency(z, math.sqrt(z * (1 - z) / n))

    def log_prob(self, x: Float[Any, "n dim"]) -> Float[Any, " n"]:
        """Log density of the events x: JAX's of JAX's, also under jit, in single precision unless
        x64 is on; of NumPy's in blocks, on the host.

        Raises:
            InputError: the generator does not know its density.
        """
        one_member = jax.tree.map(lambda leaf: leaf[None], self.params)
        return log_prob_of_members(_density(self.generator), one_member, x)[0]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "losses", "diverged_at", "acceptance"],
    meta_fields=["generator", "stopped", "method", "posterior"],
)
@dataclass(frozen=True)
class Ensemble:
    """Trained members of one generator; a pytree. `ensemble[m]` is one of them, `len` counts them,
    and a loop goes over them.

    Attributes:
        params: pytree with a leading axis [member].
        losses: of every minibatch [member, step]; nan from the step at which a member diverged.
        diverged_at: that step, or -1 [member]. The params of such a member are its last finite
            ones.
        generator: what was trained.
        stopped: which step was kept, where a `Stopping` chose it.
        acceptance: share of own candidates that passed in each step [member, step], of a truncated
            generator; else None.
        method: how the members come to differ; empty where nobody said.
        posterior: how well the chains have mixed that members are draws of, where `fit_nuts` says.
    """

    params: Params
    losses: Float[Array, "member step"]
    diverged_at: Int[Array, " member"]
    generator: Any  # a Generator; a Trainable for a classifier
    stopped: Stopped | None = None
    acceptance: Float[Array, "member step"] | None = None
    method: Method = ""
    posterior: Diagnostics | None = None

    def __len__(self) -> int:
        return self.losses.shape[0]

    def __getitem__(self, member: int) -> Fitted:
        member = range(len(self))[member]  # arrays of JAX would take any number
        params = jax.tree.map(lambda leaf: leaf[member], self.params)
        acceptance = None if self.acceptance is None else self.acceptance[member]
        generator = _generates(self.generator)
        return Fitted(params, self.losses[member], generator, self.stopped, acceptance)

    def survivors(self) -> "Ensemble":
        """The members that did not diverge."""
        finite = np.flatnonzero(np.asarray(self.diverged_at) < 0)
        return jax.tree.map(lambda leaf: leaf[finite], self)

    def pool(self) -> Fitted:
        """The members as one generator, the mean of their densities: better event by event than any
        of them, and as fast to sample (docs/method, Pools of members).

        Raises:
            InputError: the members are classifiers.
        """
        pooled = mixture(_generates(self.generator))
        return Fitted(self.params, self.losses.mean(axis=0), pooled)

    def sample(self, key: PRNGKeyArray, n: int, *, sobol: bool = False) -> Samples:
        """Generates n events with every member.

        Args:
            key: the same key gives the same events, those of `amplify.sample_members`.
            n: events of each member.
            sobol: scrambled Sobol latents, the same for all members, instead of Monte Carlo; n is
                then a power of two.

        Returns:
            `Samples` with x [member, event, dim].

        Raises:
            InputError: n below one, no power of two with Sobol latents, or members that are
                classifiers.
        """
        return sample_members(key, _generates(self.generator), self.params, n, sobol=sobol)

    def efficiency(self, key: PRNGKeyArray, n: int = _CANDIDATES) -> Efficiency:
        """Share of n candidates of every member that pass, arrays [member]; see
        `Fitted.efficiency`.
        """
        each = [self[m].efficiency(jax.random.fold_in(key, m), n) for m in range(len(self))]
        return Efficiency(*map(np.array, zip(*each, strict=True)))

    def log_prob(self, x: Float[Any, "n dim"]) -> Float[Any, "member n"]:
        """Log density of the events under every member; JAX's of JAX's, else NumPy's.

        Raises:
            InputError: the generator does not know its density, or members are classifiers.
        """
        return log_prob_of_members(_density(_generates(self.generator)), self.params, x)


def sample(
    key: PRNGKeyArray, trained: Fitted | Ensemble, n: int, *, sobol: bool = False
) -> Float[np.ndarray, "n dim"] | Samples:
    """Generates n events: an array [n, dim] of one generator, `Samples` of an ensemble.

    >>> from amplify.generators.fitted_gaussian import GaussianParams, fitted_gaussian
    >>> params = GaussianParams(mean=jnp.array([5.0]), log_width=jnp.zeros(1))
    >>> fitted = Fitted(params, jnp.zeros(1), fitted_gaussian(1))
    >>> x = sample(jax.random.key(0), fitted, 256)
    >>> x.shape, round(float(x.mean()))
    ((256, 1), 5)

    Args:
        key: the same key gives the same events.
        trained: by `fit` or `fit_ensemble`.
        n: events, of each member.
        sobol: scrambled Sobol latents instead of Monte Carlo; n is then a power of two.

    Raises:
        InputError: n below one, or no power of two with Sobol latents.
    """
    return trained.sample(key, n, sobol=sobol)


def _generates(generator: Generator | Trainable) -> Generator:
    if not isinstance(generator, Generator):
        fix = "train a Generator"
        raise InputError("trained network", "one that generates", "a classifier", fix)
    return generator


def _density(generator: Generator) -> LogProb:
    if generator.log_prob is None:
        fix = "use a generator that knows it, such as a flow"
        raise InputError("log_prob", "a generator with a log density", "one without", fix)
    return generator.log_prob
