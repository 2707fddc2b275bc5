"""Helicity coordinates with a polar recoil: there and back, and the exchange of the beams."""

import jax.numpy as jnp
import numpy as np

from amplify.ttbar import helicity, kinematics, recoil


def _events(n: int = 200) -> np.ndarray:
    rng = np.random.default_rng(0)
    p_t, eta = rng.exponential(80, (n, 6)) + 25, rng.normal(0, 1.2, (n, 6))
    return kinematics.massless(p_t, eta, rng.uniform(-np.pi, np.pi, (n, 6)))


def test_there_and_back():
    """To rounding, and pT_tt is what it is called."""
    u = helicity.to_helicity(_events())
    v = recoil.from_helicity(u)
    assert v.shape == u.shape == (200, len(recoil.COORDINATES))
    np.testing.assert_allclose(recoil.to_helicity(v), u, atol=1e-12)
    t, tbar = helicity.tops_from_helicity(u)
    np.testing.assert_allclose(np.exp(v[:, 1]), kinematics.pt(t + tbar), rtol=1e-10)


def test_beams_are_exchanged_as_in_helicity_coordinates():
    """Angles up to full turns; JAX as NumPy."""
    u = helicity.to_helicity(_events())
    expected = recoil.from_helicity(helicity.rotate_beams(u))
    found = recoil.rotate_beams(recoil.from_helicity(u))
    difference = found - expected
    angles = list(recoil.AZIMUTHS)
    difference[:, angles] = kinematics.wrap(difference[:, angles])
    np.testing.assert_allclose(difference, 0, atol=1e-9)
    in_jax = recoil.rotate_beams(jnp.asarray(recoil.from_helicity(u), jnp.float32))
    close = np.abs(kinematics.wrap(np.asarray(in_jax)[:, angles] - found[:, angles]))
    assert close.max() < 1e-4
