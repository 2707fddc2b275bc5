"""Flow matching for a fixed number of particles, in the coordinates of a chart and with any network
of `nets.particles`.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators.charts import UNIT_GEV, Chart
from amplify.generators.flow_matching import Solver, Velocity, coordinates, flow_matching
from amplify.types import Generator, Params


def particle_flow(
    x: Float[Array, "n dim"], chart: Chart, net: Any, solver: Solver = Solver(10)
) -> Generator:
    """Generator of events in the coordinates of a chart, standardised from the training events.

    Args:
        x: training events, `chart.from_momenta(momenta)`.
        chart: one of `generators.charts`.
        net: a network of `nets.particles` with `chart.outputs` scalars per particle.
        solver: of sampling.

    Raises:
        InputError: events that are not in the coordinates of the chart.
    """
    if x.ndim != 2 or x.shape[1] != chart.dim:
        raise InputError(
            "training events",
            f"shape [n, {chart.dim}]",
            str(x.shape),
            "use chart.from_momenta(momenta)",
        )
    own = coordinates(x, angles=chart.angles)

    def seen(u: Array) -> tuple[Array, Array]:
        events = u * own.scale[None] + own.shift[None]
        return chart.features(u, events), chart.to_momenta(events) / UNIT_GEV

    def init(key: PRNGKeyArray) -> Params:
        return net.init(key, *seen(jnp.zeros((1, chart.dim))), jnp.zeros(1))

    def apply(params: Params, u: Array, t: Array) -> Array:
        features, momenta = seen(u)
        return chart.velocity(momenta, *net.apply(params, features, momenta, t))

    return flow_matching(Velocity(init, apply), own, chart.base(own), solver)
