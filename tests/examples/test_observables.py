"""The shipped observables, on files of the published layouts, against direct formulas."""

import itertools
import math

import h5py
import numpy as np
import pytest

from amplify.examples import calorimeter, jets
from amplify.external.observables import observables_of
from amplify.external.observed import with_observables
from amplify.tables import files

N = 30


def _made(source, function):
    table = with_observables(files.open_sample(str(source)), observables_of(function))
    selection = files.select(table, table.made)
    return dict(zip(table.made, files.load(selection).x.T, strict=True))


@pytest.fixture
def calorimeter_file(tmp_path):
    """Dataset 1 of the CaloChallenge: incident_energies [N, 1], showers [N, 368]; an empty one."""
    rng = np.random.default_rng(5)
    showers = rng.exponential(30, (N, 368)) * (rng.random((N, 368)) < 0.4)
    showers[0] = 0
    with h5py.File(tmp_path / "dataset_1.hdf5", "w") as file:
        file["incident_energies"] = 2.0 ** rng.integers(8, 23, (N, 1))
        file["showers"] = showers
    return tmp_path / "dataset_1.hdf5"


def test_showers_of_the_calochallenge(calorimeter_file):
    """Voxel by voxel: layer, angle from -pi, radius from the inside."""
    made = _made(calorimeter_file, "amplify.examples.calorimeter:shower_features")
    with h5py.File(calorimeter_file) as file:
        showers, energies = file["showers"][:], file["incident_energies"][:, 0]
    voxels = [
        (layer, r_in + (r_out - r_in) / 2, -math.pi + (k + 0.5) * 2 * math.pi / n_angle)
        for layer, n_angle in calorimeter.ANGLES.items()
        for k in range(n_angle)
        for r_in, r_out in itertools.pairwise(calorimeter.EDGES[layer])
    ]
    assert len(voxels) == 368
    for i, shower in enumerate(showers):
        total = math.fsum(shower)
        assert made["response"][i] == pytest.approx(total / energies[i])
        assert made["occupancy"][i] == pytest.approx(np.count_nonzero(shower) / 368)
        for layer in calorimeter.ANGLES:
            cells = [
                (e, r, a) for e, (lay, r, a) in zip(shower, voxels, strict=True) if lay == layer
            ]
            seen = math.fsum(e for e, _, _ in cells)
            assert made[f"share_{layer}"][i] == pytest.approx(seen / total if total else 0)
            if calorimeter.ANGLES[layer] == 1:
                continue
            for name, way in (("eta", math.cos), ("phi", math.sin)):
                mean = sum(e * r * way(a) for e, r, a in cells) / seen if seen else 0
                square = sum(e * (r * way(a) - mean) ** 2 for e, r, a in cells)
                assert made[f"{name}_{layer}"][i] == pytest.approx(mean, abs=1e-9)
                width = math.sqrt(square / seen) if seen else 0
                assert made[f"width_{name}_{layer}"][i] == pytest.approx(width, abs=1e-6)


def test_expressions_say_the_same_of_showers(calorimeter_file):
    made = _made(calorimeter_file, "amplify.examples.calorimeter:shower_features")
    table = files.open_sample(str(calorimeter_file))
    texts = ["sum(showers) / incident_energies", "count(showers > 0) / 368"]
    by_text = files.load(files.select(table, [f"a{i}={t}" for i, t in enumerate(texts)])).x
    np.testing.assert_allclose(by_text.T, [made["response"], made["occupancy"]], rtol=1e-12)


@pytest.fixture(params=["hdf5", "npz"])
def jet_file(request, tmp_path):
    """JetNet: particle_features [jet, 30, 4], jet_features [jet, 4]; generated ones have 3 features
    and no mask. One jet is a single particle.
    """
    rng = np.random.default_rng(6)
    count = rng.integers(2, 31, N)
    count[0] = 1
    x = np.concatenate([rng.normal(0, 0.2, (N, 30, 2)), rng.exponential(0.1, (N, 30, 1))], axis=2)
    mask = np.arange(30) < count[:, None]
    x = (x * mask[:, :, None]).astype(np.float32)
    path = tmp_path / f"jets.{request.param}"
    if request.param == "npz":
        np.savez(path, particle_features=x)
        return path, x
    with h5py.File(path, "w") as file:
        file["particle_features"] = np.concatenate([x, mask[:, :, None]], axis=2)
        file["jet_features"] = rng.normal(size=(N, 4)).astype(np.float32)
    return path, x


MASS = (
    "sqrt(maximum(sum({2} * cosh({0}))**2 - sum({2} * cos({1}))**2 - sum({2} * sin({1}))**2"
    " - sum({2} * sinh({0}))**2, 0))"
).format(*(f"particle_features[:, {i}]" for i in range(3)))


def test_jets_of_jetnet(jet_file):
    """Particle by particle, pair by pair, three by three; and the mass as one line of text."""
    path, x = jet_file
    made = _made(path, "amplify.examples.jets:substructure")
    table = files.open_sample(str(path))
    line = files.load(files.select(table, [f"m={MASS}", "n=count(particle_features[:, 2] > 0)"])).x
    for i, jet in enumerate(x.astype(np.float64)):
        particles = [p for p in jet if p[2] > 0]
        p4 = [
            (pt * math.cosh(eta), pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta))
            for eta, phi, pt in particles
        ]
        e, px, py, pz = (math.fsum(component) for component in zip(*p4, strict=True))
        mass = math.sqrt(max(e**2 - px**2 - py**2 - pz**2, 0))
        assert made["mass"][i] == pytest.approx(mass, abs=1e-6)
        assert line[i, 0] == pytest.approx(mass, abs=1e-6)
        assert made["multiplicity"][i] == line[i, 1] == len(particles)
        whole = sum(pt for *_, pt in particles)
        shares = [(eta, phi, pt / whole) for eta, phi, pt in particles]
        width = sum(z * math.hypot(eta, phi) for eta, phi, z in shares)
        assert made["width"][i] == pytest.approx(width, rel=1e-5)
        if i < 8:  # three by three takes long
            e2 = sum(a[2] * b[2] * _far(a, b) for a, b in itertools.combinations(shares, 2))
            e3 = sum(
                a[2] * b[2] * c[2] * _far(a, b) * _far(b, c) * _far(c, a)
                for a, b, c in itertools.combinations(shares, 3)
            )
            assert made["d2"][i] == pytest.approx(e3 / e2**3 if e2 else 0, rel=1e-4, abs=1e-9)


def _far(a, b):
    return math.hypot(a[0] - b[0], a[1] - b[1])


def test_a_massless_jet_and_two_back_to_back():
    """One particle has no mass; two of share 1/2 at distance R have 2 (1/2)^2 (cosh R - 1)."""
    x = np.zeros((2, 30, 3))
    x[:, 0, 2] = 1, 0.5
    x[1, 1] = 0.4, 0, 0.5
    made = jets.substructure({"particle_features": x})
    np.testing.assert_allclose(made["mass"] ** 2, [0, 0.5 * (math.cosh(0.4) - 1)], atol=1e-12)
    np.testing.assert_array_equal(made["d2"], [0, 0])


def test_another_number_of_voxels_is_refused():
    with pytest.raises(ValueError, match="533 voxels"):
        calorimeter.shower_features(
            {"showers": np.ones((2, 533)), "incident_energies": np.ones((2, 1))}
        )
