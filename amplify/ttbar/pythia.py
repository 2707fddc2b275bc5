"""Pythia 8 (arXiv:2203.11601): what is generated, and a generator that is silent and has a seed."""

import warnings
from typing import Any

from amplify.errors import InputError, MissingExtraError

PACKAGES = (("Pythia 8", "pythia8mc"), ("Pythia 8", "awkward"))  # (name for people, module)
# pp at 13 TeV, t tbar -> b q q' bbar q q'
FULLY_HADRONIC_TOP_PAIRS = (
    "Print:quiet=on",
    "Beams:eCM=13000.",
    "Top:gg2ttbar=on",
    "Top:qqbar2ttbar=on",
    "24:onMode=off",
    "24:onIfAny=1 2 3 4 5",
)
SEEDED = "Random:setSeed=on"


def started(settings: tuple[str, ...], seed: int) -> Any:
    """Pythia 8, silent and initialised, with a seed of 1 to 9e8.

    Raises:
        InputError: a release of Pythia that does not know a setting.
        MissingExtraError: Pythia is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of awkward and pythia8mc about each other
        try:
            import pythia8mc
        except ImportError as error:
            raise missing("Pythia 8", "pythia8mc") from error
        pythia = pythia8mc.Pythia("", False)
        for line in (*settings, f"Random:seed={seed}"):
            if not pythia.readString(line):
                fix = "install the tested release: pip install '.[ttbar]'"
                raise InputError("Pythia 8", "a setting it knows", line, fix)
        pythia.init()
    return pythia


def missing(name: str, module: str) -> MissingExtraError:
    """The error of a package that is not installed."""
    fix = "pip install '.[ttbar]' in the directory of amplify"
    return MissingExtraError(name, f"the package {module}", "no such package", fix)


def chunk_seed(seed: int, index: int) -> int:
    """Pythia's seed of a chunk of events."""
    return 1 + (100_003 * seed + index) % 899_999_999
