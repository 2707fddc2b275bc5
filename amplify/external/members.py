"""Members from a user's own generator, trained one after the other in this process: for notebooks.

The command trains each in a process of its own (`supervise`), which outlives crashes and hangs; the
members are the same.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from amplify.external.completion import Rejecting
from amplify.external.protocol import (
    Block,
    Fit,
    MemberError,
    MemberProgress,
    Order,
    Resample,
    check_numbers,
    fingerprint,
    fit_member,
    generate,
    mixed_weights,
    probe,
    same_events,
    training_events,
)
from amplify.types import Samples


class FailedMembersError(MemberError):
    """Some members failed. `samples` holds those of the others, or None; `failed` maps members to
    their errors.
    """

    def __init__(
        self,
        what: str,
        expected: str,
        got: str,
        fix: str,
        samples: Samples | None = None,
        failed: dict[int, MemberError] | None = None,
    ) -> None:
        super().__init__(what, expected, got, fix)
        self.samples = samples
        self.failed = failed or {}


def external_members(
    fit: Fit,
    x_train: Any,
    *,
    members: int = 8,
    n_gen: int,
    seed: int = 0,
    weight: Any = None,
    resample: Resample = "bootstrap",
    progress: MemberProgress | None = None,
) -> Samples:
    """Trains a user's generator `members` times, each on a bootstrap sample of x_train, and
    generates n_gen events with each.

    >>> def fit(x_train, seed):
    ...     mean, width = x_train.mean(axis=0), x_train.std(axis=0)
    ...     return lambda n, seed: np.random.default_rng(seed).normal(mean, width, (n, 1))
    >>> x = np.random.default_rng(0).normal(size=(100, 1))
    >>> external_members(fit, x, members=3, n_gen=500).x.shape
    (3, 500, 1)

    Args:
        fit: `fit(x_train, seed) -> sample`, `sample(n, seed) -> x [n, dim]` or (x, weight), in any
            framework (`amplify.examples`); wrapped by `amplify.completed` where the events have
            passed cuts.
        x_train: training events [n, dim].
        members: a spread needs 2, a useful interval 8.
        n_gen: events per member, a hundred times n_train for noise that does not matter; asked for
            in blocks of 2^18.
        seed: the same seed gives the same bits where fit and sample honour theirs.
        weight: event weights [n]; fit then takes `weight` as a third parameter.
        resample: "bootstrap" gives each member a resampled training set, "none" the same events to
            all.
        progress: called with (members done, members, note).

    Returns:
        The samples, arrays of NumPy in the precision that the generator gives.

    Raises:
        InputError: events, weights or settings that make no sense, a fit that takes no weights, or
            members that do not differ.
        FailedMembersError: a member failed, after all were tried; the others are in
            `error.samples`. It gives up where the first two fail.
    """
    x_train, weight = training_events(x_train, weight)
    check_numbers(members=members, n_gen=n_gen, seed=seed, resample=resample)
    good: dict[int, Block] = {}
    failed: dict[int, MemberError] = {}
    by_fingerprint: dict[str, int] = {}
    for member in range(members):
        if progress is not None:
            progress(member, members, f"member {member}")
        order = Order(member, seed, n_gen, x_train.shape[1], x_train.dtype)
        try:
            sample = fit_member(fit, x_train, weight, member, seed, resample)
            first = probe(sample, order)
            other = by_fingerprint.setdefault(fingerprint(first), member)
            if other != member:
                raise same_events((other, member))
            blocks = list(generate(sample, order, first))
            if isinstance(sample, Rejecting) and sample.warning:
                warnings.warn(f"member {member}: {sample.warning}", stacklevel=2)
        except MemberError as error:
            failed[member] = error
            if len(failed) > 1 and not good:
                break
        else:
            good[member] = _joined(blocks)
    if progress is not None:
        progress(members, members, "")
    samples = _stacked(good)
    if failed:
        raise _failure(failed, samples, len(good)) from next(iter(failed.values())).__cause__
    assert samples is not None
    return samples


def _joined(blocks: Sequence[Block]) -> Block:
    weights = [weight for _, weight in blocks if weight is not None]
    return np.concatenate([x for x, _ in blocks]), np.concatenate(weights) if weights else None


def _failure(
    failed: dict[int, MemberError], samples: Samples | None, n_good: int
) -> FailedMembersError:
    """The error of the first member that failed, and what became of the others."""
    member, error = next(iter(failed.items()))
    _, expected, got, fix = error.args
    others = f", and {len(failed) - 1} more that failed" if len(failed) > 1 else ""
    left = f"the {n_good} members that trained are in error.samples" if n_good else ""
    return FailedMembersError(
        f"member {member}{others}",
        expected,
        got,
        f"{fix}; {left or 'no member trained'}",
        samples,
        failed,
    )


def _stacked(good: dict[int, Block]) -> Samples | None:
    if not good:
        return None
    weights = [weight for _, weight in good.values() if weight is not None]
    if len(weights) not in (0, len(good)):
        raise mixed_weights()
    # of NumPy: JAX would make single precision of double
    return Samples(np.stack([x for x, _ in good.values()]), np.stack(weights) if weights else None)
