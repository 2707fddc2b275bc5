"""Networks as small as these compile for longer than they run."""

import pytest

from tests import compiled


@pytest.fixture(scope="module", autouse=True)
def _compiled_quickly():
    with compiled.quickly():
        yield
