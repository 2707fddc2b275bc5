"""What a report says of the user's kind of members."""

import pytest

from amplify.errors import InputError
from amplify.results import calibration
from amplify.results.calibration import checked_kind, found, noted, said, said_of_kind, transfer


def test_ratios_of_sigma_become_factors_of_g():
    """Sigma claimed a half to a quarter of the actual one: G claimed 4 to 16 times too much."""
    of_kind = said("same-data", {"bulk": [0.5, 0.25, 0.4], "tail": [0.3, 0.6, 0.5]})
    assert "claimed 4 to 16 times too much on all three problems" in of_kind.verdict
    assert "in tails 0.3 to 0.6 times the actual error" in of_kind.verdict
    assert "docs/calibration" in of_kind.verdict and not of_kind.trusted
    wide = said("variational", {"bulk": [1.6, 2.0], "tail": [1.0, 3.0]})
    assert "claimed 2.6 to 4 times too little on both problems" in wide.verdict
    assert not wide.trusted


def test_what_is_close_to_one_is_trusted_and_what_nobody_studied_is_not():
    near = said("bootstrap", {"bulk": [0.9, 1.2], "tail": [0.8, 1.3]})
    assert near.trusted and "0.9 to 1.2 times the actual error on both problems" in near.verdict
    assert not said("dropout", None).trusted


def test_every_kind_has_a_sentence_and_bootstraps_are_trusted():
    for kind in calibration.NAMES:
        assert found(kind).verdict.startswith(calibration.NAMES[kind][0].upper())
    assert found("bootstrap").trusted and not found("same-data").trusted


def test_a_trusted_kind_is_a_note_and_another_a_warning():
    views, cautions = noted("bootstrap")
    assert not cautions and said_of_kind(views) == f"{found('bootstrap').verdict}."
    views, cautions = noted("same-data")
    assert cautions == [found("same-data").verdict] and said_of_kind(views) == ""
    assert noted(None) == ({}, []) and said_of_kind({}) == ""


def test_kinds_are_those_of_ensembles():
    assert checked_kind("same data") == "same-data" and checked_kind("") is None
    with pytest.raises(InputError, match="one of bootstrap, same-data"):
        checked_kind("twins")
    assert transfer("bootstrap") == calibration.table()["transfer"] > 0
    assert transfer("same-data") == transfer(None) == 0
