"""How events meet a network: standardised real dimensions, bounded and periodic ones on an interval
that the generator chooses.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from amplify.errors import InputError

Numbers = np.ndarray | Array


class Coordinates(NamedTuple):
    """Network coordinates u = (x - shift) / scale of events x [n, dim].

    Attributes:
        shift: mean of a real dimension, centre of a bounded or periodic one, in units of x [dim].
        scale: standard deviation of a real dimension [dim], in units of x.
        uniform: dimensions that are bounded or periodic [dim]: a flow starts them uniformly.
        periodic: dimensions whose two ends are one point [dim].
        half_range: bounded and periodic dimensions live on [-half_range, half_range] in u.
    """

    shift: Float[Numbers, " dim"]
    scale: Float[Numbers, " dim"]
    uniform: Bool[Numbers, " dim"]
    periodic: Bool[Numbers, " dim"]
    half_range: float = 1.0

    def on(self, half_range: float) -> "Coordinates":
        """The same with bounded and periodic dimensions on [-half_range, half_range], as arrays of
        JAX in single precision.
        """
        stretched = np.asarray(self.scale, np.float64) * self.half_range / half_range
        scale = np.where(self.uniform, stretched, self.scale)
        return Coordinates(
            jnp.asarray(self.shift, jnp.float32),
            jnp.asarray(scale, jnp.float32),
            jnp.asarray(self.uniform),
            jnp.asarray(self.periodic),
            half_range,
        )

    def to_network(self, x: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        """Events as the network sees them."""
        return (x - self.shift[None]) / self.scale[None]

    def to_events(self, u: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        """Inverse of `to_network`."""
        return u * self.scale[None] + self.shift[None]

    def wrap(self, u: Float[Array, "n dim"]) -> Float[Array, "n dim"]:
        """Network coordinates with periodic dimensions moved into [-half_range, half_range)."""
        return jnp.where(jnp.asarray(self.periodic)[None], wrap(u, self.half_range), u)


def wrap(u: Array, half_range: float) -> Array:
    """Numbers moved to [-half_range, half_range) by whole turns of 2 half_range."""
    return jnp.remainder(u + half_range, 2 * half_range) - half_range


def coordinates(
    x: Numbers,
    *,
    bounded: Mapping[int, tuple[float, float]] | None = None,
    periodic: Mapping[int, tuple[float, float]] | None = None,
) -> Coordinates:
    """Coordinates from training events, for every generator of this package.

    >>> x = np.array([[0.0, 3.0], [2.0, -3.0]])
    >>> c = coordinates(x, periodic={1: (-np.pi, np.pi)})
    >>> c.shift, c.scale.round(4), c.periodic
    (array([1., 0.]), array([1.    , 3.1416]), array([False,  True]))

    Args:
        x: training events [n, dim], NumPy or JAX.
        bounded: (low, high) of dimensions with hard ends, by column.
        periodic: (low, high) of dimensions whose ends are one point, by column; an azimuth has
            (-pi, pi).

    Raises:
        InputError: events of another shape, a column that does not exist, low >= high, or a real
            dimension without a finite width.
    """
    values = np.asarray(x, np.float64)
    if values.ndim != 2:
        shape = f"shape {list(values.shape)}"
        raise InputError("training events", "an array [n, dim]", shape, "give a row for each event")
    bounded, periodic = dict(bounded or {}), dict(periodic or {})
    dim = values.shape[1]
    shift, scale = values.mean(0), values.std(0)
    uniform = np.zeros(dim, bool)
    for column, (low, high) in (bounded | periodic).items():
        if not 0 <= column < dim or not low < high:
            raise InputError(
                "bounded or periodic dimension",
                f"a column of 0..{dim - 1} and low < high",
                f"column {column}, {low}..{high}",
                "correct it",
            )
        shift[column], scale[column] = (low + high) / 2, (high - low) / 2
        uniform[column] = True
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise InputError(
            "training events",
            "a finite width in every column",
            f"widths {scale}",
            "drop constant columns",
        )
    return Coordinates(shift, scale, uniform, np.isin(np.arange(dim), list(periodic)))


def real_coordinates(x: Numbers | Coordinates, name: str) -> Coordinates:
    """Standardised coordinates of generators that only know real dimensions.

    Raises:
        InputError: bounded or periodic ones.
    """
    given = x if isinstance(x, Coordinates) else coordinates(x)
    uniform = [i for i, flag in enumerate(given.uniform) if flag]
    if uniform:
        got = f"bounded or periodic columns {uniform}"
        fix = "transform these columns, or use coupling_flow"
        raise InputError(f"coordinates of {name}", "real dimensions", got, fix)
    return given.on(1.0)
