"""Members of generators that are not trained by descent: `Generator.fit` gives the params of each
at once.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from amplify.errors import InputError
from amplify.training.memory import in_groups, in_turns
from amplify.training.mesh import OF_ALL, OF_MEMBER, cut, is_cpu, on_devices
from amplify.training.stopping import Stopping
from amplify.training.trained import Ensemble
from amplify.types import Generator, Params

_MOST_LOOKED_AT = 1000  # events behind the loss that is reported


def check(weight: Any, stop: Stopping | None) -> None:
    """Refuses what a fit without steps cannot take.

    Raises:
        InputError: negative weights, of which no cluster and no kernel can be made; a `Stopping`.
    """
    negative = [] if weight is None else np.flatnonzero(np.asarray(weight) < 0)
    if len(negative):
        got = f"{len(negative)} below 0"
        fix = "use a generator that is trained on its likelihood, such as coupling_flow"
        raise InputError("weights", "no negative ones, for this generator", got, fix)
    if stop is not None:
        got = "one that is fitted at once"
        raise InputError("stop", "a generator that is trained in steps", got, "leave stop out")


def ensemble(
    keys: Key[Any, " member"],
    generator: Generator,
    x: Float[Array, "n dim"],
    rows: Int[Array, "member n_train"],
    weight: Float[Array, " n"],
    mesh: Mesh,
    members: int,
) -> Ensemble:
    """The members, fitted; `losses` [member, 1] is that of at most a thousand of a member's events.

    Args:
        keys: one per row.
        generator: one with `fit`.
        x: table of events.
        rows: which events each member learns from, as many members for every device.
        weight: of the events.
        mesh: over which the members are shared out.
        members: the first so many count; the others only fill up the devices.
    """
    params, loss = _compiled(generator, mesh)(keys, rows, x, weight)
    fitted = Ensemble(params, loss[:, None], _diverged_at(params, loss), generator)
    return cut(fitted, members)


@lru_cache(maxsize=32)
def _compiled(
    generator: Generator, mesh: Mesh
) -> Callable[[Any, Any, Any, Any], tuple[Params, Float[Array, " member"]]]:
    """`fitted(keys, rows, x, weight)` -> params [member, ...] and the loss of each member on some
    of its own events, with the members shared out over the mesh.
    """
    assert generator.fit is not None
    fit = generator.fit

    def fitted_by(at_once: int | None) -> Any:
        def fitted(
            keys: Key[Array, " member"],
            rows: Int[Array, "member n_train"],
            x: Float[Array, "n dim"],
            weight: Float[Array, " n"],
        ) -> tuple[Params, Float[Array, " member"]]:
            def of_one(member: tuple[PRNGKeyArray, Array]) -> tuple[Params, Array]:
                key, rows = member
                params = fit(key, x[rows], weight[rows])
                some = rows[:_MOST_LOOKED_AT]
                return params, generator.loss(params, key, x[some], weight[some])

            return in_turns(of_one, (keys, rows), at_once)

        return on_devices(fitted, mesh, (OF_MEMBER, OF_MEMBER, OF_ALL, OF_ALL))

    return fitted_by(None) if is_cpu(mesh) else in_groups(fitted_by, mesh)


def _diverged_at(params: Params, loss: Float[Array, " member"]) -> Int[Array, " member"]:
    """0 for members whose params or loss are not finite, else -1."""
    finite = jnp.isfinite(loss)
    for leaf in jax.tree.leaves(params):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            finite &= jnp.isfinite(leaf).reshape(len(leaf), -1).all(axis=1)
    return jnp.where(finite, -1, 0).astype(jnp.int32)
