"""Whether four-momenta are what a study of top pairs can start from: the first event that is not,
and what is wrong with it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.ttbar import kinematics

_BLOCK = 100_000  # events looked at together


def check_momenta(
    momenta: Any,
    source: str = "momenta",
    *,
    particles: int | None = 6,
    names: Sequence[str] = kinematics.PARTICLES,
    pt_min_gev: float | None = None,
    eta_max: float | None = None,
    delta_r_min: float | None = None,
    massive: bool = False,
    first: int = 0,
) -> None:
    """Raises if four-momenta (E, px, py, pz) are no events with positive energy and transverse
    momentum within the cuts.

    What rounding in the precision of the array can do is accepted: E^2 - p^2 may miss zero by four
    units in the last place of E^2, a cut by four of itself.

    Args:
        momenta: an array [event, particle, 4] in GeV, or a data set of a file: it is read in
            blocks.
        source: what it is called in an error.
        particles: how many there have to be; None for any number.
        names: of the particles, for errors.
        pt_min_gev: transverse momentum that every particle must exceed.
        eta_max: absolute pseudorapidity that every particle must stay below.
        delta_r_min: distance that every two particles must exceed.
        massive: every particle needs a mass, because a coordinate is its logarithm.
        first: number of the first event, where these are a part of a file.

    Raises:
        InputError: the shape, the first event that breaks a condition and how many do.
    """
    shape = tuple(momenta.shape)
    expected = f"[event, {'particle' if particles is None else particles}, 4]"
    if len(shape) != 3 or shape[2] != 4 or (particles is not None and shape[1] != particles):
        fix = "give (E, px, py, pz) of each particle in GeV"
        raise InputError(source, f"four-momenta {expected}", f"shape {list(shape)}", fix)
    if not np.issubdtype(momenta.dtype, np.floating):
        fix = "give (E, px, py, pz) in GeV"
        raise InputError(source, "numbers with a fraction", str(momenta.dtype), fix)
    if 0 in shape:
        fix = "give a sample with events"
        raise InputError(source, "at least one event", f"shape {list(shape)}", fix)
    rounding = 4 * float(np.finfo(momenta.dtype).eps)
    conditions = _conditions(rounding, pt_min_gev, eta_max, delta_r_min, massive)
    for expected, breaks, describe in conditions:
        first_bad, count = "", 0
        for start, block in _blocks(momenta):
            bad = breaks(block)
            if not first_bad and bad.any():
                event, particle = (int(i) for i in np.argwhere(bad)[0])
                name = names[particle] if particle < len(names) else f"particle {particle}"
                got = describe(block[event], particle)
                first_bad = f"{got} for {name} of event {first + start + event}"
            count += int(bad.any(axis=1).sum())
        if first_bad:
            got = f"{first_bad}, {count} of {shape[0]} events in all"
            fix = "leave such events out, or check units and order (E, px, py, pz)"
            raise InputError(source, expected, got, fix)


def _blocks(momenta: Any) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(momenta), _BLOCK):
        yield start, np.asarray(momenta[start : start + _BLOCK], np.float64)


_Condition = tuple[str, Callable[[np.ndarray], Any], Callable[[np.ndarray, int], str]]


def _conditions(
    rounding: float,
    pt_min_gev: float | None,
    eta_max: float | None,
    delta_r_min: float | None,
    massive: bool,
) -> Iterator[_Condition]:
    """What is expected, which particles [event, particle] break it, and how one of an event
    [particle, 4] does.

    One after the other: each may rely on those before it.
    """

    def mass_squared(p: np.ndarray) -> np.ndarray:
        return p[..., 0] ** 2 - (p[..., 1:] ** 2).sum(axis=-1)

    def listed(p: np.ndarray, i: int) -> str:
        return "(" + ", ".join(f"{x:.6g}" for x in p[i]) + ")"

    yield "finite numbers", lambda p: ~np.isfinite(p).all(axis=-1), listed
    yield "positive energies", lambda p: p[..., 0] <= 0, lambda p, i: f"E = {p[i, 0]:.6g} GeV"
    yield "pT above zero", lambda p: kinematics.pt(p) <= 0, lambda p, i: f"pT = 0, {listed(p, i)}"
    yield (
        "E >= |p|",
        lambda p: mass_squared(p) < -rounding * p[..., 0] ** 2,
        lambda p, i: f"E^2 - p^2 = {mass_squared(p)[i]:.6g} GeV^2, {listed(p, i)}",
    )
    if massive:
        yield (
            "particles with a mass",
            lambda p: mass_squared(p) <= rounding * p[..., 0] ** 2,
            lambda p, i: f"E^2 - p^2 = {mass_squared(p)[i]:.3g} GeV^2, no more than rounding,",
        )
    if pt_min_gev is not None:
        yield (
            f"pT above {pt_min_gev:g} GeV",
            lambda p: kinematics.pt(p) <= pt_min_gev * (1 - rounding),
            lambda p, i: f"{kinematics.pt(p)[i]:.6g} GeV",
        )
    if eta_max is not None:
        yield (
            f"|eta| below {eta_max:g}",
            lambda p: np.abs(kinematics.pseudorapidity(p)) >= eta_max * (1 + rounding),
            lambda p, i: f"eta = {kinematics.pseudorapidity(p)[i]:.6g}",
        )
    if delta_r_min is not None:
        yield (
            f"every Delta R above {delta_r_min:g}",
            lambda p: _nearest(p) <= delta_r_min - rounding * 10,
            lambda p, i: f"{_nearest(p[None])[0, i]:.6g} to its nearest",
        )


def _nearest(p: np.ndarray) -> np.ndarray:
    """Delta R [event, particle] to the nearest other particle."""
    eta, azimuth = kinematics.pseudorapidity(p), kinematics.phi(p)
    d_eta = eta[..., :, None] - eta[..., None, :]
    d_phi = kinematics.wrap(azimuth[..., :, None] - azimuth[..., None, :])
    itself = np.where(np.eye(p.shape[-2], dtype=bool), np.inf, 0.0)
    return (np.hypot(d_eta, d_phi) + itself).min(axis=-1)
