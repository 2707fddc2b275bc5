"""Helicity coordinates of top pairs: each resonance is a coordinate of its own, and each decay
angle nearly uniform (docs/top_pairs, Coordinates and flow matching).

Six massless partons have 6 x 3 = 18 degrees of freedom. The global azimuth carries no information:
17 remain. Functions take NumPy or JAX arrays and stay in the library and precision they were given.
"""

from typing import Any

from amplify.ttbar.kinematics import (
    boost_from_rest,
    boost_to_rest,
    mass,
    pt,
    rapidity,
    resonances,
    wrap,
)
from amplify.ttbar.vectors import Momentum, at_least_zero, dot, four, library, minkowski, unit

COORDINATES = (
    "log_pt_t",
    "asinh_ptx_tt",
    "asinh_pty_tt",
    "y_mean",
    "y_difference",
    "log_m_wplus",
    "log_m2_gap_t",
    "log_m_wminus",
    "log_m2_gap_tbar",
    "cos_wplus",
    "cos_q_wplus",
    "cos_wminus",
    "cos_q_wminus",
    "phi_wplus",
    "phi_q_wplus",
    "phi_wminus",
    "phi_q_wminus",
)
COSINES = tuple(range(9, 13))  # columns of COORDINATES in [-1, 1]
AZIMUTHS = tuple(range(13, 17))  # columns of COORDINATES in [-pi, pi), periodic
PT_TT_SCALE_GEV = 20.0  # asinh turns from linear to logarithmic here


def to_helicity(p: Momentum) -> Any:
    """The columns COORDINATES [event, 17] of six massless partons [event, 6, 4].

    Momenta and masses of the tops in the laboratory, with azimuths relative to the top; then the
    direction of each W in the rest frame of its top (z along the flight of the top, y along beam x
    z) and of the up-type quark in the rest frame of its W (z along the flight of the W in the top
    frame, y along the z of the top x z).
    """
    xp = library(p)
    t, tbar, _, _ = resonances(p)
    along, across = _transverse_axes(t)
    pt_tt = (t + tbar)[..., 1:3]
    laboratory = [
        xp.log(pt(t)),
        xp.asinh(dot(pt_tt, along) / PT_TT_SCALE_GEV),
        xp.asinh(dot(pt_tt, across) / PT_TT_SCALE_GEV),
        (rapidity(t) + rapidity(tbar)) / 2,
        rapidity(t) - rapidity(tbar),
    ]
    scales, cosines, azimuths = [], [], []
    for b, q1, q2 in ((0, 1, 2), (3, 4, 5)):
        w = p[..., q1, :] + p[..., q2, :]
        top = w + p[..., b, :]
        # b is massless, so m_t^2 - m_W^2 = 2 p_b p_W: no difference of large numbers
        scales += [xp.log(mass(w)), xp.log(2 * minkowski(w, p[..., b, :]))]
        axes = _helicity_axes(top[..., 1:], _beam(top))
        w_in_top = boost_to_rest(w, top)
        w_axes = _helicity_axes(w_in_top[..., 1:], axes[2])
        q_in_w = boost_to_rest(boost_to_rest(p[..., q1, :], top), w_in_top)
        for vector, frame in ((w_in_top[..., 1:], axes), (q_in_w[..., 1:], w_axes)):
            x, y, z = (dot(vector, axis) for axis in frame)
            cosines.append(z / xp.sqrt(x * x + y * y + z * z))
            azimuths.append(wrap(xp.atan2(y, x)))
    return xp.stack([*laboratory, *scales, *cosines, *azimuths], axis=-1)


def from_helicity(u: Any) -> Momentum:
    """Six massless partons [event, 6, 4] in GeV from COORDINATES [event, 17]; the top flies at
    azimuth 0. Inverse of `to_helicity`.
    """
    xp = library(u)
    partons = []
    for k, top in enumerate(tops_from_helicity(u)):
        m_w, gap = xp.exp(u[..., 5 + 2 * k]), xp.exp(u[..., 6 + 2 * k])
        m_top = xp.sqrt(gap + m_w**2)
        axes = _helicity_axes(top[..., 1:], _beam(top))
        w_flight = _direction(u[..., 9 + 2 * k], u[..., 13 + 2 * k], axes)
        momentum = gap / (2 * m_top)
        b_in_top = four(momentum, -momentum[..., None] * w_flight)
        w_in_top = four(xp.sqrt(momentum**2 + m_w**2), momentum[..., None] * w_flight)
        w_axes = _helicity_axes(w_flight, axes[2])
        q_flight = _direction(u[..., 10 + 2 * k], u[..., 14 + 2 * k], w_axes)
        quarks = (four(m_w / 2, sign * m_w[..., None] / 2 * q_flight) for sign in (1, -1))
        in_top = [b_in_top, *(boost_from_rest(quark, w_in_top, m_w) for quark in quarks)]
        partons += [boost_from_rest(parton, top, m_top) for parton in in_top]
    return xp.stack(partons, axis=-2)


def tops_from_helicity(u: Any) -> tuple[Momentum, Momentum]:
    """Top and antitop [event, 4] in GeV from COORDINATES [event, 17]: all that observables of the
    pair need.
    """
    xp = library(u)
    pt_t, y_mean, y_difference = xp.exp(u[..., 0]), u[..., 3], u[..., 4]
    px_tt, py_tt = (PT_TT_SCALE_GEV * xp.sinh(u[..., i]) for i in (1, 2))
    mass_squared, mass_squared_bar = (
        xp.exp(u[..., gap]) + xp.exp(2 * u[..., m_w]) for m_w, gap in ((5, 6), (7, 8))
    )
    y_t, y_tbar = y_mean + y_difference / 2, y_mean - y_difference / 2
    t = _from_rapidity(mass_squared, pt_t, xp.zeros_like(pt_t), y_t)
    tbar = _from_rapidity(mass_squared_bar, px_tt - pt_t, py_tt, y_tbar)
    return t, tbar


def rotate_beams(u: Any) -> Any:
    """The same events, in COORDINATES, with the two identical proton beams exchanged: a rotation by
    pi about the top's transverse direction.

    Rapidities and the transverse recoil across the top change sign; the axes that the beam defines
    turn by pi.
    """
    xp = library(u)
    sign = xp.asarray([1.0, 1, -1, -1, -1] + [1.0] * 12, dtype=u.dtype)
    turn = xp.asarray([0.0] * 13 + [xp.pi, 0, xp.pi, 0], dtype=u.dtype)
    turned = u * xp.broadcast_to(sign, u.shape) + xp.broadcast_to(turn, u.shape)
    return xp.concatenate([turned[..., :13], wrap(turned[..., 13:])], axis=-1)


def _from_rapidity(mass_squared: Any, px: Any, py: Any, y: Any) -> Momentum:
    xp = library(px)
    m_transverse = xp.sqrt(mass_squared + px**2 + py**2)
    return xp.stack([m_transverse * xp.cosh(y), px, py, m_transverse * xp.sinh(y)], axis=-1)


def _helicity_axes(flight: Any, reference: Any) -> tuple[Any, Any, Any]:
    """Unit axes x, y, z: z along the flight, y along reference x z."""
    xp = library(flight)
    z = unit(flight)
    y = unit(xp.linalg.cross(xp.broadcast_to(reference, z.shape), z))
    return xp.linalg.cross(y, z), y, z


def _transverse_axes(p: Momentum) -> tuple[Any, Any]:
    along = unit(p[..., 1:3])
    return along, library(p).stack([-along[..., 1], along[..., 0]], axis=-1)


def _direction(cosine: Any, azimuth: Any, axes: tuple[Any, Any, Any]) -> Any:
    xp = library(cosine)
    sine = xp.sqrt(at_least_zero(1 - cosine**2))
    along_x, along_y = (sine * xp.cos(azimuth))[..., None], (sine * xp.sin(azimuth))[..., None]
    x, y, z = axes
    return along_x * x + along_y * y + cosine[..., None] * z


def _beam(p: Momentum) -> Any:
    return library(p).asarray([0.0, 0, 1], dtype=p.dtype)
