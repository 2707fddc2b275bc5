"""Top pairs as jets: structure, and the fast selection against a slow one that is written
differently.
"""

import itertools
import json
import math

import h5py
import numpy as np
import pytest

pytest.importorskip("fastjet", reason="the extra [ttbar] is not installed")

from amplify.ttbar import jets, simulation
from amplify.ttbar import kinematics as k
from amplify.ttbar.jets import JetSettings
from experiments import ttbar_jets

SETTINGS = JetSettings(seed=11)
GENERATED = 300


@pytest.fixture(scope="module")
def stages():
    """Hadrons, jets and selected events of 300 generated events; about a second."""
    hadrons = list(jets.hadron_events(SETTINGS, 0, GENERATED))
    assert len(hadrons) == 1
    found = jets.find_jets(hadrons[0], SETTINGS)
    return hadrons[0], found, jets.select(found, SETTINGS)


def test_invariants(stages):
    _, _, chunk = stages
    p = chunk.momenta
    assert (
        p.shape[1:] == (6, 4)
        and p.dtype == np.float64
        and chunk.cut_flow[0] == GENERATED
        and len(p) == chunk.cut_flow[-1]
    )
    assert (np.diff(chunk.cut_flow) <= 0).all()
    # .607, .464 and .407 (ttbar.md); four standard deviations, false alarm 2e-4 in all
    for left, fraction in zip(chunk.cut_flow[1:], (0.607, 0.464, 0.407), strict=True):
        assert abs(left / GENERATED - fraction) < 4 * math.sqrt(
            fraction * (1 - fraction) / GENERATED
        )
    assert (
        (k.pt(p) > 22).all()
        and (np.abs(k.pseudorapidity(p)) < 5).all()
        and (k.delta_r(p) > 0.5).all()
        and (k.mass(p) > 0.1).all()
    )
    assert (k.pt(p[:, 1]) > k.pt(p[:, 2])).all() and (k.pt(p[:, 4]) > k.pt(p[:, 5])).all()
    assert 3 < np.median(k.mass(p)) < 15
    assert (chunk.columns["n_extra_jets"] >= 0).all() and 0.3 < (
        chunk.columns["n_extra_jets"] == 0
    ).mean() < 0.6


def test_chi2_and_order_against_brute_force(stages):
    """Event by event, permutation by permutation, in plain Python: the jets, their order, the chi^2
    and the cut flow.
    """
    hadrons, found, chunk = stages
    accepted, flow = 0, [0, 0, 0]
    for event in range(GENERATED):
        n = found.count[event]
        momenta = [list(map(float, p)) for p in found.momenta[event, :n]]
        if n < 6:
            continue
        flow[0] += 1
        tags = [_tags(p, hadrons, event) for p in momenta]
        assert [bool(t) for t in tags] == [bool(t) for t in found.tag[event, :n]]
        tagged = [i for i in range(n) if tags[i]]
        if len(tagged) != 2:
            continue
        flow[1] += 1
        if min(_distance(p, q) for p, q in itertools.combinations(momenta, 2)) <= 0.5:
            continue
        flow[2] += 1
        tagged.sort(key=lambda i: -math.hypot(*momenta[i][1:3]))
        if tags[tagged[0]] == {"bbar"} and tags[tagged[1]] == {"b"}:
            tagged.reverse()
        light = [i for i in range(n) if not tags[i]]
        best = min(itertools.permutations(light, 4), key=lambda c: (_chi2(momenta, tagged, c), c))
        pairs = [
            sorted(pair, key=lambda i: -math.hypot(*momenta[i][1:3]))
            for pair in (best[:2], best[2:])
        ]
        order = [tagged[0], *pairs[0], tagged[1], *pairs[1]]
        np.testing.assert_array_equal(chunk.momenta[accepted], [momenta[i] for i in order])
        np.testing.assert_allclose(
            chunk.columns["chi2"][accepted], _chi2(momenta, tagged, best), rtol=1e-5
        )
        assert chunk.columns["n_extra_jets"][accepted] == n - 6
        accepted += 1
    assert accepted == len(chunk.momenta) and flow == chunk.cut_flow[1:].tolist()


def _tags(jet, hadrons, event):
    mine = np.flatnonzero(hadrons.b_event == event)
    names = {jets._B: "b", jets._BBAR: "bbar"}
    return {
        names[int(hadrons.b_flavour[h])]
        for h in mine
        if _distance(jet, hadrons.b_hadrons[h].tolist()) < 0.3
    }


def _distance(p, q):
    (eta1, phi1), (eta2, phi2) = (
        (math.atanh(v[3] / math.hypot(*v[1:])), math.atan2(v[2], v[1])) for v in (p, q)
    )
    return math.hypot(eta1 - eta2, abs(math.remainder(phi1 - phi2, 2 * math.pi)))


def _chi2(momenta, tagged, choice):
    total = 0.0
    for b, pair in ((tagged[0], choice[:2]), (tagged[1], choice[2:])):
        for places, mass, width in ((pair, 80.4, 10.0), ((b, *pair), 172.5, 16.0)):
            energy, *vector = (sum(momenta[i][c] for i in places) for c in range(4))
            total += ((math.sqrt(energy**2 - sum(v * v for v in vector)) - mass) / width) ** 2
    return total


def test_particles_against_a_loop_over_pythias_own_record(stages):
    """The same 40 events with pythia.next(): visible momenta and weakly decaying b hadrons, by
    Pythia's own methods instead of digits and mothers.
    """
    hadrons, found, _ = stages
    pythia = simulation.started(
        jets.pythia_settings(SETTINGS), simulation.chunk_seed(SETTINGS.seed, 0)
    )
    import fastjet

    def heaviest(particle):
        """5 or -5 for hadrons with one b quark."""
        quark = pythia.particleData.heaviestQuark(particle.id()) if particle.isHadron() else 0
        return quark if abs(quark) == 5 and "55" not in str(particle.id()) else 0

    tagged = 0
    for event in range(40):
        assert pythia.next()
        visible, beauty = [], []
        for i in range(pythia.event.size()):
            particle = pythia.event[i]
            if particle.isFinal() and particle.isVisible():
                visible.append([particle.e(), particle.px(), particle.py(), particle.pz()])
            if heaviest(particle) and not any(
                heaviest(pythia.event[j]) for j in particle.daughterList()
            ):
                beauty.append((heaviest(particle), particle.e()))
        np.testing.assert_array_equal(hadrons.visible[hadrons.visible_event == event], visible)
        mine = hadrons.b_event == event
        signs = np.where(hadrons.b_flavour[mine] == jets._B, 5, -5)
        assert sorted(
            zip(signs.tolist(), hadrons.b_hadrons[mine, 0].tolist(), strict=True)
        ) == sorted(beauty)
        tagged += len(beauty)
        # jets of one event through FastJet's own classes
        pseudo = [fastjet.PseudoJet(px, py, pz, energy) for energy, px, py, pz in visible]
        cluster = fastjet._swig.ClusterSequence(
            pseudo, fastjet.JetDefinition(fastjet.antikt_algorithm, 0.4)
        )
        expected = [
            [j.E(), j.px(), j.py(), j.pz()]
            for j in fastjet.sorted_by_pt(cluster.inclusive_jets(22.0))
            if abs(j.eta()) < 5 and j.m() > 0.1
        ]
        np.testing.assert_allclose(
            found.momenta[event, : found.count[event]], np.reshape(expected, (-1, 4)), rtol=1e-12
        )
    assert tagged >= 80


def test_file_does_not_depend_on_workers(tmp_path):
    """60 events of chunks of 100: the bytes of the file, its columns, what it says of itself, and
    the record of it.
    """
    recipe = jets.recipe(SETTINGS, generated=100)
    one, two = (
        simulation.run(60, tmp_path / f"{workers}.h5", SETTINGS, recipe, workers=workers)
        for workers in (1, 2)
    )
    assert one.read_bytes() == two.read_bytes()
    with h5py.File(one) as file:
        momenta = file["momenta"][:]
        assert momenta.dtype == np.float64 and momenta.shape == (60, 6, 4)
        assert set(file["observables"]) == {*k.OBSERVABLES, "chi2", "n_extra_jets"}
        np.testing.assert_allclose(
            file["observables/m_t_gev"][:], k.mass(momenta[:, :3].sum(axis=1)), rtol=1e-6
        )
        assert file["observables/n_extra_jets"].dtype == np.int32
        flow, acceptance, settings = (
            json.loads(file.attrs[name]) for name in ("cut_flow", "acceptance", "settings")
        )
    assert tuple(flow) == tuple(acceptance) == jets.CUTS and flow["generated"] % 100 == 0
    assert (
        "PartonLevel:MPI=off" in settings["pythia"]
        and settings["radius"] == 0.4
        and "without" in settings["process"]
    )
    study = json.loads(ttbar_jets.main(one, tmp_path / "record.json", timed_events=20).read_text())[
        "study"
    ]
    fraction = flow["delta_r"] / flow["generated"]
    assert (
        study["cut_flow"]["delta_r"]["fraction"] == fraction
        and study["selections"]["all"]["events"] == 60
    )
    steps = study["cpu_ms_per_generated_event"]
    assert steps["total"] > 0 and steps["pythia_fsr"] > 0


def test_multiparton_interactions_change_the_events():
    with_mpi = SETTINGS._replace(mpi=True)
    assert (
        "PartonLevel:MPI=on" in jets.recipe(with_mpi).pythia
        and "with multi" in jets.recipe(with_mpi).process
    )
    (hadrons,) = jets.hadron_events(with_mpi, 0, 10)
    (without,) = jets.hadron_events(SETTINGS, 0, 10)
    assert len(hadrons.visible) > 1.2 * len(without.visible)
