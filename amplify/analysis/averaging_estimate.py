"""From the sums of members and holdout to an answer, and to what the pictures show."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from amplify import regions as rg
from amplify.analysis.compared import Compared
from amplify.analysis.default_regions import Binning, Layout, Map
from amplify.analysis.in_regions import MOST_REGIONS, members_in_regions, overlaps
from amplify.analysis.panels import panel_record
from amplify.errors import EmptyRegionError
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.bias import squared_bias_of_marked
from amplify.estimators.pool import pool_amplification
from amplify.estimators.pooled import pooled_amplification
from amplify.estimators.refit import refit_amplification
from amplify.results.fit_inputs import BINNINGS, TOGETHER
from amplify.results.pools import POOL, pool_record
from amplify.results.refits import REFITS, refit_record
from amplify.results.result import Answer
from amplify.types import AveragingEstimate, Events, Interval, Status


def estimated(
    layout: Layout,
    members: Sequence[rg.Sums],
    holdout: rg.Sums | None,
    *,
    n_train: int,
    level: float,
    limit_level: float,
    named: bool,
    same_data: Sequence[rg.Sums] = (),
    events: Events | None = None,
    train: rg.Sums | None = None,
    refits: Sequence[rg.Sums] = (),
    transfer: float = 0.0,
) -> tuple[Answer, dict[str, Any], list[str]]:
    """The answer, what the pictures show, and warnings about regions that are left out.

    Args:
        layout: what was counted.
        members: sums of each over all regions.
        holdout: the same of the true events.
        n_train: training events of each member.
        level: of the two-sided intervals.
        limit_level: of the limits, one-sided.
        named: the regions are the user's: none is left out, an empty one is an error.
        same_data: sums of members of the same data, for the pool.
        events: some of the members', which tell how regions overlap.
        train: sums of the training events, which stand in for a holdout where there is none.
        refits: sums of members trained on generated events.
        transfer: how well the spread of such members is known to stand for their error.

    Raises:
        EmptyRegionError: no generated events in a region that was named, or in any.
    """
    compared = Compared(holdout, n_train)
    if holdout is None:
        compared = Compared(train, n_train, trained_on=True)
    chosen, usable, notes = _usable(layout, members, [*same_data, *refits], compared.sums, named)
    cells = np.array([], int)
    if layout.map is not None:
        cells = layout.map.regions[usable[layout.map.regions]]
    labels = layout.regions.labels

    def estimate(regions: np.ndarray) -> AveragingEstimate:
        integral, noise_n = _inputs(members, regions, labels)
        return averaging_amplification(
            integral,
            n_train=n_train,
            n_gen=noise_n,
            **compared.given(regions, labels),
            transfer=transfer,
            level=level,
            limit_level=limit_level,
        )

    answer = Answer(
        estimate(chosen),
        tuple(labels[i] for i in chosen),
        n_train=n_train,
        n_gen=min(m.n for m in members),
        n_holdout=None if holdout is None else holdout.n,
        level=level,
        limit_level=limit_level,
        members=len(members),
    )
    views: dict[str, Any] = {"pooled": pooled_worth(answer, *_inputs(members, chosen))}
    views[POOL] = _pool(answer, members, same_data, chosen, compared)
    if refits:
        views[REFITS] = _refits(answer, members, refits, chosen)
    if events is not None and len(chosen) <= MOST_REGIONS:
        in_both = overlaps(layout.regions, chosen, events)
        views[TOGETHER] = members_in_regions(_inputs(members, chosen)[0], in_both)
    views[BINNINGS] = binnings_of(layout.binnings, chosen)
    if layout.scans or layout.panels:
        views["resolution"] = _resolution(layout, members, answer)
    if layout.map is not None:
        in_map = usable[layout.map.regions]
        views["map"] = _mapped(layout.map, in_map, estimate(cells) if len(cells) else None)
    if layout.scans or layout.panels:
        views["panels"] = panels_of(layout, members, holdout)
    return answer, views, notes


def _refits(
    answer: Answer, members: Sequence[rg.Sums], refits: Sequence[rg.Sums], regions: np.ndarray
) -> dict[str, Any]:
    """What refits say in the regions, for results.json."""
    of_members, members_n = _inputs(members, regions, answer.labels)
    integral, noise_n = _inputs(refits, regions, answer.labels)
    levels: dict[str, Any] = {"level": answer.level, "limit_level": answer.limit_level}
    sizes: dict[str, Any] = {"n_gen": noise_n, "n_gen_pool": members_n}
    estimate = refit_amplification(integral, of_members, n_train=answer.n_train, **sizes, **levels)
    noise = (of_members * (1 - of_members) / members_n).mean(axis=0)
    spread = of_members.var(axis=0, ddof=1) - noise
    return refit_record(
        estimate, answer.labels, spread, refits=len(refits), n_train=answer.n_train, **levels
    )


def _pool(
    answer: Answer,
    members: Sequence[rg.Sums],
    same_data: Sequence[rg.Sums],
    regions: np.ndarray,
    compared: Compared,
) -> dict[str, Any]:
    """What the pool of the members is worth in the regions, for results.json."""
    labels = answer.labels
    integral, noise_n = _inputs(members, regions, labels)
    same, same_n = _inputs(same_data, regions, labels) if same_data else (None, None)
    return pool_view(
        answer,
        integral,
        n_gen=noise_n,
        same_data=same,
        n_gen_same=same_n,
        **compared.given(regions, labels),
    )


def pool_view(answer: Answer, integral: np.ndarray, **given: Any) -> dict[str, Any]:
    """The pool of the members of an answer.

    Args:
        answer: of the regions.
        integral: fraction of each member's generated events in each region [member, region].
        **given: what else `pool_amplification` takes of members, samples and holdout.
    """
    levels: dict[str, Any] = {"level": answer.level, "limit_level": answer.limit_level}
    same = given.get("same_data")
    return pool_record(
        pool_amplification(integral, n_train=answer.n_train, **given, **levels),
        answer.labels,
        members=len(integral),
        same_data_members=None if same is None else len(same),
        of=given.get("of", "bootstrap"),
        n_train=answer.n_train,
        **levels,
    )


def _inputs(
    members: Sequence[rg.Sums], regions: Any = slice(None), labels: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Fractions of the members in these regions, and equally noisy numbers of events [member,
    region].
    """
    fractions = [rg.fractions(m.take(regions), labels) for m in members]
    integral = np.stack([f.integral for f in fractions])
    return integral, np.stack([f.n_effective for f in fractions])


def _usable(
    layout: Layout,
    members: Sequence[rg.Sums],
    same_data: Sequence[rg.Sums],
    holdout: rg.Sums | None,
    named: bool,
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Which regions are reported, which of all hold a fraction that can be estimated, and what is
    left out.
    """
    labels, chosen = layout.regions.labels, layout.estimated
    n_inside = np.sum([m.n_inside for m in members], axis=0)
    if holdout is not None:
        n_inside = n_inside + holdout.n_inside  # what only the holdout has is a bias
    empty = [labels[i] for i in chosen if n_inside[i] == 0]
    if empty and named:
        fix = "widen the region or remove it"
        raise EmptyRegionError(
            f"region {empty[0]}", "generated events inside", "none in any member", fix
        )
    every = [*members, *same_data, *([] if holdout is None else [holdout])]
    usable = (n_inside > 0) & np.all([rg.measurable(sums) for sums in every], axis=0)
    notes = []
    if not named:
        dominated = [labels[i] for i in chosen if n_inside[i] > 0 and not usable[i]]
        if dominated:
            where = " and in ".join(dominated)
            what = f"negative weights dominate or cancel in {where}"
            notes.append(f"{what}: no fraction of events, and left out")
        chosen = chosen[usable[chosen]]
    if not len(chosen):
        fix = "name regions with --regions, or look at the weights"
        raise EmptyRegionError("regions", "generated events inside", "none that can be used", fix)
    return chosen, usable, notes


def binnings_of(
    binnings: Sequence[Binning], chosen: np.ndarray, at: str | None = None
) -> list[dict[str, Any]]:
    """Reported regions that are all bins of a column, for results.json: their places among the
    estimates. `at` names a condition that they belong to.
    """
    place = {int(region): i for i, region in enumerate(chosen)}
    records = []
    for binning in binnings:
        if all(int(region) in place for region in binning.regions):
            name = binning.column if at is None else f"{at}: {binning.column}"
            places = [place[int(region)] for region in binning.regions]
            record = {"name": name, "column": binning.column, "edges": binning.edges}
            records.append(record | {"regions": places})
    return records


def _resolution(layout: Layout, members: Sequence[rg.Sums], answer: Answer) -> list[dict[str, Any]]:
    """G of each column's binnings, from coarse to fine."""
    curves: dict[str, dict[str, Any]] = {}
    for scan in layout.scans:
        sums = [m.take(scan.regions) for m in members]
        if not np.all([rg.measurable(m) for m in sums]):
            continue  # negative weights dominate a bin
        if not np.sum([m.n_inside for m in sums], axis=0).all():
            continue  # an empty bin
        factor, status = _pooled_factor(sums, answer)
        curve = curves.setdefault(
            scan.column,
            {
                "column": scan.column,
                "bins": [],
                "amplification": [],
                "low": [],
                "high": [],
                "status": [],
            },
        )
        curve["bins"].append(scan.bins)
        curve["amplification"].append(float(factor.value))
        curve["low"].append(float(factor.low))
        curve["high"].append(float(factor.high))
        curve["status"].append(status.name.lower())
    return list(curves.values())


def _pooled_factor(members: Sequence[rg.Sums], answer: Answer) -> tuple[Interval, Status]:
    """G of all these regions together, at the levels of the answer."""
    return _pooled(answer, *_inputs(members))


def _pooled(
    answer: Answer, integral: np.ndarray, n_gen: Any, **known: Any
) -> tuple[Interval, Status]:
    levels = {"level": answer.level, "limit_level": answer.limit_level}
    return pooled_amplification(integral, n_train=answer.n_train, n_gen=n_gen, **known, **levels)


def pooled_worth(
    answer: Answer, integral: np.ndarray, n_gen: Any, *, share: Any = 1.0, one_event: Any = 1.0
) -> dict[str, Any]:
    """All reported regions together, for results.json: n_equiv = sum I (1 - I) / (sum sigma_model^2
    + sum b^2), with the b of regions that are marked as biased.

    Args:
        answer: of the regions.
        integral: fraction of each member's generated events in each region [member, region].
        n_gen: as for `averaging_amplification`.
        share: as for `pooled_amplification`.
        one_event: the same.
    """
    estimate = answer.estimate
    assert isinstance(estimate, AveragingEstimate)
    some = np.flatnonzero((integral > 0).any(axis=0))
    noise_n = np.broadcast_to(np.inf if n_gen is None else n_gen, integral.shape)
    part, of_one = (np.broadcast_to(a, integral.shape[1]) for a in (share, one_event))
    known = {"share": part[some], "one_event": of_one[some]}
    factor, status = _pooled(answer, integral[:, some], noise_n[:, some], **known)
    binomial = float((part * of_one * estimate.integral * (1 - estimate.integral)).sum())
    squares = squared_bias_of_marked(estimate, answer.level)
    bias = Interval(*(float((part**2 * b).sum()) / (binomial or 1.0) for b in squares))
    worth = with_bias(Interval(*(float(f) * answer.n_train for f in factor)), bias)
    return {
        "regions": len(answer.labels),
        "n_equiv": worth.value,
        "n_equiv_interval": [worth.low, worth.high],
        "status": status.name.lower(),
    }


def with_bias(n_equiv: Interval, bias: Interval) -> Interval:
    """1 / n_equiv is a squared error in units of the binomial one; that of a bias adds to it. The
    interval joins those of both parts, which is wider than the level asks.

    >>> tuple(with_bias(Interval(100.0, 50.0, math.inf), Interval(0.01, 0.005, 0.02)))
    (50.0, 25.0, 200.0)
    """

    def added(n: float, squared: float) -> float:
        if not n > 0:
            return n
        error = 1 / n + squared
        return 1 / error if error > 0 else math.inf

    ends = (n_equiv.value, bias.value), (n_equiv.low, bias.high), (n_equiv.high, bias.low)
    return Interval(*(added(*pair) for pair in ends))


def _mapped(grid: Map, full: np.ndarray, estimate: AveragingEstimate | None) -> dict[str, Any]:
    """G in each cell of two columns, the limit where it has no value; empty cells have none."""
    shape = tuple(len(e) - 1 for e in grid.edges)
    factor, status = np.full(full.shape, np.nan), np.full(full.shape, "unresolved", object)
    if estimate is not None:
        is_limit = estimate.status == Status.LOWER_LIMIT
        factor[full] = np.where(is_limit, estimate.factor.low, estimate.factor.value)
        status[full] = [Status(int(s)).name.lower() for s in estimate.status]
    return {
        "columns": grid.columns,
        "edges": grid.edges,
        "amplification": factor.reshape(shape),
        "status": status.reshape(shape).tolist(),
    }


def panels_of(
    layout: Layout, members: Sequence[rg.Sums], holdout: rg.Sums | None
) -> list[dict[str, Any]]:
    """Histograms of the pooled members, the band of each, and the holdout."""
    pooled = members[0].normalised()  # each member has a normalisation of its own
    for m in members[1:]:
        pooled = pooled.plus(m.normalised())
    records = []
    for panel in layout.panels:
        shares = np.array([m.weight_inside[panel.regions] / m.weight for m in members])
        records.append(panel_record(panel, pooled, holdout, shares))
    return records
