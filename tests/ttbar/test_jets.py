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

from amplify.ttbar import jets, pythia, simulation
from amplify.ttbar import kinematics as k
from amplify.ttbar.hadrons import BBAR, B
from amplify.ttbar.jets import JetSettings
from experiments import ttbar_jets

SETTINGS = JetSettings(seed=11)
GENERATED = 300


@pytest.fixture(scope="module")
def stages():
    """Hadrons, jets and selected events of 300 generated events; about a second."""
    (hadrons,) = jets.hadron_events(SETTINGS, 0, GENERATED)
    all_jets = jets.find_jets(hadrons, SETTINGS)
    return hadrons, all_jets, jets.select(all_jets, SETTINGS)


def test_invariants(stages):
    _, _, chunk = stages
    p = chunk.momenta
    assert p.shape[1:] == (6, 4) and p.dtype == np.float64
    assert chunk.cut_flow[0] == GENERATED and len(p) == chunk.cut_flow[-1]
    assert (np.diff(chunk.cut_flow) <= 0).all()
    # .607, .464 and .407 (docs/top_pairs, Events); four standard deviations, false alarm 2e-4
    for left, fraction in zip(chunk.cut_flow[1:], (0.607, 0.464, 0.407), strict=True):
        error = math.sqrt(fraction * (1 - fraction) / GENERATED)
        assert abs(left / GENERATED - fraction) < 4 * error
    assert k.passes(p, pt_min_gev=22, eta_max=5, delta_r_min=0.5).all() and (k.mass(p) > 0.1).all()
    assert (k.pt(p[:, 1]) > k.pt(p[:, 2])).all() and (k.pt(p[:, 4]) > k.pt(p[:, 5])).all()
    assert 3 < np.median(k.mass(p)) < 15
    n_extra_jets = chunk.columns["n_extra_jets"]
    assert (n_extra_jets >= 0).all() and 0.3 < (n_extra_jets == 0).mean() < 0.6


def test_chi2_and_order_against_brute_force(stages):
    """Event by event, permutation by permutation, in plain Python: the jets, their order, the chi^2
    and the cut flow.
    """
    hadrons, all_jets, chunk = stages
    accepted, flow = 0, [0, 0, 0]
    for event in range(GENERATED):
        n = all_jets.count[event]
        momenta = [list(map(float, p)) for p in all_jets.momenta[event, :n]]
        if n < 6:
            continue
        flow[0] += 1
        tags = [_tags(p, hadrons, event) for p in momenta]
        bits = {frozenset(): 0, frozenset({"b"}): B, frozenset({"bbar"}): BBAR}
        bits[frozenset({"b", "bbar"})] = B | BBAR
        assert [bits[frozenset(names)] for names in tags] == all_jets.tag[event, :n].tolist()
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
        w_plus, w_minus = (
            sorted(pair, key=lambda i: -math.hypot(*momenta[i][1:3]))
            for pair in (best[:2], best[2:])
        )
        order = [tagged[0], *w_plus, tagged[1], *w_minus]
        np.testing.assert_array_equal(chunk.momenta[accepted], [momenta[i] for i in order])
        chi2 = _chi2(momenta, tagged, best)
        np.testing.assert_allclose(chunk.columns["chi2"][accepted], chi2, rtol=1e-5)
        assert chunk.columns["n_extra_jets"][accepted] == n - 6
        accepted += 1
    assert accepted == len(chunk.momenta) and flow == chunk.cut_flow[1:].tolist()


def _tags(jet, hadrons, event):
    mine = np.flatnonzero(hadrons.b_event == event)
    names = {B: "b", BBAR: "bbar"}
    return {
        names[int(hadrons.b_flavour[h])]
        for h in mine
        if _distance(jet, hadrons.b_hadrons[h].tolist()) < 0.3
    }


def _distance(p, q):
    eta1, eta2 = (math.atanh(v[3] / math.hypot(*v[1:])) for v in (p, q))
    phi1, phi2 = (math.atan2(v[2], v[1]) for v in (p, q))
    return math.hypot(eta1 - eta2, math.remainder(phi1 - phi2, 2 * math.pi))


def _chi2(momenta, tagged, choice):
    total = 0.0
    for b, pair in ((tagged[0], choice[:2]), (tagged[1], choice[2:])):
        for places, mass, width in ((pair, 80.4, 10.0), ((b, *pair), 172.5, 16.0)):
            energy, *vector = (sum(momenta[i][c] for i in places) for c in range(4))
            total += ((math.sqrt(energy**2 - sum(v * v for v in vector)) - mass) / width) ** 2
    return total


def test_particles_against_a_loop_over_pythias_own_record(stages):
    """The same 40 events with generator.next(): visible momenta and weakly decaying b hadrons, by
    Pythia's own methods instead of digits and mothers.
    """
    import fastjet

    hadrons, all_jets, _ = stages
    seed = pythia.chunk_seed(SETTINGS.seed, 0)
    generator = pythia.started(jets.pythia_settings(SETTINGS), seed)

    def heaviest(particle):
        """5 or -5 for hadrons with one b quark."""
        quark = generator.particleData.heaviestQuark(particle.id()) if particle.isHadron() else 0
        return quark if abs(quark) == 5 and "55" not in str(particle.id()) else 0

    tagged = 0
    for event in range(40):
        assert generator.next()
        visible, beauty = [], []
        for i in range(generator.event.size()):
            particle = generator.event[i]
            if particle.isFinal() and particle.isVisible():
                visible.append([particle.e(), particle.px(), particle.py(), particle.pz()])
            daughters = (generator.event[j] for j in particle.daughterList())
            if heaviest(particle) and not any(map(heaviest, daughters)):
                beauty.append((heaviest(particle), particle.e()))
        np.testing.assert_array_equal(hadrons.visible[hadrons.visible_event == event], visible)
        mine = hadrons.b_event == event
        quarks = np.where(hadrons.b_flavour[mine] == B, 5, -5).tolist()
        energies = hadrons.b_hadrons[mine, 0].tolist()
        assert sorted(zip(quarks, energies, strict=True)) == sorted(beauty)
        tagged += len(beauty)
        # jets of one event through FastJet's own classes
        pseudo = [fastjet.PseudoJet(px, py, pz, energy) for energy, px, py, pz in visible]
        definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 0.4)
        cluster = fastjet._swig.ClusterSequence(pseudo, definition)
        expected = [
            [j.E(), j.px(), j.py(), j.pz()]
            for j in fastjet.sorted_by_pt(cluster.inclusive_jets(22.0))
            if abs(j.eta()) < 5 and j.m() > 0.1
        ]
        momenta = all_jets.momenta[event, : all_jets.count[event]]
        np.testing.assert_allclose(momenta, np.reshape(expected, (-1, 4)), rtol=1e-12)
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
        m_t = k.mass(momenta[:, :3].sum(axis=1))
        np.testing.assert_allclose(file["observables/m_t_gev"][:], m_t, rtol=1e-6)
        assert file["observables/n_extra_jets"].dtype == np.int32
        flow, acceptance, settings = (
            json.loads(file.attrs[name]) for name in ("cut_flow", "acceptance", "settings")
        )
    assert tuple(flow) == tuple(acceptance) == jets.CUTS and flow["generated"] % 100 == 0
    assert "PartonLevel:MPI=off" in settings["pythia"] and settings["radius"] == 0.4
    assert "without" in settings["process"]
    record = ttbar_jets.main(one, tmp_path / "record.json", timed_events=20)
    study = json.loads(record.read_text())["study"]
    fraction = flow["delta_r"] / flow["generated"]
    assert study["cut_flow"]["delta_r"]["fraction"] == fraction
    assert study["selections"]["all"]["events"] == 60
    steps = study["cpu_ms_per_generated_event"]
    assert steps["total"] > 0 and steps["pythia_fsr"] > 0


def test_multiparton_interactions_change_the_events():
    with_mpi = SETTINGS._replace(mpi=True)
    recipe = jets.recipe(with_mpi)
    assert "PartonLevel:MPI=on" in recipe.pythia and "with multi" in recipe.process
    (hadrons,) = jets.hadron_events(with_mpi, 0, 10)
    (without,) = jets.hadron_events(SETTINGS, 0, 10)
    assert len(hadrons.visible) > 1.2 * len(without.visible)
