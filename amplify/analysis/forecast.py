"""A forecast of differential amplification from members alone: neither truth nor a holdout, each
member is compared with the pool of the others (docs/method, Forecast without a holdout).

Of a trained ensemble that knows its density the distance is exact but for the number of events; of
events alone it is that of a learned ratio.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from amplify.analysis import samples
from amplify.analysis.questions import check_level, check_limit
from amplify.errors import InputError, NeedsMembersError
from amplify.estimators.forecast import Apart, apart, bracketed
from amplify.estimators.kolmogorov import K1
from amplify.estimators.learned import split, summary_distance
from amplify.progress import Progress, silent
from amplify.results.pools import forecast_record
from amplify.summaries import Learner
from amplify.types import Events

LEARNED_EVENTS = 100_000  # of each member at most, where a ratio is learned
FEWEST_EVENTS = 200  # of each member, or nothing is learned
_FRACTION = 0.5  # of the other members' events that teach


@dataclass(frozen=True, repr=False)
class Forecast:
    """What a member is worth event by event, from members alone.

    Attributes:
        record: what results.json says of it, under `forecast_without_holdout`.
    """

    record: dict[str, Any]

    @property
    def verdict(self) -> str:
        """One sentence."""
        return self.record["verdict"]

    @property
    def n_equiv_interval(self) -> tuple[float, float]:
        """The bracket: bootstrap members give its lower end, members of the same data its upper
        one; 0 and infinity where there are none.
        """
        low, high = self.record["n_equiv_interval"]
        return low or 0.0, np.inf if high is None else high

    def __str__(self) -> str:
        return self.verdict

    def __repr__(self) -> str:
        return f"<Forecast: {self.verdict}>"


def forecast_without_holdout(
    members: Any = None,
    *,
    n_train: int,
    same_data: Any = None,
    key: Any = None,
    n: int = 20_000,
    learner: Learner | None = None,
    level: float = 0.68,
    limit_level: float = 0.95,
    seed: int = 0,
    progress: Progress = silent,
) -> Forecast:
    """How many true events a member is worth event by event, without truth and without a holdout
    (docs/method, Forecast without a holdout).

    >>> import jax
    >>> from amplify.generators.fitted_gaussian import fitted_gaussian
    >>> from amplify.training.ensemble import fit_ensemble
    >>> from amplify.training.fit import FitConfig
    >>> x = np.random.default_rng(0).normal(size=(400, 2))
    >>> config = FitConfig(steps=100, learning_rate=0.1)
    >>> key = jax.random.key(0)
    >>> ensemble = fit_ensemble(key, fitted_gaussian(2), x, members=4, config=config)
    >>> forecast = forecast_without_holdout(ensemble, n_train=400, key=key)
    >>> 100 < forecast.n_equiv_interval[0] < 1000  # about 400 x 4.74 / 4 parameters
    True

    Args:
        members: on bootstrap samples of the training events: a trained `Ensemble`, or events as
            `amplify.averaging` takes them. They bound what a member is worth from below.
        n_train: training events.
        same_data: members that were all trained on the training events as they are. They bound it
            from above.
        key: of the events of ensembles.
        n: events of each member of an ensemble.
        learner: of the ratio of events without a density; default `learned_ratio()`. What it misses
            makes the distance too small: only upper limits come of it.
        level: of the ends of the bracket, two-sided.
        limit_level: of learned limits, one-sided.
        seed: of the choice of events that teach.
        progress: of the learning.

    Raises:
        AmplifyError: one line with what was expected, what came and what to do.
    """
    check_level(level)
    check_limit(limit_level)
    given = {"bootstrap": members, "same_data": same_data}
    kinds = {kind: of_kind for kind, of_kind in given.items() if of_kind is not None}
    if not kinds:
        fix = "give bootstrap members, members of the same data, or both"
        raise NeedsMembersError("members", "of one kind at least", "none", fix)
    if n_train < 1:
        raise InputError(
            "n_train", "at least 1", str(n_train), "give the number of training events"
        )
    if all(_knows_density(of_kind) for of_kind in kinds.values()):
        found = {kind: _by_density(of_kind, key, n) for kind, of_kind in kinds.items()}
        learned = False
    else:
        found = {
            kind: learned_apart(_events(of_kind, key, n), learner, seed=seed, progress=progress)
            for kind, of_kind in kinds.items()
        }
        learned = True
    levels = {"level": level, "limit_level": limit_level}
    return Forecast(as_record(found, n_train=n_train, learned=learned, **levels))


def as_record(
    found: dict[str, Apart], *, n_train: int, learned: bool, level: float, limit_level: float
) -> dict[str, Any]:
    """What results.json says.

    Args:
        found: distances of the members of each kind, "bootstrap" or "same_data".
        n_train: training events.
        learned: the distances are those of a learned ratio, too small.
        level: of the ends of the bracket, two-sided.
        limit_level: of learned limits, one-sided.
    """
    bracket = bracketed(**found, n_train=n_train, level=level)
    limits = {kind: _limit(apart, limit_level) for kind, apart in found.items()}
    return forecast_record(
        bracket,
        learned_limit=limits if learned else None,
        members={kind: len(apart.distance) for kind, apart in found.items()},
        distances={kind: apart.distance.tolist() for kind, apart in found.items()},
        n_train=n_train,
        level=level,
        limit_level=limit_level,
    )


def learned_apart(
    members: Sequence[Events],
    learner: Learner | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Apart:
    """Distance of each member to the others in a learned ratio, too small by what it misses. Half
    of the others' events teach, the other half are tested.

    Args:
        members: events of each.
        learner: of the ratio; default `learned_ratio()`.
        seed: of the halves.
        progress: of the learning.
    """
    if learner is None:
        from amplify.summaries.default import learned_ratio

        learner = learned_ratio()
    if len(members) < 2:
        fix = "train more members"
        raise NeedsMembersError("members", "at least 2, better 4 or more", f"{len(members)}", fix)
    found = []
    with progress("members against the others", total=len(members)) as bar:
        for m, member in enumerate(members):
            others = _pooled([e for k, e in enumerate(members) if k != m], len(member.x))
            parts = split(learner, member, others, fraction=_FRACTION, seed=seed)
            found.append(summary_distance(parts.summary, parts.generated, parts.holdout))
            bar.advance(1)
    distance, error = map(np.array, zip(*found, strict=True))
    return Apart(distance, error)


def _limit(found: Apart, limit_level: float) -> float | None:
    """The n_equiv that learned distances stay below, None where they see nothing; with a pool of
    infinitely many others, as in `n_equiv_of`.
    """
    members = len(found.distance)
    shrink = np.sqrt((members - 1) / members)
    error = np.sqrt(max(found.distance.var(ddof=1), float((found.error**2).mean())) / members)
    low = float(shrink * (found.distance.mean() - ndtri(limit_level) * error))
    return (K1 / low) ** 2 if low > 0 else None


def _knows_density(members: Any) -> bool:
    generator = getattr(members, "generator", None)
    return getattr(generator, "log_prob", None) is not None


def _by_density(ensemble: Any, key: Any, n: int) -> Apart:
    x = _generated(ensemble, key, n)
    log_prob = ensemble.log_prob(x.reshape(-1, x.shape[-1]))
    return apart(log_prob, np.repeat(np.arange(len(x)), x.shape[1]))


def _generated(ensemble: Any, key: Any, n: int) -> np.ndarray:
    if key is None:
        fix = "give jax.random.key(0) or another"
        raise InputError("key", "a key for the generated events", "none", fix)
    return np.asarray(ensemble.sample(key, n).x)


def _events(members: Any, key: Any, n: int) -> list[Events]:
    """Events of each member in memory."""
    if hasattr(members, "params") and hasattr(members, "sample"):
        return [Events(x) for x in _generated(members, key, n)]
    from amplify.tables import files

    loaded = []
    for m, member in enumerate(samples.split_members(members)):
        table = samples.open_as_table(member, f"member {m}")
        selection = files.select(table, None, samples.weight_of([member], None))
        loaded.append(files.spread(selection, LEARNED_EVENTS))
        table.close()
    return loaded


def _pooled(others: Sequence[Events], size: int) -> Events:
    """As many events of each of them, about `size` in all."""
    each = min(min(len(events.x) for events in others), max(size // len(others), 1))
    taken = [events.take(slice(each)) for events in others]
    if any(events.weight is not None for events in taken):
        shares = []
        for events in taken:
            weight = np.ones(each) if events.weight is None else events.weight
            shares.append(weight * (each / weight.sum()))
        return Events(np.concatenate([e.x for e in taken]), np.concatenate(shares))
    return Events(np.concatenate([events.x for events in taken]))
