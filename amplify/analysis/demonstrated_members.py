"""The networks of the demonstration: members of the kind that is asked for on one training set, and
networks on other sets, which give the actual error.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.progress import Progress
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.training.trained import Ensemble
from amplify.training.variational import VariationalConfig, fit_variational
from amplify.truth import ring
from amplify.types import Generator

Kind = Literal["bootstrap", "same", "bayesian"]
METHODS = {"bootstrap": "bootstrap", "same": "same-data", "bayesian": "variational"}


class Trained(NamedTuple):
    """Networks of the demonstration.

    Attributes:
        members: of the kind that was asked for, on the first training set.
        same_data: on that set as it is; None unless the members are bootstraps.
        independent: as many on each of the other sets.
    """

    members: Ensemble
    same_data: Ensemble | None
    independent: Ensemble


def trained(
    key_data: PRNGKeyArray,
    key_rows: PRNGKeyArray,
    key_fit: PRNGKeyArray,
    truth: ring.Ring,
    settings: Any,
    progress: Progress,
) -> Trained:
    """Draws the training sets and trains on them.

    Args:
        key_data: of the events.
        key_rows: of bootstrap samples.
        key_fit: of the trainings.
        truth: what the events are drawn from.
        settings: `DemoSettings`.
        progress: of the training.
    """
    n, sets = settings.n_train, settings.independent + 1
    draw = jax.vmap(lambda key: ring.sample(key, truth, n=n))
    x = draw(jax.random.split(key_data, sets)).reshape(-1, truth.dim)
    generator = coupling_flow(x[:n], FlowConfig())
    config = FitConfig(steps=settings.steps)
    of_first = _rows_of_first(key_rows, settings)
    of_others = jnp.arange(n, sets * n).reshape(settings.independent, n)
    rows = jnp.concatenate([of_first, jnp.repeat(of_others, settings.copies, axis=0)])
    bayesian = settings.kind == "bayesian"
    with progress(f"training {len(rows) + bayesian} networks") as bar:
        keys = jax.random.split(key_fit, len(rows))
        every = fit_members(keys, generator, x, rows, config=config, progress=bar.losses)
    if bayesian:
        members = _drawn(key_fit, generator, x[:n], settings.members, config, progress)
        return Trained(members, None, every)
    first, second = settings.members, len(of_first)
    parts = slice(0, first), slice(first, second), slice(second, None)
    members, same_data, independent = (
        jax.tree.map(lambda leaf, part=part: leaf[part], every) for part in parts
    )
    return Trained(members, same_data if second > first else None, independent)


def _rows_of_first(key: PRNGKeyArray, settings: Any) -> Array:
    """Which events of the first set each network on it learns from: the members, and after
    bootstraps also networks on the set as it is. Draws from a posterior need no training here.
    """
    n, copies = settings.n_train, settings.copies
    as_it_is = jnp.arange(n)[None]
    if settings.kind == "bayesian":
        return as_it_is[:0]
    if settings.kind == "same":
        return jnp.repeat(as_it_is, settings.members, axis=0)
    bootstraps = ensemble_rows(key, n, members=settings.members, resample="bootstrap")
    return jnp.concatenate([bootstraps, jnp.repeat(as_it_is, copies, axis=0)])


def _drawn(
    key: PRNGKeyArray,
    generator: Generator,
    x: Float[Array, "n dim"],
    members: int,
    fit: FitConfig,
    progress: Progress,
) -> Ensemble:
    """Networks drawn from one variational posterior."""
    config = VariationalConfig(fit=fit)
    key = jax.random.fold_in(key, 1)
    with progress("posterior") as bar:
        return fit_variational(
            key, generator, x, members=members, config=config, progress=bar.losses
        )
