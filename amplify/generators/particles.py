"""Flow matching for a fixed number of particles, in the coordinates of a chart and with any network
of `nets.particles`.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from amplify.errors import InputError
from amplify.generators.charts import Chart
from amplify.generators.coordinates import coordinates
from amplify.generators.cut_base import UNIT_GEV
from amplify.generators.flow_matching import Solver, Velocity, flow_matching
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
    angles = {column: (-np.pi, np.pi) for column in chart.angles}
    scaling = coordinates(x, periodic=angles).on(np.pi)

    def features_and_momenta(u: Array) -> tuple[Array, Array]:
        events = scaling.to_events(u)
        return chart.features(u, events), chart.to_momenta(events) / UNIT_GEV

    def init(key: PRNGKeyArray) -> Params:
        return net.init(key, *features_and_momenta(jnp.zeros((1, chart.dim))), jnp.zeros(1))

    def apply(params: Params, u: Array, t: Array) -> Array:
        features, momenta = features_and_momenta(u)
        return chart.velocity(momenta, *net.apply(params, features, momenta, t))

    return flow_matching(Velocity(init, apply), scaling, chart.base(scaling), solver)
