"""Which events could have been data: all lines of a file of cuts, in NumPy and in JAX."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.regions import passes
from amplify.regions.cuts import read_cuts
from amplify.tables.expressions import FUNCTIONS, parse

NAMES = ["pt", "eta", "m [GeV]"]
RNG = np.random.default_rng(0)
# thousandths of a hundredth lie apart from every edge below in single precision, too
X = np.stack([RNG.uniform(0, 100, 3000), RNG.normal(0, 2, 3000), RNG.uniform(60, 120, 3000)], 1)
X = np.round(X, 2) + 0.00317
PT, ETA, M = X.T

# a file of cuts, and the same in NumPy
FILES = {
    "a: pt > 20": PT > 20,
    "a: pt > 20\nb: abs(eta) < 2.5": (PT > 20) & (np.abs(ETA) < 2.5),
    "a: pt > 20 or eta > 1\nb: not eta > 2": ((PT > 20) | (ETA > 1)) & (ETA <= 2),
    "a: [pt > 20, eta < 1]\nb: {'m [GeV]': [80, 100]}": (PT > 20)
    & (ETA < 1)
    & (M >= 80)
    & (M < 100),
    "a: {pt: [null, 50], eta: [-1, null]}": (PT < 50) & (ETA >= -1),
    "a: {pt: [null, null]}": np.ones(len(X), bool),
    "a: 20 < pt <= 60 != eta": (PT > 20) & (PT <= 60),
    "a: (pt > 20) + (eta > 0) + (`m [GeV]` > 90) >= 2": (PT > 20) * 1 + (ETA > 0) + (M > 90) >= 2,
    "a: sqrt(pt**2 + `m [GeV]`**2) * cosh(eta) > 200": np.sqrt(PT**2 + M**2) * np.cosh(ETA) > 200,
    "a: pt % 10 < 5 and sign(eta) == 1": (PT % 10 < 5) & (ETA > 0),
    "a: minimum(pt, 2**5) > pi * 3": np.minimum(PT, 32) > 3 * np.pi,
    "a: log(pt - 20) > 0": PT > 21,  # nan does not pass
    "a: ~(pt > 20) | (eta > 1) & (eta < inf)": ~(PT > 20) | (ETA > 1),
}


def _passes(tmp_path, text, names=NAMES):
    file = tmp_path / "cuts.yaml"
    file.write_text(text)
    return passes(file, names)


@pytest.mark.parametrize("text", FILES)
def test_all_lines_of_a_file_hold(tmp_path, text):
    """In JAX in single precision, under jit and vmap: X lies on no edge."""
    function = _passes(tmp_path, text)
    np.testing.assert_array_equal(function(X), FILES[text])
    single = jnp.asarray(X, jnp.float32)
    result = function(single)
    assert isinstance(result, jax.Array) and result.dtype == bool
    np.testing.assert_array_equal(result, FILES[text])
    np.testing.assert_array_equal(jax.jit(function)(single), FILES[text])
    of_members = jax.jit(jax.vmap(function))(single.reshape(3, 1000, 3))
    np.testing.assert_array_equal(np.asarray(of_members).ravel(), FILES[text])


@pytest.mark.usefixtures("x64")
def test_in_double_precision_jax_sees_what_numpy_sees(tmp_path):
    function = _passes(tmp_path, "a: pt > .1\nb: eta < .7")
    near = np.array([[0.1 + 1e-12, 0.7 - 1e-12, 0.0], [0.1, 0.0, 0.0], [1.0, 0.7, 0.0]])
    np.testing.assert_array_equal(function(near), [True, False, False])
    np.testing.assert_array_equal(jax.jit(function)(jnp.asarray(near)), [True, False, False])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_jaxs_too(name):
    """To 1e-5: single precision."""
    u, v = np.random.default_rng(1).uniform(0.01, 0.99, (2, 500))
    columns = {"u": u + (name == "arccosh"), "v": v}
    given = ["u", "v"][: FUNCTIONS[name].nin]
    value = parse(f"2 * {name}({', '.join(given)}) - 1", ["u", "v"]).value
    in_jax = jax.jit(value)({key: jnp.asarray(c, jnp.float32) for key, c in columns.items()})
    assert in_jax.dtype == jnp.float32
    np.testing.assert_allclose(in_jax, value(columns), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(value(columns), 2 * FUNCTIONS[name](*map(columns.get, given)) - 1)


def test_what_is_not_finite_never_passes(tmp_path):
    function = _passes(tmp_path, "a: not pt > 50")
    for value in (np.nan, np.inf, -np.inf):
        for column in range(3):  # also one that is in no cut
            bad = np.full((2, 3), 10.0)
            bad[1, column] = value
            np.testing.assert_array_equal(function(bad), [True, False])
            np.testing.assert_array_equal(jax.jit(function)(jnp.asarray(bad)), [True, False])


def test_whole_numbers_of_jax_are_numbers(tmp_path):
    function = _passes(tmp_path, "a: 50 - n / 2 < 0\nb: 2 ** -n < 1", ["n"])
    n = np.array([[99], [100], [101], [200]], np.uint8)
    np.testing.assert_array_equal(function(n), [False, False, True, True])
    np.testing.assert_array_equal(function(jnp.asarray(n)), [False, False, True, True])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: pt > 20\nb: pz > 3", r"cuts\.yaml line 2: expected one of the columns pt, eta"),
        ("a: pt > 20\n\nb: pt + 1", r"cuts\.yaml line 3: expected a condition like pt > 400"),
        ("a: pt > 20\na: eta > 1", r"cuts\.yaml line 2: region a: expected different labels"),
        ("- pt > 20", r"cuts\.yaml line 1: expected regions like"),
        ("a: {pt: [3, 1]}", r"cuts\.yaml line 1: region a: expected \[low, high\]"),
        ("", "an empty file"),
    ],
)
def test_errors_name_the_line(tmp_path, text, words):
    with pytest.raises(InputError, match=words) as caught:
        _passes(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_it_can_be_pickled_and_told_from_others(tmp_path):
    function = _passes(tmp_path, "a: pt > 20")
    again = pickle.loads(pickle.dumps(function))
    assert again == function and hash(again) == hash(function)
    np.testing.assert_array_equal(again(X), PT > 20)
    assert passes(read_cuts(tmp_path / "cuts.yaml"), NAMES) == function
    assert passes(str(tmp_path / "cuts.yaml"), ["eta", "pt"]) != function
