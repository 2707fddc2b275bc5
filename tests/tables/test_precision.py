"""Columns whose numbers lie too far apart are told."""

import jax
import numpy as np
import pytest

import amplify
from amplify.tables import files, memory
from amplify.tables.precision import coarse_columns, precision_notes

RNG = np.random.default_rng(0)


def _notes(*samples):
    return precision_notes(
        files.same_precision([files.select(memory.from_array(s)) for s in samples])
    )


@pytest.mark.parametrize(
    ("offset", "dtypes", "told"),
    [
        (1.7e9, "dd", None),
        (1.7e9, "df", "single"),
        (1.7e9, "ff", "single"),
        (1e4, "df", None),
        (1e4, "de", "half"),
        (1e18, "dd", "double"),
        (0, "ee", None),
    ],
)
def test_precision_is_compared_with_the_spread(offset, dtypes, told):
    """Numbers near 1.7e9 are 128 apart in single precision, near 1e18 128 in double; the spread is
    60.
    """
    x = offset + RNG.normal(0, 60, (2, 500, 1))
    notes = _notes(*(sample.astype(dtype) for sample, dtype in zip(x, dtypes, strict=True)))
    assert len(notes) == (told is not None)
    assert all(f"in {told} precision" in note for note in notes)


def test_integers_are_exact():
    jets = 10**9 + RNG.poisson(4, (500, 1))
    assert _notes(jets, jets) == [] and len(_notes(jets, jets.astype(np.float32))) == 1


def test_a_training_in_single_precision_warns():
    x = np.column_stack([RNG.normal(size=200), 1.7e9 + RNG.normal(0, 20, 200)])
    (coarse,) = coarse_columns(x)
    assert "column 1 near 1.7e+09" in coarse
    config = amplify.FitConfig(steps=2)
    with pytest.warns(UserWarning, match="column 1 .* single precision does not resolve"):
        amplify.fit(jax.random.key(0), amplify.fitted_gaussian(2), x, config=config)
