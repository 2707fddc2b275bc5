"""The study of copied training events, in small, and what was recorded of it."""

from amplify.results.records import read_json
from experiments import copies
from paper_figures import recorded


def test_copies_are_told_from_honest_generators(tmp_path):
    found = read_json(copies.main("smoke", tmp_path))["study"]
    flagged = {name: case["flagged"] for name, case in found["flagged"]["banana"].items()}
    assert flagged["bootstrap"] == flagged["narrow kernels"] == 1
    honest = ("true events", "too narrow", "half lost", "Gaussian", "mixture of Gaussians")
    assert not any(flagged[name] for name in honest)
    best, narrow = found["widths"]["banana"]
    assert best["share"] < narrow["share"] and best["width"] == 1
    assert found["local"]["runs"] == 2
    # finished parts are not computed again
    assert read_json(copies.main("smoke", tmp_path))["study"] == found


def test_what_was_recorded_is_what_is_asked_for():
    """Copies are named in 99 % of the runs, honest generators in 1 %; places at their level,
    within three standard deviations of 250 runs.
    """
    study = recorded.study("copies")
    copying = ("bootstrap", "narrow kernels", "a quarter copied")
    for cases in study["flagged"].values():
        for name, case in cases.items():
            for rate in (case["flagged"], case["flagged_without_holdout"]):
                assert rate >= 0.99 if name in copying else rate <= 0.01
    local = study["local"]
    assert abs(local["named"] - local["level"]) < 3 * (0.05 * 0.95 / local["runs"]) ** 0.5
