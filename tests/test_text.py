"""Numbers as people read them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amplify.text import edge_words, harmless, number, shortened


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "infinity"),
        (0.0, "0"),
        (0.12345, "0.12"),
        (3.14159, "3.1"),
        (31.4159, "31.4"),
        (314.159, "314"),
        (31415.9, "31\u202f400"),
    ],
)
def test_numbers_keep_the_digits_that_matter(value, text):
    assert number(value) == text


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=20, unique=True))
def test_edges_can_be_told_apart(values):
    """Words are different, in the order of the edges, and as near as an eighth of a bin."""
    edges = sorted(values)
    gaps = np.diff(edges)
    if (gaps <= 1e-12 * np.abs(edges[1:])).any():
        return  # fewer digits than that are not asked of a double
    words = edge_words(edges)
    said = np.array(list(map(float, words)))
    assert (np.diff(said) > 0).all()
    nearest = np.minimum(np.r_[np.inf, gaps], np.r_[gaps, np.inf])
    away = np.abs(said - edges)
    assert (away <= np.maximum(np.abs(edges) * 1e-15, nearest / 8 * (1 + 1e-6))).all()


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ([1.23456, 2.34567], ["1.235", "2.346"]),
        ([100.0, 100.25, 100.5], ["100", "100.25", "100.5"]),
        ([12345.6, 23456.7], ["12350", "23460"]),
        ([float("-inf"), 1.0, float("inf")], ["-inf", "1", "inf"]),
        ([1e9, 1e9 + 1], ["1000000000", "1000000001"]),
        ([0.0, 1e-7], ["0", "1e-07"]),
        ([], []),
    ],
)
def test_edges_have_four_digits_where_these_do(edges, words):
    assert edge_words(edges) == words


@pytest.mark.parametrize("most", range(3, 40))
def test_labels_fit(most):
    for label in ("-1.25 <= a_long_name < 0.75", "tail", "a" * 50, "name >= 123456789", ""):
        short = shortened(label, most)
        assert len(short) <= max(most, 3) and (short == label or "…" in short)


def test_nothing_acts_on_a_terminal():
    shown = harmless("a\x1b[2Jb\x07\u202ec\x9b\x00 d\r\te\nf\udcff\u202fg[/red]")
    assert shown == r"a\x1b[2Jb\x07\u202ec\x9b\x00 d  e" "\nf" r"\udcff" "\u202fg[/red]"
    shown.encode("utf-8")
