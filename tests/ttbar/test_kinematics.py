"""Kinematics and helicity coordinates: round trips, invariances, and independent formulas."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amplify.ttbar import helicity
from amplify.ttbar import kinematics as k


def _coordinates(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    log_pt, recoil = np.log(rng.uniform(20, 500, n)), rng.normal(0, 1.4, (n, 2))
    rapidities = rng.normal(0, 1, (n, 2))
    ranges = ((60, 100), (1.5e4, 3e4)) * 2  # masses of the W, and squared gaps to those of the tops
    scales = [np.log(rng.uniform(low, high, n)) for low, high in ranges]
    cosines, azimuths = rng.uniform(-0.99, 0.99, (n, 4)), rng.uniform(-np.pi, np.pi, (n, 4))
    return np.column_stack([log_pt, recoil, rapidities, *scales, cosines, azimuths])


def test_helicity_coordinates_round_trip():
    u = _coordinates(2000)
    p = helicity.from_helicity(u)
    assert p.shape == (2000, 6, 4)
    np.testing.assert_allclose(helicity.to_helicity(p), u, atol=1e-8)
    np.testing.assert_allclose(p[..., 0] ** 2, (p[..., 1:] ** 2).sum(-1), rtol=1e-9)  # massless
    t, tbar = helicity.tops_from_helicity(u)
    top, antitop, w_plus, _ = k.resonances(p)
    np.testing.assert_allclose(t, top, rtol=1e-8, atol=1e-7)
    np.testing.assert_allclose(tbar, antitop, rtol=1e-8, atol=1e-7)
    np.testing.assert_allclose(np.log(k.mass(w_plus)), u[:, 5], atol=1e-9)
    np.testing.assert_allclose(np.log(k.pt(top)), u[:, 0], atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.floats(-np.pi, np.pi), st.integers(0, 1000))
def test_helicity_coordinates_do_not_see_the_global_azimuth(angle, seed):
    p = helicity.from_helicity(_coordinates(5, seed))
    c, s = np.cos(angle), np.sin(angle)
    turned = np.stack(
        [p[..., 0], c * p[..., 1] - s * p[..., 2], s * p[..., 1] + c * p[..., 2], p[..., 3]],
        axis=-1,
    )
    np.testing.assert_allclose(helicity.to_helicity(turned), helicity.to_helicity(p), atol=1e-7)


def test_mean_rapidity_is_a_boost_along_the_beam():
    """Both tops of an event whose mean rapidity is shifted are those of the event seen from a
    moving frame.
    """
    u, rapidity = _coordinates(50), 0.7
    shifted = u.copy()
    shifted[:, 3] += rapidity
    p = helicity.from_helicity(u)
    cosh, sinh = np.cosh(rapidity), np.sinh(rapidity)
    energy, p_z = p[..., 0], p[..., 3]
    ends = (cosh * energy + sinh * p_z, p[..., 1], p[..., 2], cosh * p_z + sinh * energy)
    boosted = np.stack(ends, axis=-1)
    tops = k.resonances(helicity.from_helicity(shifted))[:2]
    for a, b in zip(k.resonances(boosted)[:2], tops, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-7)


def test_exchange_of_the_beams_is_the_rotation_it_claims_to_be():
    u = _coordinates(500, 3)
    # by pi about x, the transverse direction of the top
    turned = helicity.from_helicity(u) * np.array([1.0, 1, -1, -1])
    difference = helicity.to_helicity(turned) - helicity.rotate_beams(u)
    difference[:, 13:] = k.wrap(difference[:, 13:])
    assert np.abs(difference).max() < 1e-8
    again = helicity.rotate_beams(helicity.rotate_beams(u)) - u
    again[:, 13:] = k.wrap(again[:, 13:])
    assert np.abs(again).max() < 1e-12


def test_boost_against_the_matrix():
    rng = np.random.default_rng(1)
    frame = np.concatenate([rng.uniform(150, 300, (20, 1)), rng.normal(0, 40, (20, 3))], axis=1)
    p = np.concatenate([rng.uniform(50, 90, (20, 1)), rng.normal(0, 20, (20, 3))], axis=1)
    rest = k.boost_to_rest(frame, frame)
    np.testing.assert_allclose(rest[:, 0], k.mass(frame))
    np.testing.assert_allclose(rest[:, 1:], 0, atol=1e-10)
    beta = frame[:, 1:] / frame[:, :1]
    gamma = 1 / np.sqrt(1 - (beta**2).sum(1))
    along = (p[:, 1:] * beta).sum(1)
    expected = gamma * (p[:, 0] - along)
    np.testing.assert_allclose(k.boost_to_rest(p, frame)[:, 0], expected)
    np.testing.assert_allclose(k.boost_from_rest(k.boost_to_rest(p, frame), frame), p, atol=1e-9)
    np.testing.assert_allclose(k.mass(k.boost_to_rest(p, frame)), k.mass(p), rtol=1e-7)


def test_observables_of_an_event_worked_out_by_hand():
    p = k.massless(
        np.array([[50.0, 40, 30, 60, 20, 70]]),
        np.array([[0.0, 1, -1, 0.5, 2, -2]]),
        np.array([[0.0, 1, 2, 3, -2, -1]]),
    )
    o = dict(zip(k.OBSERVABLES, k.observables(p)[0], strict=True))
    total = p.sum(1)[0]
    assert o["m_tt_gev"] == pytest.approx(np.sqrt(total[0] ** 2 - (total[1:] ** 2).sum()))
    assert o["pt_b_gev"] == pytest.approx(50) and o["pt_bbar_gev"] == pytest.approx(60)
    # the invariant mass of two massless particles, from angles
    assert o["m_wplus_gev"] == pytest.approx(np.sqrt(2 * 40 * 30 * (np.cosh(2) - np.cos(1))))
    assert o["m_wminus_gev"] == pytest.approx(np.sqrt(2 * 20 * 70 * (np.cosh(4) - np.cos(1))))
    distances = k.delta_r(p)[0]
    assert len(distances) == 15 and o["delta_r_min"] == pytest.approx(distances.min())
    # of the fourth particle and the first, and of the fifth and the fourth round the circle
    assert distances[3] == pytest.approx(np.hypot(0.5, 3))
    assert distances[9] == pytest.approx(np.hypot(1.5, 2 * np.pi - 5))
    t, tbar = (p[0, i : i + 3, 1:3].sum(axis=0) for i in (0, 3))
    cosine = t @ tbar / np.linalg.norm(t) / np.linalg.norm(tbar)
    assert o["delta_phi_tt"] == pytest.approx(np.arccos(cosine))


def test_jax_arrays_stay_jax_arrays(x64):
    u = _coordinates(10)
    p, p_jax = helicity.from_helicity(u), helicity.from_helicity(jnp.asarray(u))
    np.testing.assert_allclose(p_jax, p, rtol=1e-10, atol=1e-9)
    assert isinstance(k.observables(p_jax), jnp.ndarray)
    assert isinstance(k.observables(p), np.ndarray)
    assert helicity.rotate_beams(u.astype(np.float32)).dtype == np.float32
