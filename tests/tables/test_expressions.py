"""Expressions of columns: the numbers NumPy gives for the same formula, and nothing that runs."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amplify.errors import AmplifyError, InputError
from amplify.tables import expressions, files
from amplify.tables.expressions import FUNCTIONS, parse
from amplify.tables.names import names_of

RNG = np.random.default_rng(0)
COLUMNS = {
    "px": RNG.normal(size=200) * 50,
    "py": RNG.normal(size=200) * 50,
    "eta": RNG.uniform(-4, 4, 200),
    "n": RNG.integers(-3, 4, 200),
    "u": RNG.uniform(size=200),
}
PX, PY, ETA, N, U = (values.astype(np.float64) for values in COLUMNS.values())

NUMBERS = {
    "px": PX,
    "-px ** 2": -(PX**2),
    "(-px) ** 2": (-PX) ** 2,
    "2 ** -n": 2.0**-N,
    "2 ** 3 ** 2 * u": 2 ** (3**2) * U,
    "px - py - eta": PX - PY - ETA,
    "px / py / 2": PX / PY / 2,
    "px + py * eta % 2": PX + PY * ETA % 2,
    "+px - -py": PX + PY,
    "n % 3": N % 3,
    "sqrt(px**2 + py**2)": np.sqrt(PX**2 + PY**2),
    "hypot(px, py)": np.hypot(PX, PY),
    "arctan2(py, px) / pi": np.arctan2(PY, PX) / np.pi,
    "-log(u) * 1e3": -np.log(U) * 1e3,
    "minimum(px, maximum(py, 0))": np.minimum(PX, np.maximum(PY, 0)),
    "sqrt(px**2+py**2) * sinh(eta)": np.sqrt(PX**2 + PY**2) * np.sinh(ETA),
    "1_000 * u + 0x10 + 1.5e-3": 1000 * U + 16 + 1.5e-3,
    "log(px)": np.log(np.where(PX > 0, PX, np.nan)),
    "minimum(u, inf)": U,
}
CONDITIONS = {
    "px > 0": PX > 0,
    "0 < px < 40": (PX > 0) & (PX < 40),
    "0 < px < 40 <= py": (PX > 0) & (PX < 40) & (PY >= 40),
    "-1 <= n != 0 < u": (N >= -1) & (N != 0) & (U > 0),
    "40 > px > 0 < py": (PX < 40) & (PX > 0) & (PY > 0),
    "n == 2": N == 2,
    "not px > 0": ~(PX > 0),
    "not px > 0 and py > 0": (~(PX > 0)) & (PY > 0),
    "not (px > 0 and py > 0)": ~((PX > 0) & (PY > 0)),
    "px > 0 or py > 0 and eta > 0": (PX > 0) | ((PY > 0) & (ETA > 0)),
    "(px > 0 or py > 0) and eta > 0": ((PX > 0) | (PY > 0)) & (ETA > 0),
    "not px > 0 or not py > 0 and not eta > 0": ~(PX > 0) | (~(PY > 0) & ~(ETA > 0)),
    "not not px > 0": PX > 0,
    "(px > 0) & (py > 0)": (PX > 0) & (PY > 0),
    "(px > 0) | (py > 0) & (eta > 0)": (PX > 0) | (PY > 0) & (ETA > 0),
    "~(px > 0) | (py > 0)": ~(PX > 0) | (PY > 0),
    "px > 0 and (py > 0) | (eta > 0)": (PX > 0) & ((PY > 0) | (ETA > 0)),
    "px + py > 2 * eta and abs(eta) < 2.5": (PX + PY > 2 * ETA) & (np.abs(ETA) < 2.5),
    "px > py > eta and n >= 0 or u < .1": ((PX > PY) & (PY > ETA) & (N >= 0)) | (U < 0.1),
    "px < inf": np.ones(200, bool),
    "log(px) > 0": np.where(PX > 0, np.log(np.abs(PX)) > 0, False),
    "1 < 2 and px > 0": PX > 0,
}


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_are_those_of_numpy(text):
    expression = parse(text, list(COLUMNS))
    value = np.broadcast_to(expression.value(COLUMNS), 200)
    np.testing.assert_array_equal(value, NUMBERS[text])
    assert not expression.condition and set(expression.needs) <= set(COLUMNS)


@pytest.mark.parametrize("text", CONDITIONS)
def test_conditions_are_those_of_numpy(text):
    expression = parse(text, list(COLUMNS))
    value = expression.value(COLUMNS)
    assert expression.condition and value.dtype == bool
    np.testing.assert_array_equal(value, CONDITIONS[text])


def test_every_function_is_numpys_and_wants_its_arguments():
    for name, function in FUNCTIONS.items():
        arguments = ["u", "px"][: function.nin]
        with np.errstate(all="ignore"):
            expected = function(*(COLUMNS[a] for a in arguments))
        expression = parse(f"{name}({', '.join(arguments)})", list(COLUMNS))
        np.testing.assert_array_equal(expression.value(COLUMNS), expected)
        with pytest.raises(InputError, match="number of arguments"):
            parse(f"{name}(u, px, py)", list(COLUMNS))


def test_columns_are_read_in_double_precision():
    """A cut at .1 parts the same events in single precision columns, whatever NumPy does with
    Python numbers.
    """
    x = {
        "x": np.array([0.1, 0.2], np.float32),
        "flag": np.array([True, False]),
        "k": np.array([200, 100], np.uint8),
    }
    for text, expected in {
        "x > 0.1": [True, True],  # .1 in single precision is larger
        "k + 100": [300, 200],
        "50 - k": [-150, -50],
        "-flag + 2 * flag": [1, 0],
    }.items():
        np.testing.assert_array_equal(parse(text, list(x)).value(x), expected)


def test_names_that_are_no_identifiers_stand_in_backticks():
    columns = {
        "pt [GeV]": np.array([1.0, 5.0]),
        "a-b": np.array([2.0, 2.0]),
        "lambda": np.array([0.0, 1.0]),
        "p4[0]": np.array([7.0, 8.0]),
    }
    known = list(columns)
    np.testing.assert_array_equal(parse("`pt [GeV]` > `a-b`", known).value(columns), [False, True])
    np.testing.assert_array_equal(parse("`pt [GeV]`*2+`lambda`", known).value(columns), [2.0, 11.0])
    np.testing.assert_array_equal(parse("p4[0] - `p4[0]` + 1", known).value(columns), [1.0, 1.0])
    assert parse("`pt [GeV]` > `a-b`", known).needs == ("pt [GeV]", "a-b")


ATTACKS = [
    "x.__class__",
    "x.T",
    "().__class__.__bases__[0].__subclasses__()",
    "x.__array__()",
    "(x).real",
    "`x`.real",
    "abs.__self__",
    "sqrt.__call__(x)",
    "x.tofile('f')",
    "__import__('os').system('touch executed')",
    "eval('x')",
    "exec('x')",
    "open('executed', 'w')",
    "getattr(x, 'real')",
    "globals()",
    "print(x)",
    "input()",
    "breakpoint()",
    "(lambda: x)()",
    "lambda: x",
    "[x for x in (1,)]",
    "(y for y in x)",
    "{x: 1}",
    "{x}",
    "[x]",
    "(x, x)",
    "x,",
    "*x",
    "sqrt(*x)",
    "sqrt(**x)",
    "sqrt(x=x)",
    "f'{x}'",
    "f'{x.real}'",
    "'x'",
    "b'x'",
    '"x" * 3',
    "x == 'a'",
    "(y := x)",
    "x if x > 0 else 1",
    "x in (1, 2)",
    "x is x",
    "x @ x",
    "x // 2",
    "x << 3",
    "x ^ x",
    "x[0]",
    "x[:]",
    "x[0][0]",
    "x['a']",
    "x[-1]",
    "x[x]",
    "x[0, 0]",
    "...",
    "None",
    "True",
    "x > True",
    "1j * x",
    "await x",
    "yield x",
    "x; x",
    "x = 1",
    "x\nx",
    "import os",
    "del x",
    "x #\n+ x; import os",
    "\\x",
    "_",
    "__builtins__",
    "__name__",
    "sqrt",
    "sqrt(sqrt)",
    "np.sqrt(x)",
    "FUNCTIONS",
    "columns",
    "self",
    "``",
    "`x",
    "``x``",
    "`x\n`",
    '`"`',
    "`x` `x`",
    "`__import__('os')`",
    "x `+` x",
    "`x`(1)",
    "x(1)",
    "sqrt(x)(1)",
    "sqrt(x).real",
    "1",
    "2 + 2",
    "pi",
    "inf > 1",
    "",
    " ",
    "\t",
    "\0",
    "x\0",
    "x" * 2001,
    "(" * 300 + "x" + ")" * 300,
    "-" * 1500 + "x",
    "not " * 400 + "x > 1",
    "[" * 1000,
    "sqrt(" * 250 + "x" + ")" * 250,
    "+".join("x" * 999),
    "x" + "**9" * 500,
    "9" * 1900 + " * x",
    "\uff58.real",
    "x\uff0ereal",
    "x\u200b",
    "√x",
    "x²",
    "x ≥ 1",
    "x > 1 && x < 2",
    "!x",
    "x ? 1 : 2",
    "x -> 1",
    "$x",
    "%x",
    "${x}",
    "{{x}}",
    "x and x > 1",
    "x > 1 and 1",
    "not x",
    "~x",
    "x | x",
    "x & x > 1",
    "x > 1 & x < 2",
    "x or x",
    "x < (1, 2)",
    "sqrt()",
    "hypot(x)",
    "abs(x, x)",
]


@pytest.mark.parametrize("text", ATTACKS, ids=lambda text: ascii(text)[:40])
def test_nothing_but_arithmetic_is_read(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        value = parse(text, ["x"]).value({"x": np.array([1.0, 2.0])})
    except AmplifyError as error:
        assert "\n" not in " ".join(str(error).split(" ")) or "\n" in text
        assert "expected" in str(error) and len(str(error)) < 3000
    else:  # deep but harmless arithmetic may be read
        assert np.asarray(value).dtype in (np.float64, bool)
        assert set(text) <= set("x+-*9() not >1sqrt")
    assert not list(tmp_path.iterdir())


HUGE_POWERS = """
import numpy as np
from amplify.tables.expressions import parse
print(parse("x * 9**9**9**9**9", ["x"]).value({"x": np.ones(2)}))
"""


def test_huge_powers_take_no_time():
    """Whole numbers of Python would need all memory for 9**9**9**9; numbers here are doubles."""
    command = [sys.executable, "-c", HUGE_POWERS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[inf inf]", done.stderr


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=40)
    | st.text(alphabet="xyaj0123.+-*/%<>=!&|~()[]`,: andortsqhpumc_'\"\n", max_size=40)
)
def test_random_text_raises_nothing_else(text):
    known = names_of(["x", "y", "pt [GeV]"], {"a": (3,), "j": (None,)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            expression = parse(text, known)
        except AmplifyError as error:
            assert str(error)
            return
    assert expression.needs and set(expression.needs) <= {"x", "y", "pt [GeV]", "a", "j"}


@pytest.fixture
def table(tmp_path):
    np.savez(
        tmp_path / "t.npz",
        x=np.array([1.0, 2.0, 4.0], np.float32),
        y=np.array([3.0, 2.0, 1.0], np.float32),
        w=np.ones(3),
    )
    opened = files.open_sample(str(tmp_path / "t.npz"))
    yield opened
    opened.close()


def test_columns_of_a_sample(table):
    selection = files.select(table, ["x", "r=hypot(x, y)", "x*y", "x0 = x"], "w * 2")
    assert selection.names == ["x", "r", "x*y", "x0"]
    events = files.load(selection)
    x, y = np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.0, 1.0])
    np.testing.assert_array_equal(events.x, np.stack([x, np.hypot(x, y), x * y, x], axis=1))
    np.testing.assert_array_equal(events.weight, [2, 2, 2])


# what was wrong once


def test_counted_conditions_are_numbers():
    """How many of two leptons pass."""
    columns = {"a": np.array([30.0, 10.0, 30.0]), "b": np.array([30.0, 30.0, 10.0])}
    for text, expected in {
        "(a > 20) + (b > 20)": [2, 1, 1],
        "(a > 20) + (b > 20) >= 2": [True, False, False],
    }.items():
        np.testing.assert_array_equal(parse(text, ["a", "b"]).value(columns), expected)


@pytest.mark.parametrize("text", ["(x > 1) - (y > 1)", "-(x > 1)", "sign(x > 1)", "exp(x > 1)"])
def test_conditions_in_arithmetic_are_refused_or_numbers(text):
    x, y = np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.0, 1.0])
    a, b = (x > 1).astype(float), (y > 1).astype(float)
    expected = {
        "(x > 1) - (y > 1)": a - b,
        "-(x > 1)": -a,
        "sign(x > 1)": np.sign(a),
        "exp(x > 1)": np.exp(a),
    }[text]
    try:
        value = parse(text, ["x", "y"]).value({"x": x, "y": y})
    except AmplifyError:
        return
    np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("name", ["µ_pt", "ﬁt"])
def test_unicode_names_are_the_names_of_the_file(name):
    value = parse(f"{name} > 1", [name]).value({name: np.array([0.0, 2.0])})
    np.testing.assert_array_equal(value, [False, True])


def test_a_new_x_of_the_old_x_is_double_precision(table):
    new, other = (files.load(files.select(table, [text])).x for text in ("x=x/3", "z=x/3"))
    np.testing.assert_array_equal(new, other)


def test_a_slip_of_the_keyboard_warns_nobody():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        parse("x>1and y<2", ["x", "y"])
    assert not caught


def test_a_quoted_name_hides_no_column():
    columns = {"x y": np.array([1.0]), "_quoted_0_": np.array([5.0])}
    np.testing.assert_array_equal(parse("`x y` + _quoted_0_", list(columns)).value(columns), [6.0])


def test_the_list_of_functions_is_short_and_pure():
    assert len(FUNCTIONS) < 40
    assert all(isinstance(function, np.ufunc) for function in FUNCTIONS.values())
    assert not any(hasattr(expressions, name) for name in ("eval", "exec", "compile"))
