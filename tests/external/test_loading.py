"""`package.module:function` to the function."""

import pytest

from amplify.errors import InputError
from amplify.external.loading import load_function
from tests.external.generators import X

MODULES = {
    "needs": "import nothing_of_this_name\n",
    "syntax": "def fit(:\n",
    "value": "fit = 3\nclass Model:\n    @staticmethod\n    def fit(x, seed): return None\n",
}
# a name, and words of the error
NAMES = {
    "gen": "expected package.module:function, got 'gen'; name the module",
    "gen:": "got 'gen:'",
    "dir/gen.py": "got the name of a file; write gen:fit in the directory of that file",
    "nowhere:fit": "got no module nowhere; check the name",
    "there.at.all:fit": "got no module there.at;",
    "needs:fit": (
        "needs:fit: expected to import needs, got ModuleNotFoundError:"
        " No module named 'nothing_of_this_name' (needs.py line 1); correct"
    ),
    "syntax:fit": "got SyntaxError: ",
    "gen:fit": "expected a function of gen, got no fit in it",
    "value:fit": "expected a function fit(x_train, seed), got a int",
}


@pytest.fixture
def modules(here):
    for name, text in MODULES.items():
        (here / f"{name}.py").write_text(text)
    (here / "there").mkdir()
    return here


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_cannot_be_loaded_is_one_line(modules, name):
    with pytest.raises(InputError) as caught:
        load_function(name)
    assert NAMES[name] in str(caught.value) and "\n" not in str(caught.value), str(caught.value)


def test_a_method_is_a_function(modules):
    assert load_function("value:Model.fit")(X, 0) is None
