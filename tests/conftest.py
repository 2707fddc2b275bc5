"""Strict habits for all tests: shapes checked at run time, no silent rank promotion, warnings are
errors, two CPU devices.
"""

from jaxtyping import install_import_hook

import tests.typechecker  # noqa: F401  the hook looks it up by name

install_import_hook("amplify", "tests.typechecker.check")

import gc  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

import jax  # noqa: E402
import pytest  # noqa: E402
import scipy.linalg  # noqa: E402, F401  so that its threads are known, too
from threadpoolctl import threadpool_limits  # noqa: E402

collect_ignore_glob = ["nets/references/*"]  # scripts that need PyTorch

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")

# one thread of linear algebra and of OpenMP a process: several wait for each other where cores are
# busy, three times as long as one works
threadpool_limits(1, user_api="blas")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# processes that tests start run the code that is tested, whatever is installed
_ROOT = str(Path(__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(
    [_ROOT, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
)

# tracing makes many objects that live shortly; looking for circles took a twentieth of the time
gc.set_threshold(20_000)

# results.json that a test writes, here or in a process of its own, follows the schema
os.environ["PYTHONWARNINGS"] = "error:results.json is not as its schema says"


# what one test or process has compiled, others of the same run take from a folder
_CACHE = "JAX_COMPILATION_CACHE_DIR"
_OWN_CACHE = None if _CACHE in os.environ else tempfile.mkdtemp(prefix="amplify-compiled-")
if _OWN_CACHE is not None:  # in the first process; workers and commands inherit it
    os.environ[_CACHE] = _OWN_CACHE
jax.config.update("jax_compilation_cache_dir", os.environ[_CACHE])
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def pytest_unconfigure():
    """The folder goes with the process that made it."""
    if _OWN_CACHE is not None:
        shutil.rmtree(_OWN_CACHE, ignore_errors=True)


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def no_page(monkeypatch):
    """Commands draw no page, which takes a second."""
    monkeypatch.setattr("amplify.report.page.write_page", lambda results, path: None)
