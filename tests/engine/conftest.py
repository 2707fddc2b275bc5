"""One cluster of two processes for the tests of a file."""

import pytest

from amplify.engine.dask import opened


@pytest.fixture(scope="module")
def cluster():
    """What `--dask local:2` opens."""
    said = []
    with opened("local:2", say=said.append) as engine:
        assert said[0].startswith("2 workers of local:2, dashboard http://127.0.0.1:")
        yield engine
