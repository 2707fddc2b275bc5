"""Generated events of which only some pass the cuts: drawn, parted, counted."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from amplify.external.protocol import MemberError, RefusedError, Sample, arrays, mixed_weights
from amplify.types import Events

Passing = Callable[[Any], Any]  # events [n, dim] -> [n] booleans

LEAST = 0.01  # acceptance below which a generator is lost
BLOCK = 1 << 16  # events drawn at once, and the least: half of them passing, Z is known to .002
_ROUNDING = 1e-3  # share of training events that may lie just outside of the cuts
_NOT_FINITE = 0.01  # of the generated events; more, and the training is lost


class Acceptance(NamedTuple):
    """The share Z of generated events that pass the cuts, and its standard error."""

    value: float
    error: float


class Candidates(NamedTuple):
    """Generated events as they came.

    Attributes:
        acceptance: how many of them pass.
        rejected: those that fail.
    """

    acceptance: Acceptance
    rejected: Events


def parted(
    sample: Sample, passes: Passing, random: np.random.Generator, dtype: np.dtype, n_pass: int
) -> Candidates:
    """Generates events until n_pass of them have passed, and some more at least for Z; those are
    not kept.
    """
    rejected: list[Events] = []
    sums = np.zeros(4)  # of w and of w^2, each of events that pass and of those that fail
    drawn, enough, z = 0, BLOCK, 1.0
    while drawn < enough:
        size = min(BLOCK, enough - drawn)
        events = draw(sample, size, random, dtype)
        held = which_pass(passes, events.x)
        weight = np.ones(len(held)) if events.weight is None else events.weight
        parts = weight[held], weight[~held]
        sums += [part.sum() for part in (*parts, parts[0] ** 2, parts[1] ** 2)]
        rejected.append(events.take(~held))
        drawn += size
        z = sums[0] / (sums[0] + sums[1])
        enough = max(BLOCK, math.ceil(n_pass / max(z, LEAST)))
    variance = (1 - z) ** 2 * sums[2] + z**2 * sums[3]
    error = math.sqrt(variance) / abs(sums[0] + sums[1])
    return Candidates(Acceptance(float(z), float(error)), joined(rejected))


def refuse_failing(what: str, failing: np.ndarray) -> None:
    """Refuses a sample that the cuts cannot have made; one in a thousand events may fail, for
    rounding.

    Args:
        what: the sample.
        failing: whether each of its events fails [n].

    Raises:
        RefusedError: more of them fail.
    """
    n = int(failing.sum())
    if n > _ROUNDING * len(failing):
        got, fix = f"{n} of {len(failing)} that fail", "correct the cuts, or cut the events"
        raise RefusedError(what, "events that pass the cuts", got, fix)


def which_pass(passes: Passing, x: np.ndarray) -> np.ndarray:
    """Whether each event passes, in NumPy; one with nan or infinity does not."""
    held = np.asarray(passes(x))
    if held.shape != (len(x),) or held.dtype != bool:
        expected = f"booleans of shape ({len(x)},) of {len(x)} events"
        got = f"{held.dtype} of shape {held.shape}"
        raise RefusedError("passes", expected, got, "return one boolean per event")
    return held & np.isfinite(x).all(axis=1)


def draw(sample: Sample, n: int, random: np.random.Generator, dtype: np.dtype) -> Events:
    """Generated events that are finite; the others count neither as passing nor as failing."""
    call = f"sample({n}, seed)"
    x, weight = arrays(sample(n, int(random.integers(2**31))))
    if x.ndim != 2 or len(x) != n or (weight is not None and weight.shape != (n,)):
        fix = "return one row per event, and one weight"
        raise MemberError("generator", f"{n} events from {call}", f"shape {x.shape}", fix)
    with np.errstate(over="ignore"):
        x = x.astype(dtype)
    finite = np.isfinite(x).all(axis=1)
    if (~finite).sum() > _NOT_FINITE * n + 5:
        got, fix = f"{finite.mean():.1%} finite ones", "the training may have diverged"
        raise MemberError("generator", f"finite events from {call}", got, fix)
    return Events(x, weight).take(finite)


def joined(several: list[Events]) -> Events:
    """One sample of several, of which all have weights or none has."""
    x = np.concatenate([events.x for events in several])
    weights = [events.weight for events in several if events.weight is not None]
    if len(weights) not in (0, len(several)):
        raise mixed_weights()
    return Events(x, np.concatenate(weights) if weights else None)
