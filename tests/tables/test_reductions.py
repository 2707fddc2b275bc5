"""Expressions of arrays with several numbers per event, against loops over events."""

import math
import random

import numpy as np
import pytest

from amplify.errors import InputError
from amplify.regions.cuts import as_regions, columns_of, read_cuts
from amplify.regions.passing import Passes
from amplify.tables import files, pieces
from amplify.tables.expressions import parse
from amplify.tables.names import names_of
from amplify.tables.reading import _read
from amplify.tables.table import Array, Jagged, Table

N = 50
RNG = np.random.default_rng(3)
COUNT = RNG.poisson(2, N)
COUNT[:2] = 0, 5  # an empty event in front
COLUMNS = {
    "ht": RNG.uniform(1, 2, N),
    "cells": RNG.exponential(1, (N, 12)).astype(np.float32),
    "grid": RNG.normal(size=(N, 3, 4)),
    "E": RNG.uniform(1, 2, (N, 1)),
    "pt": Jagged(RNG.exponential(30, COUNT.sum()).astype(np.float32), COUNT),
    "eta": Jagged(RNG.normal(0, 1.5, COUNT.sum()), COUNT.copy()),
    "p4": Jagged(RNG.normal(size=(COUNT.sum(), 4)), COUNT.copy()),
    "jet [GeV]": Jagged(RNG.normal(size=COUNT.sum()), COUNT.copy()),
}
SHAPES = {
    "cells": (12,),
    "grid": (3, 4),
    "E": (1,),
    "pt": (None,),
    "eta": (None,),
    "p4": (None, 4),
    "jet [GeV]": (None,),
}
KNOWN = names_of(["ht"], SHAPES)


def table_of(columns, n=N):
    """A table of these columns and arrays in memory."""
    flat = {name: x for name, x in columns.items() if name not in SHAPES}
    arrays = {name: x for name, x in columns.items() if name in SHAPES}

    def read(start, stop, names):
        return [rows(columns[name], start, stop) for name in names]

    def rows(x, start, stop):
        if not isinstance(x, Jagged):
            return x[start:stop]
        ends = np.concatenate([[0], np.cumsum(x.count)])
        return Jagged(x.values[ends[start] : ends[stop]], x.count[start:stop])

    return Table(
        "events",
        tuple(flat),
        tuple(x.dtype for x in flat.values()),
        n,
        read,
        (),
        refused={name: "jagged" for name in arrays if None in SHAPES[name]},
        arrays={
            name: Array(SHAPES[name], (x.values if isinstance(x, Jagged) else x).dtype)
            for name, x in arrays.items()
        },
    )


def event(i):
    """What event i has, as plain numbers and arrays in double precision."""
    start = int(COUNT[:i].sum())
    has = {}
    for name, x in COLUMNS.items():
        values = x.values[start : start + COUNT[i]] if isinstance(x, Jagged) else x[i]
        has[name] = np.asarray(values, np.float64)
    return has


def largest(values):
    return max(values, default=math.nan)


LOOPS = {
    "sum(cells)": lambda e: math.fsum(e["cells"]),
    "sum(cells[0:8]) / sum(cells)": lambda e: sum(e["cells"][:8]) / sum(e["cells"]),
    "sum(cells[::3])": lambda e: sum(e["cells"][::3]),
    "cells[-1] + cells[2]": lambda e: e["cells"][-1] + e["cells"][2],
    "mean(cells) - std(cells)": lambda e: np.mean(e["cells"]) - np.std(e["cells"]),
    "max(cells) - min(cells)": lambda e: max(e["cells"]) - min(e["cells"]),
    "count(cells > 1)": lambda e: sum(e["cells"] > 1),
    "sum(cells > 1) + mean(cells > 1)": lambda e: sum(e["cells"] > 1) * 13 / 12,
    "any(cells > 3)": lambda e: any(e["cells"] > 3),
    "all(cells < 4) and ht < 1.8": lambda e: all(e["cells"] < 4) and e["ht"] < 1.8,
    "count(cells > ht)": lambda e: sum(e["cells"] > e["ht"]),
    "sum(cells * ht) - ht * sum(cells)": lambda e: 0,
    "sum(cells * cells)": lambda e: sum(e["cells"] ** 2),
    "sum(grid)": lambda e: e["grid"].sum(),
    "sum(grid[:, 2])": lambda e: e["grid"][:, 2].sum(),
    "max(grid[1]) + grid[2, 3]": lambda e: e["grid"][1].max() + e["grid"][2, 3],
    "sum(grid[:, 0] * grid[:, 1])": lambda e: e["grid"][:, 0] @ e["grid"][:, 1],
    "sum(grid * grid[0])": lambda e: (e["grid"] * e["grid"][0]).sum(),
    "count(0 < grid[:, 1] < 1)": lambda e: sum((e["grid"][:, 1] > 0) & (e["grid"][:, 1] < 1)),
    "sum(grid[:, 2][grid[:, 1] > 0])": lambda e: e["grid"][e["grid"][:, 1] > 0, 2].sum(),
    "sum(grid[grid > 0])": lambda e: e["grid"][e["grid"] > 0].sum(),
    "count(grid[grid[:, 1] > 0][:, 0] > 0)": lambda e: sum((e["grid"][:, :2] > 0).all(axis=1)),
    "hypot(sum(grid[:, 0]), sum(grid[:, 1]))": lambda e: np.hypot(*e["grid"][:, :2].sum(axis=0)),
    "log(E) * ht": lambda e: math.log(e["E"][0]) * e["ht"],
    "sum(cells) / E": lambda e: e["cells"].sum() / e["E"][0],
    "sum(pt)": lambda e: sum(e["pt"]),
    "count(pt)": lambda e: len(e["pt"]),
    "count(pt > 30) >= 2": lambda e: sum(e["pt"] > 30) >= 2,
    "max(pt)": lambda e: largest(e["pt"]),
    "mean(pt)": lambda e: np.mean(e["pt"]) if len(e["pt"]) else math.nan,
    "std(pt)": lambda e: np.std(e["pt"]) if len(e["pt"]) else math.nan,
    "any(pt > 60)": lambda e: any(e["pt"] > 60),
    "all(pt > 10)": lambda e: all(e["pt"] > 10),
    "pt[0]": lambda e: e["pt"][0] if len(e["pt"]) else math.nan,
    "at(pt, 1, -1)": lambda e: e["pt"][1] if len(e["pt"]) > 1 else -1,
    "at(pt, -1, ht)": lambda e: e["pt"][-1] if len(e["pt"]) else e["ht"],
    "where(count(pt) > 0, max(pt), -1)": lambda e: max(e["pt"], default=-1),
    "sum(pt[0:2])": lambda e: sum(e["pt"][:2]),
    "sum(pt[-2:])": lambda e: sum(e["pt"][-2:]),
    "sum(pt[1::2])": lambda e: sum(e["pt"][1::2]),
    "sum(pt[abs(eta) < 1.5 and pt > 5])": lambda e: sum(
        e["pt"][(abs(e["eta"]) < 1.5) & (e["pt"] > 5)]
    ),
    "sum(pt * cosh(eta))": lambda e: sum(e["pt"] * np.cosh(e["eta"])),
    "count(pt > max(pt) / 2)": lambda e: sum(e["pt"] > largest(e["pt"]) / 2),
    "count(pt > 20 * ht)": lambda e: sum(e["pt"] > 20 * e["ht"]),
    "sum(where(eta > 0, pt, 0))": lambda e: sum(e["pt"][e["eta"] > 0]),
    "sum(p4[:, 3])": lambda e: e["p4"][:, 3].sum(),
    "sum(p4)": lambda e: e["p4"].sum(),
    "at(p4, 0, 0)[3]": lambda e: e["p4"][0, 3] if len(e["p4"]) else 0,
    "sum(p4[eta > 0][:, 1])": lambda e: e["p4"][e["eta"] > 0, 1].sum(),
    "count(`jet [GeV]` > 0)": lambda e: sum(e["jet [GeV]"] > 0),
}


@pytest.mark.parametrize("text", LOOPS)
def test_each_event_by_itself(text):
    expression = parse(text, KNOWN)
    value = np.broadcast_to(expression.value(COLUMNS), N)
    expected = [LOOPS[text](event(i)) for i in range(N)]
    np.testing.assert_allclose(value.astype(float), expected, rtol=1e-12, atol=1e-12)
    assert expression.condition == (value.dtype == bool)


@pytest.mark.parametrize("text", ["sum(cells[0:5])", "sum(pt[eta > 0])", "max(grid[:, 1])", "E"])
def test_pieces_of_a_sample_are_put_together(text, monkeypatch):
    """Read and computed a few numbers at a time, the same bits; an odd chunk, too."""
    selection = files.select(table_of(COLUMNS), [text, "ht"], "2 * ht", drop_nonfinite=True)
    whole, weight = _read(selection, 0, N)
    monkeypatch.setattr(pieces, "_READ", 100)
    monkeypatch.setattr(pieces, "_GUESS", 1)
    monkeypatch.setattr(pieces.in_pieces, "__defaults__", (13,))
    np.testing.assert_array_equal(_read(selection, 0, N)[0], whole)
    few, few_weights = _read(selection, 7, 30)
    np.testing.assert_array_equal(few, whole[7:30])
    np.testing.assert_array_equal(few_weights, weight[7:30])


WRONG = {
    "cells": "sum(cells)",
    "log(cells)": "sum(log(cells))",
    "pt > 30": "count(pt > 30)",
    "sum(ht)": "leave sum out",
    "sum(cells[0:8], ht)": "write a + b",
    "max(ht, E)": "write maximum(a, b)",
    "count(cells)": "count(cells > 0)",
    "sum(cells * pt)": "12 and any number",
    "sum(grid[:, 0] * grid)": "3 and 3 x 4",
    "cells[12]": "index 12",
    "cells[0, 0]": "2 indices",
    "sum(cells[5:2])": "correct the slice",
    "ht[0]": "leave the [] out",
    "sum(pt)[0]": "leave the [] out",
    "sum(cells[pt > 3])": "any number for 12",
    "sum(cells[ht > 1])": "one for 12",
    "at(pt, 0)": "at(Jet_pt, 0, -1)",
    "at(pt, ht, 0)": "at(Jet_pt, 0, -1)",
    "where(pt, 1, 0)": "compare it with a number",
    "sum(any(cells > 1))": "leave sum out",
    "sum(cells[0.5])": "compare it with a number",
    "sum(cells[::-1])": "nothing else is evaluated",
    "sum(*cells)": "a call",
    "sum(x=cells)": "a call",
    "sum": "no such column",
    "prod(cells)": "one of the functions",
    "cells and ht > 1": "compare it with a number",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_number_per_event_says_what_to_write(text):
    with pytest.raises(InputError) as caught:
        files.select(table_of(COLUMNS), [f"a={text}"])
    assert WRONG[text] in str(caught.value) and "\n" not in str(caught.value)


def test_arrays_of_other_lengths_are_not_combined():
    other = COLUMNS | {"eta": COLUMNS["eta"]._replace(count=np.roll(COUNT, 1))}
    for text in ("sum(pt * eta)", "sum(pt[eta > 0])"):
        with pytest.raises(InputError, match="list the same things"):
            parse(text, KNOWN).value(other)


def test_the_name_of_an_array_stands_for_its_elements():
    columns = COLUMNS | {f"cells[{i}]": COLUMNS["cells"][:, i] for i in range(12)}
    table = table_of(columns)
    assert files.written_out(table, ["cells", "ht", "E"])[10:] == [
        "cells[10]",
        "cells[11]",
        "ht",
        "E",
    ]
    loaded = files.load(files.select(table, ["cells", "a=cells[3] * 2", "E"])).x
    np.testing.assert_array_equal(loaded[:, :12], COLUMNS["cells"])
    np.testing.assert_array_equal(loaded[:, 12], 2.0 * COLUMNS["cells"][:, 3])
    assert files.select(table, ["cells[3]"]).columns[0].plain  # read alone, not with its array


def test_an_array_is_no_weight_and_no_summary():
    columns = COLUMNS | {f"cells[{i}]": COLUMNS["cells"][:, i] for i in range(12)}
    table = table_of(columns)
    for refuse in (
        lambda: files.refuse_several(table, "cells"),
        lambda: files.select(table, ["ht"], "cells"),
    ):
        with pytest.raises(InputError, match=r"one number per event.*sum\(cells\)"):
            refuse()
    for text in ("sum(cells)", "E", "ht", "at(pt, 0, 1)"):
        files.refuse_several(table, text)
        assert files.has_column(table, text)
        assert (files.load(files.select(table, ["ht"], text)).weight > 0).all()


def test_elements_that_are_missing_are_refused_with_what_to_write():
    selection = files.select(table_of(COLUMNS), ["pt[0]"])
    with pytest.raises(InputError, match=r"nan in row 0, column pt\[0\].*write at\(pt, 0, -1\)"):
        files.load(selection)
    dropped = files.counted(files.select(table_of(COLUMNS), ["max(pt)"], drop_nonfinite=True))
    assert dropped.n == (COUNT > 0).sum()
    assert files.load(files.select(table_of(COLUMNS), ["at(pt, 0, -1)"])).x.min() == -1


def test_regions_of_arrays_are_those_of_numpy(tmp_path):
    """Columns that a region makes of arrays are read once, beside those that are looked at."""
    path = tmp_path / "cuts.yaml"
    path.write_text(
        """
two jets: count(pt > 20) >= 2 and ht > 1.2
many: [n > 1, not any(abs(eta) > 2)]
half: {"sum(cells)": [null, 12]}
quoted: 'count(`jet [GeV]` > 0) > 0 or sum( cells[0:3] ) > 3'
"""
    )
    table, cuts = table_of(COLUMNS), read_cuts(path)
    names = files.select(table, ["ht", "n=count(pt > 30)"]).names
    more = [name for name in columns_of(cuts, names, table) if name not in names]
    assert set(more) == {
        "count(pt > 20)",
        "any(abs(eta) > 2) * 1",
        "sum(cells)",
        "count(`jet [GeV]` > 0)",
        "sum(cells[0:3])",
    }
    selection = files.select(table, ["ht", "n=count(pt > 30)", *more])
    inside = as_regions(cuts, selection.names).contains(files.load(selection).x)
    events = [event(i) for i in range(N)]
    expected = [
        [
            sum(e["pt"] > 20) >= 2 and e["ht"] > 1.2,
            sum(e["pt"] > 30) > 1 and not any(abs(e["eta"]) > 2),
            e["cells"].sum() < 12,
            any(e["jet [GeV]"] > 0) or e["cells"][:3].sum() > 3,
        ]
        for e in events
    ]
    np.testing.assert_array_equal(inside, expected)
    path.write_text("hard: pt > 30\n")
    with pytest.raises(InputError, match=r"line 1.*count\(pt > 30\)"):
        columns_of(read_cuts(path), names, table)


def test_flat_columns_are_an_array_in_jax_too():
    """Cuts of a generator whose columns are the elements of an array, under jit and vmap."""
    jax = pytest.importorskip("jax")
    x = RNG.normal(size=(40, 4)).astype(np.float32)
    names = ("x[0]", "x[1]", "x[2]", "ht")
    passes = Passes(("sum(x) > 0.1", "count(x[0:2] > ht) < 2 or max(x) > 1"), names)
    expected = (x[:, :3].astype(np.float64).sum(axis=1) > 0.1) & (
        ((x[:, :2] > x[:, 3:]).sum(axis=1) < 2) | (x[:, :3].max(axis=1) > 1)
    )
    np.testing.assert_array_equal(passes(x), expected)
    for way in (passes, jax.jit(passes), jax.vmap(passes)):
        np.testing.assert_array_equal(way(jax.numpy.asarray(x)), expected)
    with pytest.raises(InputError, match="multiply by the condition"):
        Passes(("sum(x[x > 0]) > 1",), names)(jax.numpy.asarray(x))


def test_flat_columns_of_a_grid_are_an_array():
    """As a file of records has them, in any order; where one is missing there is no array."""
    columns = {f"g[{i},{j}]": np.array([i + 10.0 * j]) for j in range(2) for i in range(3)}
    for text, expected in {"sum(g[:, 1])": 33, "g[2, 1] - g[0, 1]": 2, "max(g[1])": 11}.items():
        assert parse(text, list(columns)).value(columns) == [expected]
    with pytest.raises(InputError, match="correct the name"):
        parse("sum(g)", list(columns)[1:])


def test_names_with_units_show_where_backticks_go():
    known = names_of(["pT [GeV]", "a-b", "x"], {"jet [GeV]": (None,)})
    for text, written in {
        "log(pT [GeV])": "'log(`pT [GeV]`)', in single quotes",
        "x + pT [GeV] * 2": "x + `pT [GeV]` * 2",
        "count(jet [GeV] > 3)": "count(`jet [GeV]` > 3)",
    }.items():
        with pytest.raises(InputError) as caught:
            parse(text, known)
        assert written in str(caught.value)
    with pytest.raises(InputError, match="correct the name"):
        parse("log(pY [GeV])", known)


def test_a_sum_of_many_terms_is_read():
    names = [f"energy_of_layer[{i}]" for i in range(1500)]
    columns = {name: np.array([float(i), 1.0]) for i, name in enumerate(names)}
    expected = [sum(range(1500)), 1500]
    for text in (" + ".join(names), "sum(energy_of_layer)"):
        np.testing.assert_array_equal(parse(text, names).value(columns), expected)
    with pytest.raises(InputError, match="at most"):
        parse(" + ".join(names * 5), names)


def test_many_columns_are_chosen_in_no_time():
    """Each is not looked for among all others: a thousand times a thousand would be."""
    names = [f"c{i}" for i in range(3000)]
    flat = {name: np.zeros(2) for name in names}
    selection = files.select(table_of(flat, 2), [*names, "s=c1 + c2999"])
    assert len(selection.columns) == 3001
    with pytest.raises(InputError, match="c7 twice"):
        files.select(table_of(flat, 2), [*names, "c7"])


def test_samples_in_two_precisions_are_rounded_alike():
    single = COLUMNS | {"pt": Jagged(COLUMNS["pt"].values.astype(np.float64), COUNT)}
    few = [files.select(table_of(c), ["s=sum(pt)", "ht"]) for c in (COLUMNS, single)]
    both = files.same_precision(few)
    assert [selection.rounded for selection in both] == [{"s"}, {"s"}]
    np.testing.assert_array_equal(*(files.load(selection).x for selection in both))
    assert files.precision_notes(both) == []


def _grown(rng, depth):
    """An expression that is well formed, and often makes no sense."""
    if depth == 0 or rng.random() < 0.1:
        return rng.choice(["ht", "cells", "grid", "pt", "eta", "p4", "E", "2", "`jet [GeV]`"])
    forms = (
        *("({0} + {1})", "{0} * {1}", "({0} > {1})", "(0 < {0} < {1})", "-{0}", "(not {0})"),
        *("({0} and {1})", "sqrt({0})", "hypot({0}, {1})", "where({0}, {1}, {2})"),
        *("sum({0})", "count({0})", "max({0})", "std({0})", "any({0})", "all({0})", "mean({0})"),
        *("({0})[0]", "({0})[1:]", "({0})[:, 1]", "({0})[-1]", "({0})[{1}]", "at({0}, 1, {1})"),
    )
    form = rng.choice(forms)
    return form.format(*(_grown(rng, depth - 1) for _ in range(form.count("{"))))


def test_expressions_that_grew_at_random_give_one_number_or_one_line():
    """One in ten makes sense; none raises anything but its own error."""
    rng, good = random.Random(0), 0
    for _ in range(250):
        text = f"sum({_grown(rng, 3)})" if rng.random() < 0.7 else _grown(rng, 4)
        try:
            expression = parse(text, KNOWN)
            value = np.broadcast_to(expression.value(COLUMNS), N)
        except InputError as error:
            assert "\n" not in str(error)
            continue
        good += 1
        assert value.dtype == (bool if expression.condition else float)
        by_pieces = {p: parse(p, KNOWN).value(COLUMNS) for p in expression.pieces}
        again = parse(text, list(by_pieces)).value(by_pieces)
        np.testing.assert_array_equal(np.broadcast_to(again, N), value)
    assert good > 15
