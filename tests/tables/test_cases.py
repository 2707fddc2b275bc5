"""Samples that once gave a wrong answer without a word, through the Python call."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import amplify


def test_counts_are_compared_exactly_and_are_no_copies():
    """Poisson(4.5) against Poisson(4): D = .0967 within four standard errors of .0055, which fails
    by chance once in 1e4 seeds.
    """
    rng = np.random.default_rng(3)
    generated, holdout = (rng.poisson(m, (n, 1)) for m, n in ((4.5, 50_000), (4, 10_000)))
    result = amplify.differential(generated, holdout, n_train=1000, summary="column:x0")
    k = np.arange(40)
    exact = np.abs(stats.poisson.cdf(k, 4.5) - stats.poisson.cdf(k, 4)).max()
    assert result.records[0]["distance"] == pytest.approx(exact, abs=4 * 0.0055)
    assert not any("copies" in warning for warning in result.warnings)


@pytest.mark.parametrize("suffix", [".parquet", ".h5"])
def test_a_frame_after_a_cut_is_compared_without_its_index(suffix, tmp_path):
    """The index counts to different numbers in the two files; the law is the same. A significant
    difference is seen by chance in five of a hundred seeds.
    """
    if suffix == ".h5":
        pytest.importorskip("tables")
    rng = np.random.default_rng(11)
    paths = []
    for name, n in (("gen", 20_000), ("hold", 2000)):
        frame = pd.DataFrame({"pt": rng.gamma(2, 60, n), "eta": rng.normal(0, 1.3, n)})
        frame = frame[frame.pt > 40]
        paths.append(tmp_path / f"{name}{suffix}")
        if suffix == ".h5":
            frame.to_hdf(paths[-1], key="df", format="table")
        else:
            frame.to_parquet(paths[-1])
    result = amplify.differential(*map(str, paths), n_train=1000, summary="column:pt")
    assert result.settings["columns"] == ["pt", "eta"]
    assert set(result.settings["columns_ignored"].values()) == {"pandas index"}
    assert result.records[0]["status"] != "biased" and result.records[0]["distance"] < 0.1
