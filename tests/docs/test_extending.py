"""The examples of docs/extending, run as they stand: each file is written to a folder outside the
package, imported from there, and must pass the tests that the page gives.
"""

import importlib
import inspect
import re
import sys

import matplotlib.pyplot as plt
import pytest

from tests.docs.pages import DOCS, blocks

FILES = {block.file: block for block in blocks(DOCS / "extending.md") if block.file}
SLOW = ["test_training_finds_the_truth_and_members_reach_a_result"]
CONTRACTS = [name.removesuffix(".py") for name in FILES if name.startswith("test_")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of the page in a folder that Python looks into, for the time of these tests."""
    path = tmp_path_factory.mktemp("extending")
    for name, block in FILES.items():
        (path / name).write_text(block.text)
    modules = [name.removesuffix(".py") for name in FILES]
    assert not set(modules) & set(sys.modules), "an example is called like a module that is there"
    sys.path.insert(0, str(path))
    plt.switch_backend("agg")
    yield path
    sys.path.remove(str(path))
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture(autouse=True)
def formats():
    """Formats that an example registers are forgotten again."""
    from amplify.tables.formats import READERS

    known = dict(READERS)
    yield
    READERS.clear()
    READERS.update(known)


def _tests(contract):
    """Names of the test functions of a file."""
    return re.findall(r"^def (test_\w+)", FILES[f"{contract}.py"].text, re.M)


def test_each_kind_of_extension_has_a_contract():
    assert CONTRACTS == [
        "test_gaussian_ratio",
        "test_mean_spread",
        "test_laplace",
        "test_tab_separated",
        "test_noise_share",
    ]
    assert all(contract.removeprefix("test_") + ".py" in FILES for contract in CONTRACTS)


@pytest.mark.parametrize(
    ("contract", "name"),
    [
        pytest.param(file, name, marks=[pytest.mark.slow] if name in SLOW else ())
        for file in CONTRACTS
        for name in _tests(file)
    ],
)
def test_contract(contract, name, folder, formats, request):
    if contract == "test_tab_separated":  # the registration of an earlier test is forgotten
        sys.modules.pop("tab_separated", None)
        sys.modules.pop(contract, None)
    function = getattr(importlib.import_module(contract), name)
    marks = [mark.args for mark in getattr(function, "pytestmark", [])]  # of parametrized tests
    cases = [{names: value} for names, values in marks for value in values] or [{}]
    for case in cases:
        wanted = [key for key in inspect.signature(function).parameters if key not in case]
        function(**case, **{key: request.getfixturevalue(key) for key in wanted})


def test_an_estimate_becomes_a_result(folder, capsys):
    importlib.import_module("as_result")
    assert "pt > 100" in capsys.readouterr().out
