"""Files of events, ours and the original study's, and the checks of their momenta: every error is
one line that names the first bad event.
"""

import json

import h5py
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.ttbar import kinematics as k
from amplify.ttbar.event_files import open_events, write_events
from amplify.ttbar.momenta import check_momenta
from amplify.ttbar.original import JET, load_original

CUTS = {"pt_min_gev": 22.0, "eta_max": 5.0, "massive": True}


def jets(n=20, particles=6, seed=0):
    """Momenta [n, particles, 4] with pT of 30 to 200 GeV and masses of 5 to 20 GeV, and the same as
    (pt, phi, eta, m).
    """
    rng = np.random.default_rng(seed)
    shape = (n, particles)
    ranges = ((30, 200), (-np.pi, np.pi), (-4, 4), (5, 20))
    p_t, azimuth, eta, mass = (rng.uniform(low, high, shape) for low, high in ranges)
    light = k.massless(p_t, eta, azimuth)
    light[..., 0] = np.hypot(light[..., 0], mass)
    return light, np.stack([p_t, azimuth, eta, mass], axis=-1)


@pytest.fixture
def original(tmp_path):
    """A file as the authors' programs read it."""
    path = tmp_path / "event_generation_ttbar.hdf5"
    with h5py.File(path, "w") as file:
        for extra in range(5):
            file[f"ttbar+{extra}jet"] = jets(20, 6 + extra, extra)[0].reshape(20, -1)
    return path


def test_original_file(original, tmp_path):
    events = open_events(original, **CUTS)
    np.testing.assert_array_equal(events.momenta, jets()[0])
    assert events.names == ("b1", "q1", "q2", "b2", "q3", "q4")
    assert events.attributes["extra_jets"] == 0
    more = open_events(f"{original}:ttbar+2jet", start=5, stop=9)
    np.testing.assert_array_equal(more.momenta, jets(20, 8, 2)[0][5:9])
    assert more.names[6:] == ("j1", "j2")
    np.save(tmp_path / "ttbar_1j.npy", jets(20, 7, 1)[0].reshape(20, -1))
    unpacked = open_events(tmp_path / "ttbar_1j.npy").momenta
    np.testing.assert_array_equal(unpacked, load_original(original, 1))


def test_original_with_other_components(tmp_path):
    momenta, cylindrical = jets()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["deep/jets"] = cylindrical[..., [1, 0, 3, 2]]
        file["mixed"] = momenta[..., [3, 0, 2, 1]]
    order = (JET[1], JET[0], JET[3], JET[2])
    converted = load_original(tmp_path / "a.h5", dataset="deep/jets", components=order)
    np.testing.assert_allclose(converted, momenta, rtol=1e-12, atol=1e-12)
    order = ("pz", "E", "py", "px")
    sorted_out = load_original(tmp_path / "a.h5", dataset="mixed", components=order)
    np.testing.assert_array_equal(sorted_out, momenta)
    with pytest.raises(InputError, match="positive energies, got E = -"):
        load_original(tmp_path / "a.h5", dataset="mixed")
    with pytest.raises(InputError, match="in any order"):
        load_original(tmp_path / "a.h5", components=("E", "px", "py", "eta"))


def test_our_file(tmp_path):
    momenta = jets()[0].astype(np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["momenta"] = momenta
        file["momenta"].attrs["particles"] = json.dumps(k.PARTICLES)
        file.attrs["settings"] = json.dumps({"seed": 3})
        file.attrs["note"] = "not JSON"
    events = open_events(tmp_path / "a.h5", stop=7)
    np.testing.assert_array_equal(events.momenta, momenta[:7])
    assert events.names == k.PARTICLES
    assert events.attributes == {"settings": {"seed": 3}, "note": "not JSON"}
    with pytest.raises(InputError, match=r"event, 4, 4\], got shape \[20, 6, 4\]"):
        open_events(tmp_path / "a.h5", particles=4)


def test_written_and_read(tmp_path):
    """What `write_events` wrote in two blocks, with a column of its own; the disk has no half file
    and nothing is overwritten.
    """
    file, momenta = tmp_path / "a.h5", jets(10)[0]
    chi2 = np.arange(10, dtype=np.float32)
    blocks = [{"momenta": momenta[rows], "chi2": chi2[rows]} for rows in (slice(7), slice(7, 10))]
    write_events(file, 10, "f8", blocks, {"settings": {"seed": 1}})
    events = open_events(file, **CUTS)
    np.testing.assert_array_equal(events.momenta, momenta)
    assert events.names == k.PARTICLES and events.attributes == {"settings": {"seed": 1}}
    with h5py.File(file) as stored:
        np.testing.assert_array_equal(stored["observables/chi2"][:], chi2)
        m_tt = k.observables(momenta)[:, 0]
        np.testing.assert_allclose(stored["observables/m_tt_gev"][:], m_tt, rtol=1e-6)
    before = file.read_bytes()
    with pytest.raises(InputError, match="nothing is overwritten"):
        write_events(file, 10, "f8", blocks, {})
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_files_of_another_layout(tmp_path, original):
    empty, text, other = tmp_path / "empty.h5", tmp_path / "text.h5", tmp_path / "other.h5"
    h5py.File(empty, "w").close()
    text.write_text("no HDF5")
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "flat.npy", np.zeros(24))
    with h5py.File(other, "w") as file:
        file["jets"] = np.zeros((3, 6, 4))
    with h5py.File(tmp_path / "short.h5", "w") as file:
        file["ttbar+0jet"] = np.ones((3, 20))
    for source, said in (
        (tmp_path / "none.h5", "no such file"),
        (empty, "got nothing"),
        (text, "an HDF5 file"),
        (tmp_path / "text.npy", "an array"),
        (tmp_path / "flat.npy", "6 particles"),
        (other, "got jets"),
        (tmp_path / "short.h5", r"6 particles: .*\[3, 20\]"),
        (f"{original}:ttbar+7jet", r"a data set ttbar\+7jet, got ttbar\+0jet"),
        (f"{original}:momenta", "of the original study, got momenta"),
    ):
        with pytest.raises(InputError, match=said) as error:
            open_events(source)
        assert "\n" not in str(error.value)


def _with(event, particle, momentum):
    p = jets()[0]
    p[event, particle] = momentum
    return p


@pytest.mark.parametrize(
    ("momenta", "said"),
    [
        (jets()[0][:, :5], r"\[event, 6, 4\], got shape \[20, 5, 4\]"),
        (jets()[0][..., :3], r"shape \[20, 6, 3\]"),
        (jets()[0][0], r"shape \[6, 4\]"),
        (jets()[0][:0], "at least one event"),
        (np.ones((2, 6, 4), int), "int64"),
        (_with(3, 1, np.nan), "finite numbers, got .nan.* for q1 of event 3, 1 of 20 events"),
        (
            _with(3, 5, [np.inf, 30, 0, 0]),
            r"finite numbers, got \(inf, 30, 0, 0\) for q4 of event 3",
        ),
        (_with(4, 0, [-50, 30, 0, 0]), "positive energies, got E = -50 GeV for b of event 4"),
        (_with(4, 2, [50, 0, 0, 30]), "pT above zero, got pT = 0.* for q2 of event 4"),
        (
            _with(5, 3, [50, 30, 0, 41]),
            r"E >= \|p\|, got E\^2 - p\^2 = -81 GeV\^2.* for bbar of event 5",
        ),
        (_with(6, 4, [50, 30, 0, 40]), "a mass, got .* for q3 of event 6"),
        (_with(7, 0, [50, 21.9, 0, 40]), "pT above 22 GeV, got 21.9 GeV for b of event 7"),
        (_with(8, 1, [5e3, 30, 0, 4e3]), "eta. below 5, got eta = 5.58.* for q1 of event 8"),
    ],
)
def test_bad_momenta_are_named(momenta, said):
    with pytest.raises(InputError, match=said) as error:
        check_momenta(momenta, **CUTS)
    assert "\n" not in str(error.value) and str(error.value).startswith("momenta: expected ")


def test_rounding_is_no_error():
    """Massless partons in single precision, and jets, pass; jets that are too close do not."""
    momenta, cylindrical = jets(2000)
    p_t, azimuth, eta, _ = np.moveaxis(cylindrical, -1, 0)
    light = k.massless(p_t, eta, azimuth).astype(np.float32)
    check_momenta(light, pt_min_gev=22.0, eta_max=5.0)
    with pytest.raises(InputError, match="a mass"):
        check_momenta(light, massive=True)
    check_momenta(momenta, **CUTS)
    far = (k.delta_r(momenta) > 0.5).all(axis=-1)
    check_momenta(momenta[far], **CUTS, delta_r_min=0.5)
    first, count = int(np.argmin(far)), int((~far).sum())
    said = rf"to its nearest for \w+ of event {10 + first}, {count} of 2000"
    with pytest.raises(InputError, match=said):
        check_momenta(momenta, **CUTS, delta_r_min=0.5, first=10)
