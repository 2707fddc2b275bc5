"""The cuts of a file as a function of momenta, helicity coordinates and charts."""

import json

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.generators.charts import helicity_chart, jet_chart
from amplify.ttbar import helicity, kinematics
from amplify.ttbar.jets import JetSettings
from amplify.ttbar.partons import TtbarSettings
from amplify.ttbar.passing import momenta_of_helicity, passes_of

CUTS = {"pt_min_gev": 30.0, "eta_max": 2.0, "delta_r_min": 0.6}


@pytest.fixture(scope="module")
def momenta():
    """Massless partons [2000, 6, 4] around the cuts: some fail each of them."""
    rng = np.random.default_rng(3)
    pt_gev = 25 + rng.exponential(80, (2000, 6))
    eta, azimuth = rng.normal(0, 0.9, (2000, 6)), rng.uniform(-np.pi, np.pi, (2000, 6))
    return kinematics.massless(pt_gev, eta, azimuth)


@pytest.fixture(scope="module")
def truth(momenta):
    """Each cut written out, in NumPy's own words."""
    pt_gev = np.hypot(momenta[..., 1], momenta[..., 2])
    eta = np.arcsinh(momenta[..., 3] / pt_gev)
    azimuth = np.arctan2(momenta[..., 2], momenta[..., 1])
    far = np.ones(len(momenta), bool)
    for i in range(6):
        for j in range(i):
            turn = np.abs(azimuth[:, i] - azimuth[:, j])
            far &= np.hypot(eta[:, i] - eta[:, j], np.minimum(turn, 2 * np.pi - turn)) > 0.6
    hard, central = (pt_gev > 30).all(axis=1), (np.abs(eta) < 2).all(axis=1)
    for cut in (far, hard, central):
        assert 0.05 < (~cut).mean() < 0.9
    return far & hard & central


def test_momenta_pass_as_written_out(momenta, truth):
    assert 0.01 < truth.mean() < 0.5
    np.testing.assert_array_equal(passes_of(CUTS)(momenta), truth)
    np.testing.assert_array_equal(passes_of(CUTS)(momenta.reshape(-1, 24)), truth)
    single = jnp.asarray(momenta, jnp.float32)
    passes = jax.jit(passes_of(CUTS))(single)
    assert isinstance(passes, jax.Array) and (np.asarray(passes) == truth).mean() > 0.999
    by_member = jax.jit(jax.vmap(passes_of(CUTS)))(single.reshape(4, 500, 24))
    np.testing.assert_array_equal(np.asarray(by_member).ravel(), np.asarray(passes))


@pytest.mark.parametrize("name", ["helicity", "helicity chart", "jet chart"])
def test_coordinates_pass_as_their_momenta(momenta, truth, name):
    """Coordinates forget the azimuth of the event, which no cut sees; single precision may move
    an event over an edge, one in a thousand. Cuts of the chart start at 22 GeV.
    """
    chart = {"helicity chart": helicity_chart, "jet chart": jet_chart}.get(name)
    if chart is None:
        decode, x = momenta_of_helicity, helicity.to_helicity(momenta)
    else:
        decode, x = chart().to_momenta, chart().from_momenta(momenta)
    passes = jax.jit(passes_of(CUTS, decode))(jnp.asarray(x, jnp.float32))
    assert passes.dtype == bool and passes.shape == truth.shape
    assert (np.asarray(passes) == truth).mean() > 0.998


def test_nothing_that_is_not_finite_passes(momenta, truth):
    passing = momenta[truth][:5].reshape(5, 24)
    assert passes_of(CUTS)(passing).all()
    for value in (np.nan, np.inf, -np.inf):
        for column in (0, 3, 23):  # the energy is in no cut
            bad = passing.copy()
            bad[:, column] = value
            assert not passes_of(CUTS)(jnp.asarray(bad, jnp.float32)).any()
    x = helicity.to_helicity(momenta[truth][:5])
    x[:, 16] = np.nan
    assert not passes_of(CUTS, momenta_of_helicity)(jnp.asarray(x)).any()


def test_generated_cosines_may_lie_outside(momenta, truth):
    """A flow knows no ends of a cosine: the event is that of the end, and so is its verdict."""
    x = helicity.to_helicity(momenta)
    outside = x.copy()
    outside[:, helicity.COSINES] *= 1.2
    ends = outside.copy()
    ends[:, helicity.COSINES] = np.clip(outside[:, helicity.COSINES], -1 + 1e-6, 1 - 1e-6)
    assert (ends != outside).any()
    np.testing.assert_array_equal(momenta_of_helicity(outside), helicity.from_helicity(ends))
    assert np.isfinite(momenta_of_helicity(outside)).all()


def test_settings_come_from_a_file(momenta, truth, tmp_path):
    for settings in (TtbarSettings(), JetSettings()):
        said = settings._asdict() | {"process": "pp"}
        file = tmp_path / f"{type(settings).__name__}.h5"
        with h5py.File(file, "w") as events:
            events["momenta"] = momenta[:3]
            events.attrs["settings"] = json.dumps(said | CUTS)
        np.testing.assert_array_equal(passes_of(file)(momenta), truth)
        np.testing.assert_array_equal(passes_of(str(file))(momenta), truth)
        own = settings._replace(**CUTS)
        np.testing.assert_array_equal(passes_of(own)(momenta), truth)


def test_a_file_without_settings_is_one_line(momenta, tmp_path):
    file = tmp_path / "plain.h5"
    with h5py.File(file, "w") as events:
        events["momenta"] = momenta[:3]
    with pytest.raises(InputError, match=r"plain\.h5: expected the settings pt_min_gev, eta_max"):
        passes_of(file)
    with pytest.raises(InputError, match="none called eta_max, delta_r_min"):
        passes_of({"pt_min_gev": 22.0})
    with pytest.raises(InputError, match="no such file"):
        passes_of(tmp_path / "nothing.h5")
