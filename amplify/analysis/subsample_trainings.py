"""Trainings on disjoint subsamples of the training events, one after the other: of a Generator in
JAX, of a user's function, or those that a user made and has files of.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import DivergedError, InputError
from amplify.external.protocol import Order, fit_member, generate, probe, training_rows
from amplify.progress import Progress, silent
from amplify.summaries import LogProb
from amplify.types import Events, Generator

PARTS = (64, 32, 16, 8, 4, 2)  # sizes of subsamples: n over these
TRAININGS = 8  # of each size at most
FEWEST = 100  # events of a subsample, where sizes are chosen for the user
_N_GEN, _PER_EVENT = 20_000, 4  # generated events: at least, and for each training event


class Trained(NamedTuple):
    """One training on a subsample.

    Attributes:
        size: of the subsample.
        seen: which of the events it has learned from, places or a slice; None where the test is on
            others.
        generated: events that it generated.
        log_prob: its log density, or None.
    """

    size: int
    seen: Any
    generated: Events
    log_prob: LogProb | None = None


class Plan(NamedTuple):
    """What is trained.

    Attributes:
        parts: the training events over these are the sizes.
        trainings: of each size at most; there are only 2 halves.
        n_gen: events of each training; None for 4 for each training event, at least 20000.
        seed: of the subsamples and the trainings.
    """

    parts: Sequence[int]
    trainings: int = TRAININGS
    n_gen: int | None = None
    seed: int = 0

    def size(self, n: int, part: int) -> int:
        """Events of a subsample."""
        return n // part

    def count(self, part: int) -> int:
        """Trainings of that size."""
        return min(self.trainings, part)

    def generated(self, n: int, part: int) -> int:
        """Events of each."""
        return self.n_gen or max(_N_GEN, _PER_EVENT * self.size(n, part))


def planned(
    n: int,
    *,
    parts: Sequence[int] | None = None,
    trainings: int = TRAININGS,
    n_gen: int | None = None,
    seed: int = 0,
) -> Plan:
    """A plan for n training events.

    >>> planned(10_000).parts, planned(1000).parts
    ((64, 32, 16, 8, 4, 2), (8, 4, 2))

    Args:
        n: training events.
        parts: sizes of subsamples are n over these; None for n/64 to n/2, but no fewer than 100
            events.
        trainings: of each size at most.
        n_gen: events of each training.
        seed: of subsamples and trainings.

    Raises:
        InputError: fewer than two sizes, or numbers that make no sense.
    """
    if parts is None:
        parts = [part for part in PARTS if n // part >= FEWEST]
        if len(parts) < 2:
            fix = f"give {4 * FEWEST} or more, or name smaller subsamples with --parts"
            expected = f"enough for subsamples of {FEWEST} and twice as many"
            raise InputError("training events", expected, str(n), fix)
    chosen = tuple(sorted(set(parts), reverse=True))
    if len(chosen) < 2 or chosen[-1] < 2 or n // chosen[0] < 2:
        expected = "at least two different ones, from 2 on, that leave 2 events each"
        fix = "64 32 16 8 4 2 are usual"
        raise InputError("--parts", expected, " ".join(map(str, parts)), fix)
    if trainings < 2:
        fix = "8 are usual"
        raise InputError("--trainings", "at least 2 of each size", str(trainings), fix)
    if n_gen is not None and n_gen < 1:
        raise InputError("--n-gen", "at least 1", str(n_gen), "leave it out")
    return Plan(chosen, trainings, n_gen, seed)


def by_generator(
    generator: Generator,
    x: np.ndarray,
    weight: np.ndarray | None,
    plan: Plan,
    *,
    config: Callable[[int], Any] | None = None,
    progress: Progress = silent,
) -> Iterator[Trained]:
    """Trains a Generator of JAX on every subsample; those of one size together.

    Args:
        generator: what is trained.
        x: all training events [n, dim].
        weight: of the events.
        plan: of the subsamples.
        config: training events -> `FitConfig`; default `FitConfig.for_integrals`.
        progress: of the trainings.

    Raises:
        InputError: as `amplify.fit`.
        DivergedError: all trainings of one size diverged.
    """
    import jax

    from amplify.training.fit import FitConfig, fit_members

    config_of = FitConfig.for_integrals if config is None else config
    key = jax.random.key(plan.seed)
    for part in plan.parts:
        size, count = plan.size(len(x), part), plan.count(part)
        pieces = [training_rows(len(x), m, plan.seed, f"1/{part}") for m in range(count)]
        key_part = jax.random.fold_in(key, part)
        key_fit, key_sample = jax.random.split(key_part)
        keys = jax.random.split(key_fit, count)
        settings: dict[str, Any] = {"weight": weight, "config": config_of(size)}
        with progress(f"{count} trainings on {size} events") as bar:
            try:
                ensemble = fit_members(
                    keys, generator, x, np.stack(pieces), progress=bar.losses, **settings
                )
            except DivergedError as error:
                ensemble: Any = error.ensemble
                lost = int((np.asarray(ensemble.diverged_at) >= 0).sum())
                if lost == count:
                    raise
                what = f"{lost} of {count} trainings on {size} events diverged and are left out"
                warnings.warn(what, stacklevel=2)
        n_gen = plan.generated(len(x), part)
        for m in np.flatnonzero(np.asarray(ensemble.diverged_at) < 0):
            fitted = ensemble[int(m)]
            generated = Events(fitted.sample(jax.random.fold_in(key_sample, int(m)), n_gen))
            known = generator.log_prob is not None
            yield Trained(size, pieces[m], generated, fitted.log_prob if known else None)


def by_function(
    fit: Callable[..., Any],
    x: np.ndarray,
    weight: np.ndarray | None,
    plan: Plan,
    *,
    progress: Progress = silent,
) -> Iterator[Trained]:
    """Trains a user's function fit(x_train, seed) -> sample(n, seed) on every subsample, in this
    process; the subsamples and seeds are those of the command.

    Raises:
        InputError: what `amplify.external_members` refuses.
        MemberError: a training failed.
    """
    for part in plan.parts:
        size, count = plan.size(len(x), part), plan.count(part)
        with progress(f"{count} trainings on {size} events", total=count) as bar:
            for m in range(count):
                piece = f"1/{part}"
                n_gen = plan.generated(len(x), part)
                order = Order(m, plan.seed, n_gen, x.shape[1], x.dtype)
                sample = fit_member(fit, x, weight, m, plan.seed, piece)
                blocks = list(generate(sample, order, probe(sample, order)))
                weights = [w for _, w in blocks if w is not None]
                events = Events(
                    np.concatenate([block for block, _ in blocks]),
                    np.concatenate(weights) if weights else None,
                )
                bar.advance(1)
                yield Trained(size, training_rows(len(x), m, plan.seed, piece), events)
