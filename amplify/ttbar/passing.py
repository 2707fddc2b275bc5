"""Which top-pair events could have been data: the cuts that a file of simulated events says it was
made with, as a function of momenta or of any coordinates of them.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from amplify.errors import InputError
from amplify.ttbar import helicity, kinematics
from amplify.ttbar.event_files import open_events
from amplify.ttbar.vectors import library

_CUTS = ("pt_min_gev", "eta_max", "delta_r_min")
_EDGE = 1e-6  # from the ends of a cosine: along its axis an azimuth has no direction

Decode = Callable[[Any], Any]  # x [n, dim] -> momenta [n, particle, 4] in GeV


def passes_of(source: Path | str | Mapping[str, Any] | Any, decode: Decode | None = None) -> Decode:
    """The cuts of a simulation as a function x [n, dim] -> [n] booleans, of NumPy or JAX, for
    `amplify.truncated`; an event that is not finite never passes.

    >>> import numpy as np
    >>> from amplify.ttbar.partons import TtbarSettings
    >>> passes = passes_of(TtbarSettings(pt_min_gev=22.0, delta_r_min=0.5))
    >>> azimuths = np.arange(6.0)
    >>> p = kinematics.massless(np.full((2, 6), [[50.0], [20.0]]), np.zeros(6), azimuths)
    >>> passes(p.reshape(2, 24))
    array([ True, False])

    Cuts on masses are not among them: in single precision momenta do not know the mass of a jet.

    Args:
        source: a file that `amplify ttbar` wrote, or the settings it was made with.
        decode: the momenta of x: `momenta_of_helicity`, `to_momenta` of a chart
            (`amplify.generators.charts`), or a function of one's own. None takes x for momenta
            [n, particle, 4] or [n, 4 particles].

    Raises:
        InputError: no such file, or one without these settings.
    """
    limits = _limits(source)
    to_momenta = _as_momenta if decode is None else decode

    def passes(x: Any) -> Any:
        p = to_momenta(x)
        finite = library(p).isfinite(p).all(axis=(-2, -1))
        return finite & kinematics.passes(p, **limits)

    return passes


def momenta_of_helicity(x: Any) -> Any:
    """Momenta [n, 6, 4] in GeV of generated helicity coordinates [n, 17], whose cosines may lie
    outside of [-1, 1]: those count as the end that is next to them.
    """
    xp = library(x)
    first, after = helicity.COSINES[0], helicity.COSINES[-1] + 1
    cosines = xp.clip(x[..., first:after], -1 + _EDGE, 1 - _EDGE)
    parts = [x[..., :first], cosines, x[..., after:]]
    return helicity.from_helicity(xp.concatenate(parts, axis=-1))


def _as_momenta(x: Any) -> Any:
    return x if x.ndim == 3 else x.reshape(x.shape[0], -1, 4)


def _limits(source: Any) -> dict[str, float]:
    """The cuts in the settings of a file."""
    is_file = isinstance(source, Path | str)
    what = str(source) if is_file else "settings"
    if is_file:
        settings = open_events(source, stop=1).attributes.get("settings", {})
    else:
        settings = source if isinstance(source, Mapping) else source._asdict()
    missing = [name for name in _CUTS if name not in settings]
    if missing:
        expected = f"the settings {', '.join(_CUTS)}"
        fix = "give them as {'pt_min_gev': 22.0, ...}"
        raise InputError(what, expected, f"none called {', '.join(missing)}", fix)
    return {name: float(settings[name]) for name in _CUTS}
