"""Helicity coordinates with the recoil of the pair as a transverse momentum and its direction:
pT_tt is a coordinate of its own then, and its distribution is learned as such (docs/top_pairs,
Coordinates and flow matching).

`asinh_ptx_tt` and `asinh_pty_tt` of `helicity.COORDINATES` become `log_pt_tt` and `phi_tt`, the
azimuth of the pair relative to the top. Functions take NumPy or JAX arrays and stay in the library
and precision they were given.
"""

from typing import Any

from amplify.ttbar import helicity
from amplify.ttbar.kinematics import wrap
from amplify.ttbar.vectors import at_most, library

COORDINATES = ("log_pt_t", "log_pt_tt", *helicity.COORDINATES[3:], "phi_tt")
COSINES = tuple(range(8, 12))  # columns of COORDINATES in [-1, 1]
AZIMUTHS = tuple(range(12, 17))  # columns of COORDINATES in [-pi, pi), periodic
_MOST_LOG_GEV = 9.0  # of pT_tt, 8 TeV: beyond it squares of momenta lose single precision


def from_helicity(u: Any) -> Any:
    """COORDINATES [event, 17] of helicity coordinates [event, 17]."""
    xp = library(u)
    px, py = (helicity.PT_TT_SCALE_GEV * xp.sinh(u[..., i]) for i in (1, 2))
    recoil = [xp.log(xp.hypot(px, py)), xp.atan2(py, px)]
    columns = [u[..., :1], recoil[0][..., None], u[..., 3:], recoil[1][..., None]]
    return xp.concatenate(columns, axis=-1)


def to_helicity(v: Any) -> Any:
    """Inverse of `from_helicity`."""
    xp = library(v)
    pt_tt, azimuth = xp.exp(at_most(v[..., 1], _MOST_LOG_GEV)), v[..., -1]
    scaled = [xp.asinh(pt_tt * f(azimuth) / helicity.PT_TT_SCALE_GEV) for f in (xp.cos, xp.sin)]
    recoil = xp.stack(scaled, axis=-1)
    return xp.concatenate([v[..., :1], recoil, v[..., 2:-1]], axis=-1)


def rotate_beams(v: Any) -> Any:
    """The same events with the two beams exchanged, as `helicity.rotate_beams`."""
    xp = library(v)
    sign = xp.asarray([1.0, 1, -1, -1] + [1.0] * 12 + [-1.0], dtype=v.dtype)
    turn = xp.asarray([0.0] * 12 + [xp.pi, 0, xp.pi, 0, 0], dtype=v.dtype)
    turned = v * xp.broadcast_to(sign, v.shape) + xp.broadcast_to(turn, v.shape)
    return xp.concatenate([turned[..., :12], wrap(turned[..., 12:])], axis=-1)
