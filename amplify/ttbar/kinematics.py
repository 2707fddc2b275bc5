"""Four-momenta and observables of top pairs, cuts, and the coordinates of a detector.

Every function takes NumPy or JAX arrays and stays in the library and precision it was given.
Four-momenta are (E, px, py, pz) in GeV on the last axis; the six partons are ordered (b, q, q',
bbar, q, q') as in arXiv:2405.14806, with the up-type quark of each W first.
"""

from typing import Any

from amplify.ttbar.vectors import (
    Momentum,
    at_least_zero,
    at_most,
    dot,
    four,
    library,
    minkowski,
)

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


def pt(p: Momentum) -> Any:
    """Transverse momentum in GeV."""
    return library(p).hypot(p[..., 1], p[..., 2])


def phi(p: Momentum) -> Any:
    """Azimuth in [-pi, pi]."""
    return library(p).atan2(p[..., 2], p[..., 1])


def rapidity(p: Momentum) -> Any:
    """Rapidity artanh(pz / E)."""
    return library(p).atanh(p[..., 3] / p[..., 0])


def pseudorapidity(p: Momentum) -> Any:
    """Pseudorapidity arsinh(pz / pT)."""
    return library(p).asinh(p[..., 3] / pt(p))


def mass(p: Momentum) -> Any:
    """Invariant mass in GeV; rounding below zero counts as zero.

    >>> import numpy as np
    >>> float(mass(np.array([5.0, 0.0, 0.0, 4.0])))
    3.0
    """
    return library(p).sqrt(at_least_zero(minkowski(p, p)))


def wrap(angle: Any) -> Any:
    """An angle moved to [-pi, pi)."""
    xp = library(angle)
    return xp.remainder(angle + xp.pi, 2 * xp.pi) - xp.pi


def massless(pt_gev: Any, eta: Any, azimuth: Any) -> Momentum:
    """Four-momenta [..., 4] of massless particles."""
    xp = library(pt_gev)
    energy, p_z = pt_gev * xp.cosh(eta), pt_gev * xp.sinh(eta)
    return xp.stack([energy, pt_gev * xp.cos(azimuth), pt_gev * xp.sin(azimuth), p_z], axis=-1)


def delta_r(p: Momentum) -> Any:
    """Distances sqrt(d_eta^2 + d_phi^2) [..., pair] between all pairs of particles [..., particle,
    4].
    """
    xp = library(p)
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
    xp = library(p)
    t, tbar, w_plus, w_minus = resonances(p)
    b, bbar, tt = p[..., 0, :], p[..., 3, :], t + tbar
    columns = [mass(tt), pt(t), pt(tbar), pt(tt), rapidity(t), rapidity(tbar)]
    columns += [mass(t), mass(tbar), mass(w_plus), mass(w_minus), pt(b), pt(bbar)]
    columns += [delta_r(p).min(axis=-1), xp.abs(wrap(phi(t) - phi(tbar)))]
    return xp.stack(columns, axis=-1)


def passes(p: Momentum, *, pt_min_gev: float, eta_max: float, delta_r_min: float) -> Any:
    """Which events [event] of particles [event, particle, 4] pass the cuts."""
    return (
        (pt(p) > pt_min_gev).all(axis=-1)
        & (library(p).abs(pseudorapidity(p)) < eta_max).all(axis=-1)
        & (delta_r(p) > delta_r_min).all(axis=-1)
    )


def to_jet_coordinates(p: Momentum, pt_min_gev: float, *, massive: bool) -> Any:
    """(log(pT - pt_min), phi, eta) and, where massive, log m^2 of each particle: [event, particle,
    3 or 4] (docs/top_pairs, Coordinates and flow matching). GeV inside the logarithms.

    The edge of the cut on pT lies at minus infinity, so that no generated event falls below it.
    """
    xp = library(p)
    columns = [xp.log(pt(p) - pt_min_gev), phi(p), pseudorapidity(p)]
    if massive:
        columns.append(xp.log(minkowski(p, p)))
    return xp.stack(columns, axis=-1)


def from_jet_coordinates(u: Any, pt_min_gev: float) -> Momentum:
    """Four-momenta [event, particle, 4] in GeV of `to_jet_coordinates`; exponents are clamped at
    100 TeV and pseudorapidities at 10.
    """
    xp = library(u)
    p_t = pt_min_gev + xp.exp(at_most(u[..., 0], 11.5))
    azimuth, eta = u[..., 1], -at_most(-at_most(u[..., 2], 10.0), 10.0)
    p = massless(p_t, eta, azimuth)
    if u.shape[-1] == 3:
        return p
    mass_squared = xp.exp(at_most(u[..., 3], 23.0))
    energy = xp.sqrt(p[..., :1] ** 2 + mass_squared[..., None])
    return xp.concatenate([energy, p[..., 1:]], axis=-1)


def boost_to_rest(p: Momentum, frame: Momentum) -> Momentum:
    """`p` as seen in the rest frame of the massive momentum `frame`."""
    return boost_from_rest(p, four(frame[..., 0], -frame[..., 1:]))


def boost_from_rest(p: Momentum, frame: Momentum, m: Any = None) -> Momentum:
    """`p`, given in the rest frame of the massive momentum `frame`, as seen where `frame` is
    measured.

    Give the mass m of the frame where it is known: single precision loses it in the energies of a
    fast one.
    """
    m = mass(frame) if m is None else m
    energy = (frame[..., 0] * p[..., 0] + dot(frame[..., 1:], p[..., 1:])) / m
    factor = (energy + p[..., 0]) / (frame[..., 0] + m)
    return four(energy, p[..., 1:] + factor[..., None] * frame[..., 1:])
