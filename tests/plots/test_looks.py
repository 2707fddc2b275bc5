"""Labels and ticks."""

import pytest
from matplotlib.figure import Figure

from amplify.plots.looks import log_ticks, plain
from amplify.plots.regions import label_of, observable
from tests.results.examples import averaging_record, differential_record


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("pt > 4", "pt > 4"),
        ("a\tb\n", "a b"),
        ("$x$", r"\$x\$"),
        ("a" * 60, "a" * 24 + "…" + "a" * 23),
    ],
)
def test_names_are_shown_as_they_are(label, shown):
    assert plain(label) == shown


def test_regions_of_one_observable_stand_together():
    labels = ("0 <= pt lead < 1", "pt lead < -1e-05", "pt lead >= 2", "tail", "all")
    assert [observable(label) for label in labels] == ["pt lead"] * 3 + ["", ""]


def test_a_long_name_keeps_the_edges_of_its_bin():
    short = label_of(averaging_record(f"0.25 <= {'a' * 60} < 0.5"), False, 34)
    assert short.startswith("0.25 <= a") and short.endswith("a < 0.5") and len(short) <= 34
    assert label_of(averaging_record("a" * 60), False, 34) == "a" * 17 + "…" + "a" * 16
    assert label_of(differential_record(), True, 56) == "all, exact likelihood ratio"


@pytest.mark.parametrize(
    ("low", "high", "major", "minor"),
    [
        (0.5, 4, ["1"], ["0.5", "2"]),
        (0.05, 2000, ["0.1", "1", "10", "100", "1000"], []),
        (5, 2e6, ["10", "10²", "10³", "10⁴", "10⁵", "10⁶"], []),
        (2e-6, 3e-5, ["10⁻⁵"], ["2·10⁻⁶", "5·10⁻⁶", "2·10⁻⁵"]),
    ],
)
def test_ticks_of_a_logarithmic_axis(low, high, major, minor):
    axes = Figure().add_subplot()
    axes.set(xscale="log", xlim=(low, high))
    log_ticks(axes.xaxis, low, high)

    def words(formatter, places):
        shown = [p for p in places if low <= p <= high]
        return [word for word in formatter.format_ticks(shown) if word]

    axis = axes.xaxis
    assert words(axis.get_major_formatter(), axis.get_majorticklocs()) == major
    assert words(axis.get_minor_formatter(), axis.get_minorticklocs()) == minor
