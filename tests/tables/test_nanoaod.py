"""Files of the structure of CMS NanoAOD: trees of jagged branches with counters, flat ones,
triggers and generator weights of either sign.

The small file is written here. The real ones are opt-in, they come with the source of coffea:
    pip download --no-deps --no-binary :all: coffea && tar xf coffea-*.tar.gz
    AMPLIFY_NANOAOD=coffea-.../tests/samples pytest tests/test_nanoaod.py
"""

import json
import os
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from amplify.cli import main
from amplify.errors import InputError
from amplify.tables import files
from tests.commands.differential_files import fails

REAL = os.environ.get("AMPLIFY_NANOAOD")
real = pytest.mark.skipif(
    REAL is None,
    reason="set AMPLIFY_NANOAOD to tests/samples of the coffea sources: pip download --no-deps --no-binary :all: coffea",
)


@pytest.fixture(autouse=True)
def drawing_takes_a_second(monkeypatch):
    monkeypatch.setattr("amplify.report.page.write_page", lambda results, path: None)


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


def _nano(path, n=1500, seed=0):
    """Written in two steps: baskets as in a real file. The tree Runs beside it is of another
    kind.
    """
    rng = np.random.default_rng(seed)
    flat, fixed = _flat(rng, n), rng.normal(size=(n, 3)).astype(np.float32)
    counts = {name: rng.poisson(2, n) for name in ("Jet", "Muon")}
    jagged = {
        name: ak.zip(
            {
                field: ak.unflatten(rng.exponential(50, count.sum()).astype(np.float32), count)
                for field in ("pt", "mass")
            }
        )
        for name, count in counts.items()
    }
    with uproot.recreate(path) as file:
        types = {name: values.dtype for name, values in flat.items()} | {
            "PV_covariance": np.dtype(("f4", (3,)))
        }
        file.mktree("Events", types | {name: jagged[name].type.content for name in jagged})
        for part in (slice(0, n // 3), slice(n // 3, n)):
            file["Events"].extend(
                {
                    name: values[part]
                    for name, values in (flat | {"PV_covariance": fixed} | jagged).items()
                }
            )
        file.mktree("Runs", {"run": "u4", "genEventCount": "i8"})
        file["Runs"].extend({"run": np.array([1], np.uint32), "genEventCount": np.array([n])})
    return flat, fixed


def test_flat_branches_are_columns_and_jagged_ones_are_refused(tmp_path):
    flat, fixed = _nano(tmp_path / "nano.root")
    table = files.open_sample(f"{tmp_path / 'nano.root'}:Events")
    assert (
        set(flat) | {f"PV_covariance[{i}]" for i in range(3)} <= set(table.columns)
        and table.n == 1500
    )
    assert {"Jet_pt", "Jet_mass", "Muon_pt", "Muon_mass"} == set(table.refused)
    for name, values in flat.items():
        np.testing.assert_array_equal(
            files.load(files.select(table, [name])).x[:, 0], values.astype(np.float64)
        )
    selection = files.select(
        table, ["MET_pt", "px=MET_pt*cos(MET_phi)", "PV_covariance[2]", "HLT_IsoMu24"], "genWeight"
    )
    block, weight = next(files.chunks(selection))
    pt, phi = flat["MET_pt"].astype(np.float64), flat["MET_phi"].astype(np.float64)
    np.testing.assert_array_equal(
        block, np.stack([pt, pt * np.cos(phi), fixed[:, 2], flat["HLT_IsoMu24"]], axis=1)
    )
    np.testing.assert_array_equal(weight, flat["genWeight"].astype(np.float64))
    table.close()


def test_what_is_wrong_is_one_line_with_the_alternatives(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for m in range(2):
        _nano(f"m{m}.root", 50, m)
    two, n = ["averaging", "--members", "m0.root:Events", "m1.root:Events"], ["--n-train", "100"]
    for words, arguments in {
        "Events, Runs; give m0.root:TREE": ["averaging", "--members", "m0.root", "m1.root", *n],
        "jagged": [*two, *n],
        "MET_pt": [*two, *n, "--columns", "Jet_pt"],
        "flat ones of m0.root:Events: ": [*two, *n, "--columns", "Jet_pt"],
        "one number per event": [*two, *n, "--columns", "MET_pt", "--weight-column", "Jet_pt"],
        "no such column": [*two, *n, "--columns", "MET"],
    }.items():
        assert words in fails(capsys, *arguments), words
    assert not list(tmp_path.glob("**/results.json")) and not Path("amplify-runs").exists()


@pytest.mark.parametrize("how", ["expression", "element", "cut"])
def test_jagged_branches_in_formulas_are_refused_as_such(how, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for m in range(2):
        _nano(f"m{m}.root", 50, m)
    Path("cuts.yaml").write_text("hard: Jet_pt > 30\n")
    more = {
        "expression": ["--columns", "2*Jet_pt"],
        "element": ["--columns", "Jet_pt[0]"],
        "cut": ["--columns", "MET_pt", "--regions", "cuts.yaml"],
    }[how]
    assert "jagged" in fails(
        capsys,
        "averaging",
        "--members",
        "m0.root:Events",
        "m1.root:Events",
        "--n-train",
        "100",
        *more,
    )


def test_averaging_honours_generator_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    samples = [_nano(f"m{m}.root", 4000, m)[0] for m in range(4)]
    Path("cuts.yaml").write_text("hard: MET_pt > 40 and HLT_IsoMu24 == 1\nall pv: PV_npvs >= 1\n")
    given = ["--columns", "MET_pt", "--regions", "cuts.yaml", "--weight-column", "genWeight"]
    main(
        [
            "averaging",
            "--members",
            *[f"m{m}.root:Events" for m in range(4)],
            "--n-train",
            "1000",
            *given,
            "--out",
            "run",
        ]
    )
    results = json.loads(Path("run/results.json").read_text())
    shares = [
        s["genWeight"].astype(float)
        @ ((s["MET_pt"] > 40) & s["HLT_IsoMu24"])
        / s["genWeight"].sum(dtype=float)
        for s in samples
    ]
    assert results["estimates"][0]["integral"] == pytest.approx(
        np.mean(shares), rel=1e-12
    ) and results["estimates"][1]["integral"] == pytest.approx(1)
    assert sum("negative weights" in warning for warning in results["warnings"]) == 1


def test_differential_honours_generator_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _nano("gen.root", 3000, 1), _nano("true.root", 1000, 2)
    given = ["--columns", "MET_pt", "--summary", "column:MET_pt", "--weight-column", "genWeight"]
    main(
        [
            "differential",
            "--generated",
            "gen.root:Events",
            "--holdout",
            "true.root:Events",
            "--n-train",
            "1000",
            *given,
            "--out",
            "run",
        ]
    )
    results = json.loads(Path("run/results.json").read_text())
    assert 300 < results["estimates"][0]["n_holdout_region"] < 700 and any(
        "negative weights" in warning for warning in results["warnings"]
    )


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
    found = []
    for source in ("nano_dy.root:Events", "nano_dy.parquet", "nano_dy_rntuple.root"):
        table = files.open_sample(f"{REAL}/{source}")
        found.append(files.load(files.select(table, ["MET_pt", "MET_phi", "PV_npvs"], "genWeight")))
        table.close()
        assert (found[-1].weight < 0).sum() == 9 and len(found[-1].x) == 40
        np.testing.assert_array_equal(found[-1].x, found[0].x)
        np.testing.assert_array_equal(found[-1].weight, found[0].weight)


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
    (tmp_path / "cuts.yaml").write_text("hard: MET_pt > 20\n")
    members = [f"{REAL}/nano_dy.root:Events", str(tmp_path / "a.parquet")]
    given = [
        "--columns",
        "MET_pt",
        "--weight-column",
        "genWeight",
        "--regions",
        str(tmp_path / "cuts.yaml"),
    ]
    main(
        [
            "averaging",
            "--members",
            *members,
            "--n-train",
            "1000",
            *given,
            "--out",
            str(tmp_path / "av"),
        ]
    )
    given = ["--columns", "MET_pt", "--weight-column", "genWeight", "--summary", "column:MET_pt"]
    main(
        [
            "differential",
            "--generated",
            f"{REAL}/nano_tt_v15.root:Events",
            "--holdout",
            members[0],
            "--n-train",
            "1000",
            *given[:-2],
            "--summary",
            "column:PV_npvs",
            "--columns",
            "PV_npvs",
            "--out",
            str(tmp_path / "d"),
        ]
    )
    for name in ("av", "d"):
        results = json.loads((tmp_path / name / "results.json").read_text())
        assert any("negative weights" in warning for warning in results["warnings"])
