"""Top pairs: four-momenta, observables and the coordinates in which a network learns them.

Every function takes NumPy or JAX arrays and stays in the library and precision it was given.
Four-momenta are (E, px, py, pz) in GeV on the last axis; the six partons are ordered (b, q, q',
bbar, q, q') as in arXiv:2405.14806, with the up-type quark of each W first. Everything is massless
in the final state, so an event has 6 x 3 = 18 degrees of freedom; the global azimuth carries no
information, 17 remain.
"""

from typing import Any

PARTICLES = ("b", "q1", "q2", "bbar", "q3", "q4")
OBSERVABLES = (
    "m_tt_gev",
    "pt_t_gev",
    "pt_tbar_gev",
    "pt_tt_gev",
    "y_t",
    "y_tbar",
    "m_t_gev",
    "m_tbar_gev",
    "m_wplus_gev",
    "m_wminus_gev",
    "pt_b_gev",
    "pt_bbar_gev",
    "delta_r_min",
    "delta_phi_tt",
)
HELICITY_COORDINATES = (
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
COSINES = tuple(range(9, 13))  # columns of HELICITY_COORDINATES in [-1, 1]
AZIMUTHS = tuple(range(13, 17))  # columns of HELICITY_COORDINATES in [-pi, pi), periodic
_PT_TT_SCALE_GEV = 20.0  # asinh turns from linear to logarithmic here (ttbar.md section 5)

Momentum = Any  # a NumPy or JAX array [..., 4]


def pt(p: Momentum) -> Any:
    """Transverse momentum in GeV."""
    return _np(p).hypot(p[..., 1], p[..., 2])


def phi(p: Momentum) -> Any:
    """Azimuth in [-pi, pi]."""
    return _np(p).atan2(p[..., 2], p[..., 1])


def rapidity(p: Momentum) -> Any:
    """Rapidity artanh(pz / E)."""
    return _np(p).atanh(p[..., 3] / p[..., 0])


def pseudorapidity(p: Momentum) -> Any:
    """Pseudorapidity arsinh(pz / pT)."""
    return _np(p).asinh(p[..., 3] / pt(p))


def mass(p: Momentum) -> Any:
    """Invariant mass in GeV; rounding below zero counts as zero."""
    xp = _np(p)
    return xp.sqrt(xp.maximum(_minkowski(p, p), _zero(p)))


def wrap(angle: Any) -> Any:
    """An angle moved to [-pi, pi)."""
    xp = _np(angle)
    return xp.remainder(angle + xp.pi, 2 * xp.pi) - xp.pi


def massless(pt_gev: Any, eta: Any, azimuth: Any) -> Momentum:
    """Four-momenta [..., 4] of massless particles."""
    xp = _np(pt_gev)
    return xp.stack(
        [
            pt_gev * xp.cosh(eta),
            pt_gev * xp.cos(azimuth),
            pt_gev * xp.sin(azimuth),
            pt_gev * xp.sinh(eta),
        ],
        axis=-1,
    )


def delta_r(p: Momentum) -> Any:
    """Distances sqrt(d_eta^2 + d_phi^2) [..., pair] between all pairs of particles [..., particle,
    4].
    """
    xp = _np(p)
    pairs = [(i, j) for i in range(p.shape[-2]) for j in range(i)]
    i, j = xp.asarray([i for i, _ in pairs]), xp.asarray([j for _, j in pairs])
    eta, azimuth = pseudorapidity(p), phi(p)
    return xp.hypot(eta[..., i] - eta[..., j], wrap(azimuth[..., i] - azimuth[..., j]))


def resonances(p: Momentum) -> tuple[Momentum, Momentum, Momentum, Momentum]:
    """Top, antitop, W+ and W- [..., 4] from the six partons [..., 6, 4]."""
    w_plus, w_minus = p[..., 1, :] + p[..., 2, :], p[..., 4, :] + p[..., 5, :]
    return w_plus + p[..., 0, :], w_minus + p[..., 3, :], w_plus, w_minus


def observables(p: Momentum) -> Any:
    """The columns OBSERVABLES [event, 14] of six partons [event, 6, 4]; GeV where the name says
    so.
    """
    xp = _np(p)
    t, tbar, w_plus, w_minus = resonances(p)
    tt = t + tbar
    return xp.stack(
        [
            mass(tt),
            pt(t),
            pt(tbar),
            pt(tt),
            rapidity(t),
            rapidity(tbar),
            mass(t),
            mass(tbar),
            mass(w_plus),
            mass(w_minus),
            pt(p[..., 0, :]),
            pt(p[..., 3, :]),
            delta_r(p).min(axis=-1),
            xp.abs(wrap(phi(t) - phi(tbar))),
        ],
        axis=-1,
    )


def to_helicity(p: Momentum) -> Any:
    """The columns HELICITY_COORDINATES [event, 17] of six massless partons [event, 6, 4] (ttbar.md
    section 5).

    Momenta and masses of the tops in the laboratory, with azimuths relative to the top; then the
    direction of each W in the rest frame of its top (z along the flight of the top, y along beam x
    z) and of the up-type quark in the rest frame of its W (z along the flight of the W in the top
    frame, y along the z of the top x z). Each resonance is a coordinate of its own here, and each
    angle nearly uniform.
    """
    xp = _np(p)
    t, tbar, _, _ = resonances(p)
    along, across = _transverse_axes(t)
    tt = t + tbar
    laboratory = [
        xp.log(pt(t)),
        xp.asinh(_dot(tt[..., 1:3], along) / _PT_TT_SCALE_GEV),
        xp.asinh(_dot(tt[..., 1:3], across) / _PT_TT_SCALE_GEV),
        (rapidity(t) + rapidity(tbar)) / 2,
        rapidity(t) - rapidity(tbar),
    ]
    scales, cosines, azimuths = [], [], []
    for b, q1, q2 in ((0, 1, 2), (3, 4, 5)):
        w = p[..., q1, :] + p[..., q2, :]
        top = w + p[..., b, :]
        # b is massless, so m_t^2 - m_W^2 = 2 p_b p_W: no difference of large numbers
        scales += [xp.log(mass(w)), xp.log(2 * _minkowski(w, p[..., b, :]))]
        axes = _helicity_axes(top[..., 1:], _beam(top))
        w_in_top = boost_to_rest(w, top)
        q_in_w = boost_to_rest(boost_to_rest(p[..., q1, :], top), w_in_top)
        for vector, frame in (
            (w_in_top[..., 1:], axes),
            (q_in_w[..., 1:], _helicity_axes(w_in_top[..., 1:], axes[2])),
        ):
            x, y, z = (_dot(vector, axis) for axis in frame)
            cosines.append(z / xp.sqrt(x * x + y * y + z * z))
            azimuths.append(wrap(xp.atan2(y, x)))
    return xp.stack([*laboratory, *scales, *cosines, *azimuths], axis=-1)


def from_helicity(u: Any) -> Momentum:
    """Six massless partons [event, 6, 4] in GeV from HELICITY_COORDINATES [event, 17]; the top
    flies at azimuth 0. Inverse of `to_helicity`.
    """
    xp = _np(u)
    partons = []
    for k, top in enumerate(tops_from_helicity(u)):
        m_w, gap = xp.exp(u[..., 5 + 2 * k]), xp.exp(u[..., 6 + 2 * k])
        m_top = xp.sqrt(gap + m_w**2)
        axes = _helicity_axes(top[..., 1:], _beam(top))
        w_flight = _direction(u[..., 9 + 2 * k], u[..., 13 + 2 * k], axes)
        momentum = gap / (2 * m_top)
        b_in_top = _four(momentum, -momentum[..., None] * w_flight)
        w_in_top = _four(xp.sqrt(momentum**2 + m_w**2), momentum[..., None] * w_flight)
        q_flight = _direction(
            u[..., 10 + 2 * k], u[..., 14 + 2 * k], _helicity_axes(w_flight, axes[2])
        )
        quarks = (_four(m_w / 2, sign * m_w[..., None] / 2 * q_flight) for sign in (1, -1))
        q1, q2 = (boost_from_rest(boost_from_rest(q, w_in_top, m_w), top, m_top) for q in quarks)
        partons += [boost_from_rest(b_in_top, top, m_top), q1, q2]
    return xp.stack(partons, axis=-2)


def tops_from_helicity(u: Any) -> tuple[Momentum, Momentum]:
    """Top and antitop [event, 4] in GeV from HELICITY_COORDINATES [event, 17]: all that observables
    of the pair need.
    """
    xp = _np(u)
    pt_t, y_mean, y_difference = xp.exp(u[..., 0]), u[..., 3], u[..., 4]
    px_tt, py_tt = (_PT_TT_SCALE_GEV * xp.sinh(u[..., i]) for i in (1, 2))
    t, tbar = (
        _from_rapidity(xp.exp(u[..., 6 + 2 * k]) + xp.exp(2 * u[..., 5 + 2 * k]), px, py, y)
        for k, px, py, y in (
            (0, pt_t, xp.zeros_like(pt_t), y_mean + y_difference / 2),
            (1, px_tt - pt_t, py_tt, y_mean - y_difference / 2),
        )
    )
    return t, tbar


def to_jet_coordinates(p: Momentum, pt_min_gev: float, *, massive: bool) -> Any:
    """(log(pT - pt_min), phi, eta) and, where massive, log m^2 of each particle: [event, particle,
    3 or 4] (ttbar.md section 2). GeV inside the logarithms.

    The edge of the cut on pT lies at minus infinity, so that no generated event falls below it.
    """
    xp = _np(p)
    columns = [xp.log(pt(p) - pt_min_gev), phi(p), pseudorapidity(p)]
    return xp.stack([*columns, xp.log(_minkowski(p, p))] if massive else columns, axis=-1)


def from_jet_coordinates(u: Any, pt_min_gev: float) -> Momentum:
    """Four-momenta [event, particle, 4] in GeV of `to_jet_coordinates`; exponents are clamped at
    100 TeV and pseudorapidities at 10.
    """
    xp = _np(u)
    p_t = pt_min_gev + xp.exp(_at_most(u[..., 0], 11.5))
    azimuth, eta = u[..., 1], -_at_most(-_at_most(u[..., 2], 10.0), 10.0)
    p = massless(p_t, eta, azimuth)
    if u.shape[-1] == 3:
        return p
    mass_squared = xp.exp(_at_most(u[..., 3], 23.0))
    return xp.concatenate([xp.sqrt(p[..., :1] ** 2 + mass_squared[..., None]), p[..., 1:]], axis=-1)


def passes(p: Momentum, *, pt_min_gev: float, eta_max: float, delta_r_min: float) -> Any:
    """Which events [event] of particles [event, particle, 4] pass the cuts."""
    return (
        (pt(p) > pt_min_gev).all(axis=-1)
        & (_np(p).abs(pseudorapidity(p)) < eta_max).all(axis=-1)
        & (delta_r(p) > delta_r_min).all(axis=-1)
    )


def rotate_beams(u: Any) -> Any:
    """The same events with the two identical proton beams exchanged: a rotation by pi about the
    top's transverse direction, in HELICITY_COORDINATES.

    Rapidities and the transverse recoil across the top change sign; the axes that the beam defines
    turn by pi.
    """
    xp = _np(u)
    sign = xp.asarray([1.0, 1, -1, -1, -1] + [1.0] * 12, dtype=u.dtype)
    turn = xp.asarray([0.0] * 13 + [xp.pi, 0, xp.pi, 0], dtype=u.dtype)
    turned = u * xp.broadcast_to(sign, u.shape) + xp.broadcast_to(turn, u.shape)
    return xp.concatenate([turned[..., :13], wrap(turned[..., 13:])], axis=-1)


def boost_to_rest(p: Momentum, frame: Momentum) -> Momentum:
    """P as seen in the rest frame of the massive momentum `frame`."""
    return boost_from_rest(p, _np(p).concatenate([frame[..., :1], -frame[..., 1:]], axis=-1))


def boost_from_rest(p: Momentum, frame: Momentum, m: Any = None) -> Momentum:
    """p, given in the rest frame of the massive momentum `frame`, as seen where `frame` is
    measured.

    Give the mass m of the frame where it is known: single precision loses it in the energies of a
    fast one.
    """
    m = mass(frame) if m is None else m
    energy = (frame[..., 0] * p[..., 0] + _dot(frame[..., 1:], p[..., 1:])) / m
    factor = (energy + p[..., 0]) / (frame[..., 0] + m)
    return _four(energy, p[..., 1:] + factor[..., None] * frame[..., 1:])


def _from_rapidity(mass_squared: Any, px: Any, py: Any, y: Any) -> Momentum:
    xp = _np(px)
    m_transverse = xp.sqrt(mass_squared + px**2 + py**2)
    return xp.stack([m_transverse * xp.cosh(y), px, py, m_transverse * xp.sinh(y)], axis=-1)


def _helicity_axes(flight: Any, reference: Any) -> tuple[Any, Any, Any]:
    """Unit axes x, y, z: z along the flight, y along reference x z."""
    xp = _np(flight)
    z = _unit(flight)
    y = _unit(xp.linalg.cross(xp.broadcast_to(reference, z.shape), z))
    return xp.linalg.cross(y, z), y, z


def _transverse_axes(p: Momentum) -> tuple[Any, Any]:
    along = _unit(p[..., 1:3])
    return along, _np(p).stack([-along[..., 1], along[..., 0]], axis=-1)


def _direction(cosine: Any, azimuth: Any, axes: tuple[Any, Any, Any]) -> Any:
    xp = _np(cosine)
    sine = xp.sqrt(xp.maximum(1 - cosine**2, _zero(cosine)))
    x, y, z = axes
    return (
        (sine * xp.cos(azimuth))[..., None] * x
        + (sine * xp.sin(azimuth))[..., None] * y
        + cosine[..., None] * z
    )


def _beam(p: Momentum) -> Any:
    return _np(p).asarray([0.0, 0, 1], dtype=p.dtype)


def _four(energy: Any, vector: Any) -> Momentum:
    return _np(energy).concatenate([energy[..., None], vector], axis=-1)


def _unit(v: Any) -> Any:
    return v / _np(v).sqrt(_dot(v, v))[..., None]


def _dot(a: Any, b: Any) -> Any:
    return (a * b).sum(axis=-1)


def _minkowski(a: Momentum, b: Momentum) -> Any:
    return a[..., 0] * b[..., 0] - _dot(a[..., 1:], b[..., 1:])


def _at_most(a: Any, limit: float) -> Any:
    return _np(a).minimum(a, _zero(a) + limit)


def _zero(a: Any) -> Any:
    return _np(a).zeros((), dtype=a.dtype)


def _np(a: Any) -> Any:
    """The array's own namespace: numpy or jax.numpy."""
    return a.__array_namespace__()
