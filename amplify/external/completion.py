"""A user's generator that learns from events that passed cuts, in any framework, by completion
rounds (docs/your_data_have_cuts).

A smooth generator leaks over the edges of its data, and what leaks is missing inside. So the data
are completed with the generator's own events that fail the cuts, at total weight (1 - Z) / Z of the
data, Z being the share of generated events that pass, and the generator is trained again on both:
expectation maximisation for truncated data (Dempster, Laird and Rubin, J. R. Stat. Soc. B 39
(1977) 1, section 4.2). Events that fail are rejected when it is sampled.

A round brings Z nearer by a part that the cuts decide, and a smaller one the deeper they cut.
Therefore the weight runs ahead of Z along its last step, but in the last rounds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from amplify.errors import InputError
from amplify.external.candidates import (
    BLOCK,
    LEAST,
    Acceptance,
    Passing,
    draw,
    joined,
    parted,
    refuse_failing,
    which_pass,
)
from amplify.external.protocol import (
    Fit,
    MemberError,
    Sample,
    check_takes_weight,
    takes_weight,
    training_events,
)
from amplify.types import Events

Progress = Callable[[int, int, str], None]  # rounds done, rounds in all, what came of it

ROUNDS = 8
_AHEAD = 0.7  # of the last step of log odds; chosen on truncated Gaussians of Z = .3 to .98
_PLAIN = 0.3  # share of the rounds, the last ones, whose weight does not run ahead
_MORE = 2  # rejected events, of smaller weight, for a fit that takes weights
_MOST = 1 << 24  # candidates drawn to accept one block
_SMALL = 0.01  # a relative change of Z over the last rounds


@dataclass(frozen=True)
class Completed:
    """A fit with the protocol of the one that it wraps; see `completed`."""

    fit: Fit
    passes: Passing
    rounds: int = ROUNDS
    progress: Progress | None = None

    def __call__(self, x_train: Any, seed: int, weight: Any = None) -> "Rejecting":
        """Trains `rounds` + 1 times; returns sample(n, seed) of events that pass.

        Raises:
            RefusedError: training events that fail the cuts, or weights that fit does not take.
            MemberError: the generator lost the data, Z < 1 %, or broke the protocol.
        """
        x, weight = training_events(x_train, weight)
        if weight is not None:
            check_takes_weight(self.fit)
        refuse_failing("training events", ~which_pass(self.passes, x))
        # rounds differ by their data, not by where the training starts
        sample = _trained(self.fit, x, seed, weight)
        history: list[Acceptance] = []
        for done in range(self.rounds + 1):
            random = np.random.default_rng([seed, done])
            n_pass = _MORE * len(x)  # as many times as many fail as are missing
            candidates = parted(sample, self.passes, random, x.dtype, n_pass)
            history.append(candidates.acceptance)
            if self.progress is not None:
                self.progress(done, self.rounds, said(history))
            _refuse_lost(history)
            if done == self.rounds or history[-1].value >= 1:
                break
            relative = _completing_weight(history, self.rounds - done)
            both = _complete(self.fit, Events(x, weight), candidates.rejected, relative, random)
            sample = _trained(self.fit, both.x, seed, both.weight)
        return Rejecting(sample, self.passes, tuple(history), x.dtype)


def completed(
    fit: Fit, passes: Passing, *, rounds: int = ROUNDS, progress: Progress | None = None
) -> Completed:
    """Wraps a generator whose training events have passed cuts: trained in rounds that complete the
    data with its own rejected events, and sampled by rejection.

    >>> from amplify.examples import plain
    >>> z = np.random.default_rng(0).normal(size=(4000, 1))
    >>> x = z[z[:, 0] > -1]  # the cut moves the mean to .29
    >>> sample = completed(plain.fit, lambda x: x[:, 0] > -1, rounds=8)(x, 0)
    >>> bool((sample(100, 1) > -1).all()), round(sample.acceptance.value, 1)
    (True, 0.8)

    Args:
        fit: `fit(x_train, seed[, weight]) -> sample(n, seed)` in any framework. One that takes
            weights gets rejected events with weights; another one gets as many as are missing.
        passes: x [n, dim] -> [n] booleans, which events could have been data; a function of a
            module, or `amplify.regions.passes`, where processes have to load it.
        rounds: of retraining, each on the data and 1 / Z - 1 times as many rejected events. Six to
            eight serve where Z is above 70 %, more are needed the smaller it is;
            `sample.history` has Z of each.
        progress: called after each training with (rounds done, rounds, Z and its error in words).

    Returns:
        The same protocol, for `external_members` and `amplify averaging --generator`.

    Raises:
        InputError: no round.
    """
    if rounds < 1:
        raise InputError("rounds", "at least 1", str(rounds), "6 to 8 are usual")
    return Completed(fit, passes, rounds, progress)


@dataclass(frozen=True)
class Rejecting:
    """A sampler whose events all pass.

    Attributes:
        candidates: the sampler of the generator, of which some fail.
        passes: the cuts.
        history: the acceptance Z after each training, the first one without completion.
        dtype: of the events.
    """

    candidates: Sample
    passes: Passing
    history: tuple[Acceptance, ...]
    dtype: np.dtype

    @property
    def acceptance(self) -> Acceptance:
        """Z, after the last training."""
        return self.history[-1]

    @property
    def warning(self) -> str:
        """What is wrong with the rounds, in one line, or nothing."""
        return not_settled(self.history)

    def __call__(self, n: int, seed: int) -> Any:
        """Events [n, dim] that pass; (x, weight) where the generator's events have weights."""
        random = np.random.default_rng(seed)
        blocks: list[Events] = []
        missing, drawn = n, 0
        while missing > 0:
            size = min(4 * BLOCK, math.ceil(missing / self.acceptance.value) + 64)
            events = draw(self.candidates, size, random, self.dtype)
            blocks.append(events.take(which_pass(self.passes, events.x)).take(slice(missing)))
            drawn, missing = drawn + size, missing - len(blocks[-1].x)
            if drawn > _MOST and n - missing < drawn * LEAST / 10:
                got, fix = f"{n - missing} of {drawn}", "the training has diverged"
                raise MemberError("sampling", "generated events that pass the cuts", got, fix)
        events = joined(blocks)
        return events.x if events.weight is None else (events.x, events.weight)


def said_of(sample: Any) -> dict[str, Any]:
    """What completion rounds left in a sampler, for a file; nothing in one that had none."""
    if not isinstance(sample, Rejecting):
        return {}
    return {"acceptance": [list(z) for z in sample.history], "warning": sample.warning}


def said(history: list[Acceptance]) -> str:
    """Z of the last training in words."""
    value, error = history[-1]
    return f"{value:.4f} +- {error:.4f} of the generated events pass the cuts"


def not_settled(history: tuple[Acceptance, ...]) -> str:
    """One line where Z still moves: over the last quarter of the rounds, at least two of them, by
    more than 1 % and three of its errors; or nothing.

    Silence proves nothing: deep cuts leave steps below the error of Z.
    """
    rounds = len(history) - 1
    if rounds < 2:
        return ""
    before, now = history[-1 - max(2, rounds // 4)], history[-1]
    moved = now.value - before.value
    if abs(moved) < max(3 * math.hypot(now.error, before.error), _SMALL * now.value):
        return ""
    steps = np.diff([math.log(z.value) for z in history[-4:]])
    falls_faster = len(steps) == 3 and steps[2] < steps[1] < steps[0] < 0
    how = "falls without end" if falls_faster else "still " + ("falls" if moved < 0 else "rises")
    fix = "the generator cannot be completed" if falls_faster else "give more rounds"
    share = "the share of generated events that pass the cuts"
    return f"{share} {how}, from {before.value:.3f} to {now.value:.3f} in the last rounds: {fix}"


def _trained(fit: Fit, x: np.ndarray, seed: int, weight: Any) -> Sample:
    sample = fit(x, seed) if weight is None else fit(x, seed, weight=weight)
    if not callable(sample):
        expected, fix = "fit(x_train, seed) to return a function", "return the function"
        raise MemberError("generator", expected, f"a {type(sample).__name__}", fix)
    return sample


def _completing_weight(history: list[Acceptance], left: int) -> float:
    """Weight of the missing events in units of that of the data: (1 - Z) / Z, moved on along its
    last step, unless few rounds are left.
    """
    odds = [(1 - z.value) / z.value for z in history[-2:]]
    rounds = len(history) - 1 + left
    if len(odds) < 2 or left <= _PLAIN * rounds or not min(odds) > 0:
        return odds[-1]
    return odds[-1] * (odds[-1] / odds[-2]) ** _AHEAD


def _complete(
    fit: Fit, data: Events, rejected: Events, relative: float, random: np.random.Generator
) -> Events:
    """The data and rejected events that weigh `relative` times as much, shuffled; with weights
    where fit takes them.
    """
    if not takes_weight(fit):
        if rejected.weight is not None:
            check_takes_weight(fit)
        n = min(len(rejected.x), round(relative * len(data.x)))
        return Events(random.permutation(np.concatenate([data.x, rejected.x[:n]])))
    rejected = rejected.take(slice(max(1, round(_MORE * relative * len(data.x)))))
    of_data, of_rejected = (_weights(events) for events in (data, rejected))
    of_rejected = of_rejected * (relative * of_data.sum() / of_rejected.sum())
    both = np.concatenate([data.x, rejected.x]), np.concatenate([of_data, of_rejected])
    return Events(*both).take(random.permutation(len(both[0])))


def _weights(events: Events) -> np.ndarray:
    return np.ones(len(events.x)) if events.weight is None else events.weight


def _refuse_lost(history: list[Acceptance]) -> None:
    """Divergence: nothing is left to sample."""
    if history[-1].value >= LEAST:
        return
    falling = ", ".join(f"{z.value:.3g}" for z in history[-4:])
    raise MemberError(
        "completion rounds",
        f"a generator of which {LEAST:.0%} or more passes the cuts",
        f"{falling} after {len(history) - 1} rounds",
        "the cuts leave too little to learn the rest from: take fewer rounds or looser cuts",
    )
