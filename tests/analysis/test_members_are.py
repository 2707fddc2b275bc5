"""Results say how members of the user's kind fared where truth is known, and carry that."""

import json

import numpy as np
import pytest

import amplify
from amplify.cli import main
from amplify.errors import InputError
from amplify.estimators.averaging import averaging_amplification
from amplify.report.methods import methods_paragraph
from amplify.results.calibration import found, transfer


@pytest.fixture(scope="module")
def members():
    rng = np.random.default_rng(0)
    return [rng.normal(0.03 * rng.normal(), 1, (20_000, 1)) for _ in range(8)]


def test_bootstraps_carry_the_transfer_in_their_intervals(members):
    plain = amplify.averaging(members, n_train=1000, bins=2)
    known = amplify.averaging(members, n_train=1000, bins=2, members_are="bootstrap")
    assert known.settings["members_are"] == "bootstrap" and plain.settings["members_are"] is None
    assert known.views["members_are"]["verdict"] == found("bootstrap").verdict
    assert found("bootstrap").verdict in str(known) and not known.warnings
    said = methods_paragraph(known.to_dict()), methods_paragraph(plain.to_dict())
    assert f"deviation of {transfer('bootstrap')}" in said[0] and "2 tau^2" not in said[1]
    for a, b in zip(plain.records, known.records, strict=True):
        (low, high), (lower, higher) = a["n_equiv_interval"], b["n_equiv_interval"]
        assert lower < low < high < higher and a["n_equiv"] == b["n_equiv"]


def test_members_of_the_same_data_earn_a_warning(members, tmp_path):
    for m, x in enumerate(members):
        np.save(tmp_path / f"m{m}.npy", x)
    files = [str(tmp_path / f"m{m}.npy") for m in range(len(members))]
    options = ["--n-train", "1000", "--bins", "2", "--members-are", "same-data"]
    main(["averaging", "--members", *files, *options, "--out", str(tmp_path / "out")])
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found("same-data").verdict in results["warnings"]
    assert results["members_are"]["kind"] == results["settings"]["members_are"] == "same-data"
    page = (tmp_path / "out" / "report.html").read_text()
    assert found("same-data").verdict in page


def test_an_unknown_kind_is_refused(members):
    with pytest.raises(InputError, match="members_are: expected one of bootstrap"):
        amplify.averaging(members, n_train=1000, bins=2, members_are="twins")


def test_intervals_with_a_transfer_cover_a_spread_that_is_off_by_it():
    """3000 regions whose members claim exp(.3 z) times their sigma: at 68 %, .56 without the
    transfer. The bounds are five standard errors.
    """
    rng = np.random.default_rng(3)
    regions, sigma = 3000, 0.005
    factor = sigma * np.exp(0.3 * rng.normal(size=regions))
    members = 0.2 + factor * rng.normal(size=(8, regions))
    true = 0.2 * 0.8 / sigma**2

    def covered(tau: float) -> float:
        n_equiv = averaging_amplification(members, n_train=1000, transfer=tau).n_equiv
        return float(((n_equiv.low <= true) & (true <= n_equiv.high)).mean())

    assert covered(0.3) == pytest.approx(0.68, abs=5 * 0.0085)
    assert covered(0.0) < 0.6
    assert transfer("bootstrap") < 0.3
    with pytest.raises(InputError, match="transfer: expected at least 0"):
        averaging_amplification(members, n_train=1000, transfer=-1.0)
