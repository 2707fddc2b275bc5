"""Pictures: axes in and out, one picture of a Result and of its dict, the style that is installed,
and nothing imported before it is needed.
"""

import io
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amplify import plots
from amplify.errors import InputError
from amplify.estimators.averaging import averaging_amplification
from amplify.results.result import Answer, Result
from tests.results.examples import COLUMNS, averaging_record, differential_record, rich_results

ONE_AXES = {
    "by_region": plots.by_region,
    "sigma_curves": plots.sigma_curves,
    "resolution": plots.resolution,
    "amplification_map": plots.amplification_map,
    "ratio_map": plots.ratio_map,
    "approach": plots.approach,
}
NEEDS = {
    "resolution": plots.resolution,
    "map": plots.amplification_map,
    "panels": plots.panels,
    "differential": plots.approach,
}


@pytest.fixture(autouse=True)
def no_pyplot(monkeypatch):
    """Whatever tests ran before: pyplot would keep every figure."""
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)


@pytest.fixture(scope="module")
def results():
    return rich_results(COLUMNS[:2])


def svg(figure):
    """What is drawn, in words."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "tests", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


@pytest.mark.parametrize("draw", ONE_AXES.values(), ids=ONE_AXES)
def test_axes_go_in_and_out(draw, results):
    axes = Figure().add_subplot()
    assert draw(results, ax=axes) is axes
    assert axes.get_xlabel() and axes.has_data()
    assert axes.get_legend() is not None
    bare = draw(results, ax=Figure().add_subplot(), legend=False)
    assert bare.get_legend() is None


def test_pairs_of_axes_go_in_and_out(results):
    top, bottom = Figure().subplots(2, 1)
    assert plots.distribution_functions(results, (top, bottom)) == (top, bottom)
    above, below = Figure().subplots(2, 1)
    pairs = plots.panels(results, [(above, below)], columns=[1])
    assert pairs == [(above, below)] and below.get_xlabel() == COLUMNS[1]


def test_panels_without_holdout_have_no_ratio():
    pairs = plots.panels(rich_results())
    assert [below is None for _, below in pairs] == [False, False, False, True, False]


@pytest.mark.parametrize("draw", ONE_AXES.values(), ids=ONE_AXES)
def test_a_figure_is_made_where_none_is_given(draw, results):
    axes = draw(results)
    assert isinstance(axes, Axes) and isinstance(axes.figure, Figure)
    assert axes.get_legend() is not None


def test_result_and_dict_give_the_same_picture():
    members = np.random.default_rng(0).normal([0.3, 0.1], [0.01, 0.003], (8, 2))
    estimate = averaging_amplification(members, n_train=1000)
    result = Result((Answer(estimate, ("low", "high"), 1000, None, None, 0.68, 8),))
    for draw in (plots.by_region, plots.sigma_curves):
        assert svg(draw(result).figure) == svg(draw(result.to_dict()).figure)


def test_every_status_has_its_mark():
    estimates = [
        averaging_record("resolved"),
        averaging_record("limit", status="lower_limit"),
        averaging_record("biased", status="biased"),
        averaging_record("unresolved", status="unresolved"),
    ]
    drawn = svg(plots.by_region({"estimates": estimates}).figure)
    for place, parts in enumerate(("bar value", "bar high value", "bar value", "bar")):
        for part in parts.split():
            assert f'id="region-{place}-{part}"' in drawn
        assert f'id="region-{place}-label"' in drawn
    assert 'id="region-3-value"' not in drawn and 'id="region-0-high"' not in drawn


def test_actual_values_are_diamonds():
    estimates = [averaging_record("a"), averaging_record("b"), differential_record()]
    given = {"estimates": estimates}
    known = given | {"truth": {"actual_amplification": [2.0, 5.0, 0.1]}}
    for axes in (plots.by_region(given, actual=[2.0, 5.0]), plots.by_region(known)):
        diamonds = [line for line in axes.lines if line.get_marker() == "D"]
        assert [float(line.get_xdata()[0]) for line in diamonds] == [2.0, 5.0]
        assert "actual (truth known)" in [t.get_text() for t in axes.get_legend().get_texts()]
    other = plots.by_region(known, method="differential")
    assert [float(d.get_xdata()[0]) for d in other.lines if d.get_marker() == "D"] == [0.1]
    some = plots.by_region(given, actual=[None, 5.0])
    assert sum(line.get_marker() == "D" for line in some.lines) == 1


def test_bad_requests_are_told():
    given = {"estimates": [averaging_record("a")]}
    with pytest.raises(InputError, match="one value for each of 1 regions"):
        plots.by_region(given, actual=[1.0, 2.0])
    with pytest.raises(InputError, match="it has averaging"):
        plots.by_region(given, method="differential")
    with pytest.raises(InputError, match="it has none"):
        plots.by_region({"estimates": []})
    with pytest.raises(InputError, match="arrays"):
        plots.efficiency([100, 200], [0.5, 0.6, 0.7])


@pytest.mark.parametrize(("key", "draw"), NEEDS.items(), ids=NEEDS)
def test_what_a_result_lacks_is_told(key, draw):
    with pytest.raises(InputError, match=f"a result with '{key}'"):
        draw({"estimates": [averaging_record("a")]})


def test_nothing_resolved_is_said():
    axes = plots.sigma_curves({"estimates": [averaging_record("a", status="unresolved")]})
    assert "no region" in axes.texts[0].get_text()


def test_efficiency_of_learners():
    mean, error = np.array([[0.5, 0.7], [0.6, 0.9]]), np.full((2, 2), 0.05)
    axes = plots.efficiency([200, 600], mean, error, ["trees", "$MLP$"])
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown == ["trees", r"\$MLP\$"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["200", "600"]
    lonely = plots.efficiency([200, 600], [0.5, 0.7], ax=Figure().add_subplot())
    assert lonely.get_legend() is None


def test_mplhep_gives_the_style_where_it_is_installed(monkeypatch):
    theirs = {"font.size": 26, "axes.linewidth": 2.6, "xtick.major.size": 13}
    theirs |= {"figure.figsize": (10.0, 10.0), "font.sans-serif": ["Nimbus", "Arial"]}
    theirs |= {"xaxis.labellocation": "right", "ytick.direction": "in"}
    fake = SimpleNamespace(style=SimpleNamespace(ROOT=theirs))
    monkeypatch.setitem(sys.modules, "mplhep", fake)
    before = dict(mpl.rcParams)
    with plots.style(size=10):
        rc = mpl.rcParams
        assert rc["font.size"] == 10 and rc["pdf.fonttype"] == 42
        assert rc["axes.linewidth"] == 1 and rc["xtick.major.size"] == 5
        assert rc["xaxis.labellocation"] == "right"
        assert rc["figure.figsize"] == before["figure.figsize"]
        assert rc["font.family"] == ["Nimbus", "DejaVu Sans"]
    assert dict(mpl.rcParams) == before
    theirs |= {"font.sans-serif": ["DejaVu Sans"]}
    axes = plots.efficiency([200, 600], [0.5, 0.7])
    assert axes.spines["left"].get_linewidth() == 1
    assert axes.xaxis.label.get_horizontalalignment() == "right"


def test_our_style_where_mplhep_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "mplhep", None)
    with plots.style():
        assert mpl.rcParams["xtick.direction"] == "in" and mpl.rcParams["pdf.fonttype"] == 42
    axes = plots.efficiency([200, 600], [0.5, 0.7])
    tick = axes.yaxis.get_major_ticks()[0]  # made after the style was left
    assert tick.get_tickdir() == "in" and tick.tick2line.get_visible()


def test_text_of_a_pdf_is_text(tmp_path):
    """Journals refuse type 3, whose letters are drawings."""
    axes = plots.by_region({"estimates": [averaging_record("a")]})
    for name, style in (("ours", plots.style()), ("default", nullcontext())):
        with style:
            axes.figure.savefig(tmp_path / name, format="pdf")
    assert b"/Type3" not in (tmp_path / "ours").read_bytes()
    assert b"/Type3" in (tmp_path / "default").read_bytes()


def test_pyplot_shows_the_figure_where_it_is_in_use(monkeypatch):
    made = []

    def figure(**settings):
        made.append(Figure(**settings))
        return made[-1]

    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", SimpleNamespace(figure=figure))
    axes = plots.efficiency([200, 600], [0.5, 0.7])
    assert axes.figure is made[0]


def test_importing_is_cheap_and_pyplot_is_not_touched():
    """A fresh Python: matplotlib comes with the first picture, pyplot never."""
    code = """
import sys
from amplify import plots
assert "matplotlib" not in sys.modules and "jax" not in sys.modules
assert "by_region" in dir(plots)
plots.efficiency([1, 2], [0.5, 0.6])
assert "matplotlib.figure" in sys.modules
assert "matplotlib.pyplot" not in sys.modules and "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_is_there():
    for name in plots.__all__:
        assert callable(getattr(plots, name)), name
    with pytest.raises(AttributeError):
        plots.nothing  # noqa: B018


@pytest.mark.slow
def test_a_notebook_shows_every_figure():
    """Also those after the first, which loads the backend while our style is on."""
    client, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    cell = nbformat.v4.new_code_cell
    cells = [
        cell("from amplify import plots"),
        cell("plots.efficiency([200, 600], [0.5, 0.7]);"),
        cell("axes = plots.efficiency([200, 600], [0.5, 0.7])"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client.NotebookClient(notebook, timeout=120).execute()
    for drawn in notebook.cells[1:]:
        assert any("image/png" in output.get("data", {}) for output in drawn.outputs)
