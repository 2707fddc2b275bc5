"""`amplify averaging` as a user meets it: files of members to verdict."""

import html
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from amplify.cli import main
from tests.commands.samples import KEYS, averaging_call, read, run_averaging


def _members(directory, *, count=8, n=20_000):
    """Generated samples of `count` members: Gaussians whose mean scatters as a fit to 1000 events
    does.
    """
    rng = np.random.default_rng(0)
    paths = []
    for m in range(count):
        x = rng.normal(size=(n, 2)) + rng.normal(size=2) / np.sqrt(1000)
        paths.append(directory / f"gen_{m}.npy")
        np.save(paths[-1], x.astype(np.float32))
    return list(map(str, paths))


@pytest.mark.usefixtures("page")
def test_averaging_from_files_to_page(tmp_path, capsys):
    members, out = _members(tmp_path), tmp_path / "run"
    np.save(tmp_path / "holdout.npy", np.random.default_rng(9).normal(size=(50_000, 2)))
    more = ("--bins 4 --json - --holdout", tmp_path / "holdout.npy", "--out", out)
    main(averaging_call(members, *more))
    captured = capsys.readouterr()
    results = json.loads(captured.out)
    assert results == read(out) and results["schema"] == "amplify/1"
    assert len(results["estimates"]) == 8 and len(results["inputs"]) == 9
    e = results["estimates"][0]
    assert set(KEYS.split()) <= set(e) and e["region"].startswith("x0 < ")
    assert (e["n_gen"], e["n_holdout"], e["members"]) == (20_000, 50_000, 8)
    for e in results["estimates"]:
        if e["status"] == "resolved":
            low, high = e["amplification_interval"]
            assert low <= e["amplification"] <= high
            assert e["n_equiv"] == pytest.approx(1000 * e["amplification"])
    page = (out / "report.html").read_text()
    assert "<svg" in page and html.escape(e["region"]) in page
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)
    assert "G" in captured.err and "report.html" in captured.err


def test_averaging_recovers_the_known_amplification(tmp_path):
    """Members whose mean scatters like a fit to 1000 events: with 40 members G = I (1 - I) / (n
    phi(edge)^2 / n); chi^2 width 23 %, four sigma allowed.
    """
    regions = tmp_path / "regions.json"
    cuts = {"right": {"x0": [0, None]}, "corner": {"x0": [0, None], "x1": [0, None]}}
    regions.write_text(json.dumps(cuts))
    members = _members(tmp_path, count=40, n=100_000)
    results = run_averaging(tmp_path / "run", members, "--regions", regions)
    right, corner = results["estimates"]
    assert right["region"] == "right" and right["status"] == "resolved"
    assert abs(np.log(right["amplification"] / (np.pi / 2))) < 0.92
    in_corner = 3 / 16 / (2 * (0.3989 / 2) ** 2)
    assert abs(np.log(corner["amplification"] / in_corner)) < 0.92


def test_a_shifted_holdout_is_a_bias(tmp_path):
    holdout = np.random.default_rng(9).normal(loc=(0.3, 0.0), size=(100_000, 2))
    np.save(tmp_path / "holdout.npy", holdout)
    members = _members(tmp_path, n=50_000)
    more = ("--bins 3 --columns x0 --holdout", tmp_path / "holdout.npy")
    estimates = run_averaging(tmp_path / "run", members, *more)["estimates"]
    for e in estimates[::2]:
        assert e["status"] == "biased" and e["amplification"] < 0.2 < e["n_equiv_precision"] / 1000
    assert "bias" in estimates[0]["verdict"]


def test_what_only_the_holdout_has_is_a_bias(elsewhere):
    """Members never generate a mode that holds 7 % of the truth; and they generate 5 % where the
    truth has nothing.
    """
    rng = np.random.default_rng(4)
    members = [f"m{m}.npy" for m in range(8)]
    for name in members:
        x = rng.normal(rng.normal() / 30, 1, 20_000)
        x[:1000] = 50 + rng.normal(size=1000)
        np.save(name, x)
    np.save("test.npy", np.concatenate([rng.normal(size=9300), rng.normal(-50, 1, 700)]))
    cuts = "missing: x0 < -30\nextra: x0 > 30\nhalf: x0 > 0 and x0 < 30"
    Path("cuts.yaml").write_text(cuts)
    named = run_averaging(Path("named"), members, "--holdout test.npy --regions cuts.yaml")
    for e in named["estimates"][:2]:
        assert e["status"] == "biased" and e["amplification"] < 0.1
    default = run_averaging(Path("default"), members, "--holdout test.npy")
    first = default["estimates"][0]
    assert first["region"].startswith("x0 <") and first["status"] == "biased"


def test_single_and_double_precision_agree_on_values_that_recur(elsewhere):
    """Multiples of .1: .7 in single precision is less than .7."""
    rng = np.random.default_rng(5)
    members = [f"m{m}.npy" for m in range(4)]
    for name in members:
        np.save(name, (rng.integers(0, 10, (20_000, 1)) / 10).astype(np.float32))
    np.save("test.npy", rng.integers(0, 10, (20_000, 1)) / 10)
    results = run_averaging(Path("run"), members, "--holdout test.npy")
    assert all(abs(e["pull"]) < 4 for e in results["estimates"])


def test_weighted_hdf5_members(tmp_path):
    """Reweighted to a shifted mean."""
    rng = np.random.default_rng(3)
    members = []
    for m in range(8):
        path = tmp_path / f"m{m}.h5"
        x, mean = rng.normal(size=30_000), rng.normal() / np.sqrt(1000)
        with h5py.File(path, "w") as file:
            file["gen/pt_gev"], file["gen/w"] = x, np.exp(x * mean - mean**2 / 2)
        members.append(f"{path}:gen")
    results = run_averaging(tmp_path / "run", members, "--bins 2 --weight-column w")
    assert results["inputs"][0]["weighted"] and results["inputs"][0]["columns"] == ["pt_gev"]
    assert 0.5 < results["estimates"][0]["amplification"] < 5


def test_region_with_too_few_events_is_reported_not_hidden(tmp_path):
    regions = tmp_path / "regions.json"
    regions.write_text('{"tail": {"x0": [3.0, null]}, "half": {"x0": [0, null]}}')
    results = run_averaging(tmp_path / "run", _members(tmp_path), "--regions", regions)
    tail, half = results["estimates"]
    assert tail["status"] == "unresolved" and "too few" in tail["verdict"]
    assert half["status"] != "unresolved"


@pytest.mark.usefixtures("page")
def test_column_names_are_escaped_on_the_page(tmp_path):
    rng = np.random.default_rng(0)
    members = [str(tmp_path / f"m{m}.npz") for m in range(3)]
    for path in members:
        names = ("<script>alert(1)</script>", "b")
        np.savez(path, **{name: rng.normal(size=5000) for name in names})
    run_averaging(tmp_path / "run", members, "--bins 2", n_train=100)
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("<script") == 1  # the page's own
    assert "alert(1)</script>" not in page and "&lt;script&gt;" in page


def test_events_may_be_counted_in_powers_of_ten(tmp_path):
    members = _members(tmp_path, count=2, n=500)
    results = run_averaging(tmp_path / "run", members, "--bins 2", n_train="1e3")
    assert results["estimates"][0]["n_train"] == 1000


@pytest.mark.usefixtures("page")
def test_report_draws_the_page_again(tmp_path):
    run_averaging(tmp_path / "run", _members(tmp_path, count=3), "--bins 2")
    path = tmp_path / "run" / "report.html"
    first = path.read_text()
    path.unlink()
    main(["report", str(tmp_path / "run" / "results.json")])
    assert path.read_text() == first


def test_nothing_is_overwritten(tmp_path):
    """See also the cases of `bad_inputs`: whatever is there stays."""
    out = tmp_path / "run"
    out.mkdir()
    (out / "results.json").write_text("precious")
    members = _members(tmp_path, count=2, n=500)
    with pytest.raises(SystemExit):
        run_averaging(out, members)
    assert [path.name for path in out.iterdir()] == ["results.json"]
    assert (out / "results.json").read_text() == "precious"
