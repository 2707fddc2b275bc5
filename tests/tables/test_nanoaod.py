"""Files of the structure of CMS NanoAOD: trees of jagged branches with counters, flat ones,
triggers and generator weights of either sign.

The small file is written here. The real ones are opt-in, they come with the source of coffea:
    pip download --no-deps --no-binary :all: coffea && tar xf coffea-*.tar.gz
    AMPLIFY_NANOAOD=coffea-.../tests/samples pytest tests/tables/test_nanoaod.py
"""

import os
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from amplify.errors import InputError
from amplify.tables import files
from tests.commands.samples import averaging_call, fails, run_averaging, run_differential

REAL = os.environ.get("AMPLIFY_NANOAOD")
real = pytest.mark.skipif(REAL is None, reason="opt-in: see the head of this file")
pytestmark = pytest.mark.usefixtures("no_page")
EVENTS = ["m0.root:Events", "m1.root:Events"]


@pytest.fixture
def two_members(tmp_path, monkeypatch):
    """A working directory with two small files."""
    monkeypatch.chdir(tmp_path)
    for m in range(2):
        _nano(f"m{m}.root", 50, m)
    return tmp_path


def _flat(rng, n):
    return {
        "run": np.full(n, 1, np.uint32),
        "event": np.arange(n, dtype=np.uint64) + (1 << 40),
        "MET_pt": rng.exponential(40, n).astype(np.float32),
        "MET_phi": rng.uniform(-np.pi, np.pi, n).astype(np.float32),
        "HTXS_Higgs_pt": rng.exponential(30, n).astype(np.float32),
        "PV_npvs": rng.integers(1, 60, n).astype(np.int32),
        "HLT_IsoMu24": rng.random(n) < 0.3,
        "genWeight": (2.5e4 * np.where(rng.random(n) < 0.15, -1, 1)).astype(np.float32),
    }


def _unflattened(rng, counts):
    return ak.unflatten(rng.exponential(50, counts.sum()).astype(np.float32), counts)


def _nano(path, n=1500, seed=0):
    """Written in two steps: baskets as in a real file. The tree Runs beside it is of another
    kind.
    """
    rng = np.random.default_rng(seed)
    flat, fixed = _flat(rng, n), rng.normal(size=(n, 3)).astype(np.float32)
    counts = {name: rng.poisson(2, n) for name in ("Jet", "Muon")}
    jagged = {
        name: ak.zip({field: _unflattened(rng, count) for field in ("pt", "mass")})
        for name, count in counts.items()
    }
    with uproot.recreate(path) as file:
        types = {name: values.dtype for name, values in flat.items()}
        types["PV_covariance"] = np.dtype(("f4", (3,)))
        types |= {name: values.type.content for name, values in jagged.items()}
        file.mktree("Events", types)
        branches = flat | {"PV_covariance": fixed} | jagged
        for rows in (slice(0, n // 3), slice(n // 3, n)):
            file["Events"].extend({name: values[rows] for name, values in branches.items()})
        file.mktree("Runs", {"run": "u4", "genEventCount": "i8"})
        file["Runs"].extend({"run": np.array([1], np.uint32), "genEventCount": np.array([n])})
    return flat, fixed


def test_flat_branches_are_columns_and_jagged_ones_are_refused(tmp_path):
    flat, fixed = _nano(tmp_path / "nano.root")
    table = files.open_sample(f"{tmp_path / 'nano.root'}:Events")
    assert set(flat) | {f"PV_covariance[{i}]" for i in range(3)} <= set(table.columns)
    assert table.n == 1500
    assert {"Jet_pt", "Jet_mass", "Muon_pt", "Muon_mass"} == set(table.refused)
    for name, values in flat.items():
        read = files.load(files.select(table, [name])).x[:, 0]
        np.testing.assert_array_equal(read, values.astype(np.float64))
    columns = ["MET_pt", "px=MET_pt*cos(MET_phi)", "PV_covariance[2]", "HLT_IsoMu24"]
    selection = files.select(table, columns, "genWeight")
    block, weight = next(files.chunks(selection))
    pt, phi = flat["MET_pt"].astype(np.float64), flat["MET_phi"].astype(np.float64)
    expected = np.stack([pt, pt * np.cos(phi), fixed[:, 2], flat["HLT_IsoMu24"]], axis=1)
    np.testing.assert_array_equal(block, expected)
    np.testing.assert_array_equal(weight, flat["genWeight"].astype(np.float64))
    table.close()


@pytest.mark.parametrize(
    ("members", "more", "words"),
    [
        (["m0.root", "m1.root"], "", "Events, Runs; give m0.root:TREE"),
        (EVENTS, "", "jagged"),
        (EVENTS, "", "or make one number of others, as sum(Jet"),
        (EVENTS, "--columns Jet_pt", "make one of them: sum(Jet_pt), max"),
        (EVENTS, "--columns MET_pt --weight-column Jet_pt", "one number per event"),
        (EVENTS, "--columns MET", "no such column"),
        (EVENTS, "--columns 2*Jet_pt", "sum(2*Jet_pt)"),
        (EVENTS, "--columns Jet_pt[0]", "write at(Jet_pt, 0, -1)"),
        (EVENTS, "--columns MET_pt --regions cuts.yaml", "any(Jet_pt > 30)"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_alternatives(members, more, words, two_members, capsys):
    Path("cuts.yaml").write_text("hard: Jet_pt > 30\n")
    assert words in fails(capsys, *averaging_call(members, more))
    assert not list(two_members.glob("**/results.json")) and not Path("amplify-runs").exists()


def test_averaging_honours_generator_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    samples = [_nano(f"m{m}.root", 4000, m)[0] for m in range(4)]
    Path("cuts.yaml").write_text("hard: MET_pt > 40 and HLT_IsoMu24 == 1\nall pv: PV_npvs >= 1\n")
    members = [f"m{m}.root:Events" for m in range(4)]
    more = "--columns MET_pt --regions cuts.yaml --weight-column genWeight"
    results = run_averaging(Path("run"), members, more)
    hard, every_event = (e["integral"] for e in results["estimates"])
    shares = []
    for sample in samples:
        weight = sample["genWeight"].astype(float)
        inside = (sample["MET_pt"] > 40) & sample["HLT_IsoMu24"]
        shares.append(weight @ inside / weight.sum())
    assert hard == pytest.approx(np.mean(shares), rel=1e-12) and every_event == pytest.approx(1)
    assert sum("negative weights" in warning for warning in results["warnings"]) == 1


def test_differential_honours_generator_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _nano("gen.root", 3000, 1)
    _nano("true.root", 1000, 2)
    more = "--columns MET_pt --summary column:MET_pt --weight-column genWeight"
    results = run_differential(Path("run"), "gen.root:Events", "true.root:Events", more)
    assert 300 < results["estimates"][0]["n_holdout_region"] < 700
    assert any("negative weights" in warning for warning in results["warnings"])


# the real ones


@real
@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("nano_dy.root", 40),
        ("nano_tt_v15.root", 200),
        ("nano_dimuon.root", 40),
        ("nano_tt_v12.root", None),
    ],
)
def test_real_trees_are_read_as_uproot_reads_them(name, n):
    table = files.open_sample(f"{REAL}/{name}:Events")
    assert n is None or table.n == n
    assert table.refused and all("jagged" in reason for reason in table.refused.values())
    columns = [c for c in table.columns if not c.startswith(("HLT", "L1"))]
    with uproot.open(f"{REAL}/{name}") as file:
        expected = file["Events"].arrays(columns, library="np")
    for column, values in zip(columns, table.read(0, table.n, columns), strict=True):
        np.testing.assert_array_equal(values, expected[column])
    with pytest.raises(InputError, match="jagged"):
        files.select(table)
    table.close()


@real
def test_real_formats_agree_and_weights_are_honoured():
    first = None
    for source in ("nano_dy.root:Events", "nano_dy.parquet", "nano_dy_rntuple.root"):
        table = files.open_sample(f"{REAL}/{source}")
        events = files.load(files.select(table, ["MET_pt", "MET_phi", "PV_npvs"], "genWeight"))
        table.close()
        first = first or events
        assert (events.weight < 0).sum() == 9 and len(events.x) == 40
        np.testing.assert_array_equal(events.x, first.x)
        np.testing.assert_array_equal(events.weight, first.weight)


@real
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nano_dy_empty.root:Events", "at least one event"),
        ("nano_dy_malformed.parquet", "expected"),
        ("nano_dy.root", "Events, Runs"),
    ],
)
def test_real_broken_files_are_one_line(name, words):
    with pytest.raises(InputError) as caught:
        files.open_sample(f"{REAL}/{name}")
    assert words in str(caught.value) and "\n" not in str(caught.value)


@real
def test_commands_run_on_real_files(tmp_path):
    """Halves of the file as members, in parquet and root: with forty events nothing is resolved,
    and nothing breaks.
    """
    table = pq.read_table(f"{REAL}/nano_dy.parquet", columns=["MET_pt", "genWeight"])
    pq.write_table(table.slice(0, 20), tmp_path / "a.parquet")
    regions = tmp_path / "cuts.yaml"
    regions.write_text("hard: MET_pt > 20\n")
    members = [f"{REAL}/nano_dy.root:Events", str(tmp_path / "a.parquet")]
    more = ("--columns MET_pt --weight-column genWeight --regions", regions)
    averaging = run_averaging(tmp_path / "averaging", members, *more)
    samples = f"{REAL}/nano_tt_v15.root:Events", members[0]
    more = "--columns PV_npvs --weight-column genWeight --summary column:PV_npvs"
    differential = run_differential(tmp_path / "differential", *samples, more)
    for results in (averaging, differential):
        assert any("negative weights" in warning for warning in results["warnings"])
