"""`amplify differential`: a file of generated events and a holdout of true ones, to a verdict per
region. The generated sample streams through memory.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis import streaming, view
from amplify.analysis.curves import approach, distribution_functions, ratio_map
from amplify.analysis.two_samples import (
    Inputs,
    Plan,
    Request,
    check,
    check_weights,
    load_holdout,
    make_plan,
    make_regions,
    open_samples,
    refuse_same_events,
)
from amplify.commands import plan as dry
from amplify.commands.output import publish
from amplify.estimators import differential as df
from amplify.estimators.learned import GEN_PER_TRUE, cross_fit, sensitivities
from amplify.progress import progress_bar
from amplify.regions.cuts import read_cuts
from amplify.results.records import differential_records, environment
from amplify.summaries import Learner
from amplify.tables import files
from amplify.types import DifferentialEstimate, Events

_MOST_TEACHING = 400_000  # generated events kept in memory
_CORRELATED = 0.1  # rank correlation of weights and summary that is worth a warning


def differential(
    directory: Path, json_to: str | None, request: Request, command: str, *, dry_run: bool = False
) -> None:
    """Reads, checks, learns where a summary is learned, streams the generated events, estimates and
    writes.
    """
    check(request)
    plan = make_plan(request.summary, request.seed)
    cuts = [] if request.regions is None else read_cuts(request.regions)
    with ExitStack() as opened:
        inputs = open_samples(request, plan, cuts, opened)
        if not dry_run:
            inputs = inputs._replace(
                generated=files.counted(inputs.generated), holdout=files.counted(inputs.holdout)
            )
        mapped = view.map_columns(request.map, inputs.names)
        events = load_holdout(inputs.holdout)
        check_weights(inputs.holdout.table.source, events.weight)
        regions = make_regions(request, cuts, inputs, events)
        if dry_run:
            samples = [inputs.generated, inputs.holdout]
            dry.announce(
                samples,
                lambda x, w: regions.contains(x),
                len(regions.labels),
                json_to,
                more=_learning(plan),
            )
            return
        notes = refuse_same_events(inputs, request, plan)
        results = environment(command, request.seed, {**request._asdict(), "columns": inputs.names})
        results |= _found(request, plan, inputs, events, regions, mapped)
    results["warnings"] = notes + results["warnings"]
    publish(results, directory, json_to)


def _found(
    request: Request,
    plan: Plan,
    inputs: Inputs,
    events: Events,
    regions: rg.Regions,
    mapped: tuple[int, int] | None,
) -> dict[str, Any]:
    """What results.json says of both samples."""
    generated, learner = inputs.generated, plan.learner
    parts = _parts(request, plan, inputs, events)
    if learner is None:
        summaries = streaming.column_regions(
            inputs.summary, plan.method, regions, generated, parts.test
        )
    else:
        own = (
            request.regions is not None or request.bins is not None
        )  # bulk and tails look at the ratio of everything
        summaries = streaming.learned_regions(
            learner, regions, parts.first, parts.teach, parts.test, inputs.learned, own=own
        )
    panels = view.Panels(inputs.names, events)
    found = streaming.stream(generated, parts.rows, regions, summaries, panels)
    if summaries[0].summary is not None and not found[0].total.counts.total > 0:
        check_weights(generated.table.source, np.zeros(1))
    n_train, train = _training_events(request, regions, inputs, parts.test)
    tallies = [f.total for f in found], [s.holdout for s in summaries]
    estimate = df.estimate(
        *tallies,
        n_train=n_train,
        method=plan.method,
        learned=learner is not None,
        level=request.level,
    )

    level = request.level or (0.9 if learner else 0.68)
    numbers = {"n_gen": generated.n, "n_holdout": len(events.x), "level": level}
    results: dict[str, Any] = {
        "inputs": [
            files.describe(s) for s in (generated, inputs.holdout, *([train] if train else []))
        ]
    }
    results["estimates"] = differential_records(
        estimate, regions.labels, summary=plan.label, n_train=n_train, **numbers
    )
    if request.cross_fit and learner is not None:
        results["estimates"] += _cross_fitted(plan, learner, inputs, events, request)
    if np.isfinite(estimate.distance.value[0]):
        results["differential"] = _curves(
            plan, summaries[0], found[0], parts.test, mapped, inputs.names, estimate
        )
        if learner is not None and len(parts.first.x) >= 9 * len(parts.teach.x):
            taught = Events(parts.first.x[:, inputs.learned], parts.first.weight)
            results["sensitivities"] = _sensitivities(
                learner, taught, len(parts.teach.x), estimate, request.seed
            )
    results["panels"] = panels.finished()
    negative = {
        name: 0 if part.weight is None else int((part.weight < 0).sum())
        for name, part in (("holdout", events), ("generated", parts.first))
    }
    negative["generated"] += found[0].negative
    return results | {
        "warnings": _warnings(
            plan,
            request,
            summaries[0],
            parts.test,
            found[0],
            inputs,
            train,
            negative,
            len(events.x),
        )
    }


class Parts(NamedTuple):
    """Which events teach and which are tested: holdout events, generated ones that teach, and rows
    of those that are tested.
    """

    teach: Events
    test: Events
    first: Events
    rows: streaming.Rows


def _parts(request: Request, plan: Plan, inputs: Inputs, events: Events) -> Parts:
    generated, nothing = inputs.generated, events.take(slice(0))
    if plan.learner is None:
        return Parts(nothing, events, nothing, [(0, generated.table.n)])
    order = np.random.default_rng(request.seed).permutation(len(events.x))
    n_teach = int(request.fraction * len(events.x))
    n_first = min(max(GEN_PER_TRUE * n_teach, 20_000), _MOST_TEACHING, generated.table.n // 2)
    teaching_rows, rows = streaming.spread_blocks(generated.table.n, n_first)
    parts = Parts(
        events.take(order[:n_teach]),
        events.take(order[n_teach:]),
        streaming.load_rows(generated, teaching_rows),
        rows,
    )
    for source, part in (
        (generated, parts.first),
        (inputs.holdout, parts.teach),
        (inputs.holdout, parts.test),
    ):
        check_weights(source.table.source, part.weight)
    return parts


def _learning(plan: Plan) -> list[str]:
    return (
        []
        if plan.learner is None
        else [
            "Learning the ratio takes about ten seconds more, and its values about .1 s for a million events."
        ]
    )


def _training_events(
    request: Request, regions: rg.Regions, inputs: Inputs, test: Events
) -> tuple[np.ndarray, files.Selection | None]:
    """Training events in each region: n_train times the fraction of --train where it is given, else
    of the holdout; both by weight.
    """
    if request.train is None:
        return request.n_train * rg.fractions(
            rg.count(regions, test.x, test.weight), regions.labels
        ).integral, None
    table = files.open_sample(request.train)
    weight = (
        request.weight_column
        if request.weight_column and files.has_column(table, request.weight_column)
        else None
    )
    train = files.counted(
        files.select(
            table, inputs.texts or [table.columns[0]], weight, drop_nonfinite=request.drop_nonfinite
        )
    )
    shares = streaming.fractions_in(regions, train).integral
    table.close()
    return request.n_train * shares, train


def _cross_fitted(
    plan: Plan, learner: Learner, inputs: Inputs, holdout: Events, request: Request
) -> list[dict[str, Any]]:
    """The record of everything, each holdout event tested by what the other folds taught."""
    n = inputs.generated.table.n
    rows, _ = streaming.spread_blocks(
        n, min(n, max(GEN_PER_TRUE * len(holdout.x), 20_000), _MOST_TEACHING)
    )
    sample, true = (
        Events(part.x[:, inputs.learned], part.weight)
        for part in (streaming.load_rows(inputs.generated, rows), holdout)
    )
    with progress_bar("cross-fit: null experiments") as bar:
        found = cross_fit(learner, sample, true, seed=request.seed, progress=bar.count)
    level, n_gen, n_holdout = request.level or 0.9, len(sample.x), len(true.x)
    estimate = found.estimate(
        n_train=request.n_train, n_gen=n_gen, n_holdout=n_holdout, level=level
    )
    label = f"{plan.label}, cross-fit"
    return differential_records(
        estimate,
        ("all",),
        summary=label,
        n_train=request.n_train,
        n_gen=n_gen,
        n_holdout=n_holdout,
        level=level,
    )


def _curves(
    plan: Plan,
    whole: streaming.Region,
    found: streaming.Found,
    test: Events,
    mapped: tuple[int, int] | None,
    names: Sequence[str],
    estimate: DifferentialEstimate,
) -> dict[str, Any]:
    """What the plots show of the first region, everything."""
    n_holdout, threshold = (
        float(whole.holdout.counts.n_effective),
        whole.threshold if plan.method == "threshold" else None,
    )
    curves = {
        "functions": distribution_functions(whole.grid, found.total, whole.holdout, threshold),
        "approach": approach(found.grown, n_holdout, float(estimate.distance.value[0])),
    }
    if mapped is None:
        return curves
    looked, tested = (Events(part.x[:, list(mapped)], part.weight) for part in (found.looked, test))
    return curves | {"map": ratio_map(looked, tested, [names[i] for i in mapped])}


def _sensitivities(
    learner: Learner, first: Events, n_teach: int, estimate: DifferentialEstimate, seed: int
) -> list[dict[str, Any]]:
    """The table beside a learned result, for distortions as large as the one that was found, or as
    one the holdout could just show.
    """
    distance = max(float(estimate.distance.value[0]), 1 / np.sqrt(float(estimate.n_holdout[0])))
    with progress_bar("sensitivity to known distortions"):
        return [
            s._asdict()
            for s in sensitivities(
                learner,
                first,
                n_teach=n_teach,
                distance=min(distance, 0.3),
                repetitions=5,
                seed=seed,
            )
        ]


def _warnings(
    plan: Plan,
    request: Request,
    whole: streaming.Region,
    test: Events,
    found: streaming.Found,
    inputs: Inputs,
    train: files.Selection | None,
    negative: dict[str, int],
    n_loaded: int,
) -> list[str]:
    notes, n_gen, n_holdout = [], inputs.generated.n, inputs.holdout.n
    for name, sample in (
        ("generated", inputs.generated),
        ("holdout", inputs.holdout),
        ("training", train),
    ):
        if sample is not None and sample.dropped:
            notes.append(
                f"{sample.dropped} {name} events have values that are not finite and were left out (--drop-nonfinite)"
            )
    for sample in (inputs.generated, inputs.holdout):
        if request.weight_column and sample.weight is None:
            notes.append(
                f"{sample.table.source} has no weight column {request.weight_column}: its events count one each"
            )
    if n_holdout > n_loaded:
        notes.append(
            f"of the {n_holdout} holdout events {n_loaded} are used, in blocks spread over the file: more are not kept in memory"
        )
    if n_gen < 10 * n_holdout:
        notes.append(
            f"{n_gen} generated events are fewer than ten times the {n_holdout} holdout events: their own noise limits the answer, generate more"
        )
    if plan.learner is not None:
        notes.append(
            "a learned ratio misses a part of the difference: only 'fewer than' is claimed, and the table of sensitivities is no correction"
        )
        if request.log_prob_column is None:
            notes.append(
                "where the generator knows its density, --log-prob-column makes the learned ratio more sensitive"
            )
    for name, part in (("holdout", test), ("generated", found.looked)):
        if negative[name]:
            notes.append(
                f"{negative[name]} negative weights in the {name} sample: honoured, they lower its effective number of events"
            )
        if part.weight is None or whole.summary is None:
            continue
        correlation = df.weight_correlation(whole.summary(part.x), part.weight)
        if abs(correlation) > _CORRELATED:
            meaning = (
                "the threshold estimate honours that"
                if plan.method == "threshold"
                else "calibrated KS then claims too much (size .14 to .19 at .05)"
            )
            notes.append(
                f"weights of the {name} sample go with the summary (rank correlation {correlation:.2f}): {meaning}"
            )
    return notes
