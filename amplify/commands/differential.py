"""`amplify differential`: a file of generated events and a holdout of true ones, to a verdict per region. The generated sample streams through memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.commands.cuts import fractions_in, read_regions
from amplify.commands.output import publish
from amplify.data import files
from amplify.data.overlap import overlap
from amplify.errors import InputError
from amplify.estimators import differential as df
from amplify.estimators.kolmogorov import distance_between
from amplify.estimators.learned import GEN_PER_TRUE, sensitivities
from amplify.report.curves import approach, distribution_functions, ratio_map
from amplify.report.progress import progress_bar
from amplify.report.results import differential_records, environment
from amplify.summaries import Learner, Summary
from amplify.types import Events

_MOST_TEACHING = 400_000  # generated events kept in memory
_CORRELATED = 0.1  # rank correlation of weights and summary that is worth a warning


class Request(NamedTuple):
    """What the user asked; see `amplify differential --help`."""

    generated: str
    holdout: str
    n_train: int
    summary: str = "classifier"
    train: str | None = None
    columns: Sequence[str] | None = None
    log_prob_column: str | None = None
    weight_column: str | None = None
    regions: Path | None = None
    fraction: float = 1 / 3
    level: float | None = None
    seed: int = 0


class Plan(NamedTuple):
    """How t comes from a row: a learner, or a column of the file."""

    label: str
    learner: Learner | None
    column: str | None
    method: df.Method


class Region(NamedTuple):
    """One region: its summary, the events of the holdout that are tested, and their tally."""

    summary: Summary | None
    threshold: float
    grid: np.ndarray
    holdout: df.Tally


def differential(directory: Path, json_to: str | None, request: Request, command: str) -> None:
    """Reads, checks, learns where a summary is learned, streams the generated events, estimates and writes."""
    plan = _plan(request.summary, request.seed)
    if request.n_train < 1:
        raise InputError("--n-train", "at least 1", str(request.n_train), "give the number of training events of the generator")
    generated, holdout, names = _open(request, plan)
    warnings = _refuse_same_events(generated, holdout, names, request)
    events = files.load(holdout)
    cuts = [rg.mask(lambda x: np.ones(len(x), bool), "all")]
    if request.regions is not None:
        cuts.append(read_regions(request.regions, names))
    regions = rg.join(*cuts)
    shown = len(names)

    order = np.random.default_rng(request.seed).permutation(len(events.x)) if plan.learner else np.arange(len(events.x))
    n_teach = int(request.fraction * len(events.x)) if plan.learner else 0
    teach, test = events.take(order[:n_teach]), events.take(order[n_teach:])
    n_first = min(max(GEN_PER_TRUE * n_teach, 20_000), _MOST_TEACHING, generated.table.n // 2) if plan.learner else 0
    first = files.load(generated, stop=n_first)
    by_ratio = plan.method == "threshold" and not plan.learner
    share_gen = fractions_in(regions, generated, shown).integral if by_ratio and request.regions is not None else np.ones(len(regions.labels))
    summaries = [_summary(plan, regions, r, names, Events(first.x, first.weight), teach, test, shown, float(share_gen[r])) for r in range(len(regions.labels))]
    found = _stream(generated, n_first, regions, summaries, shown)
    n_train, outside = _training_events(request, regions, names, test, shown)
    estimate = df.estimate(
        [g.total for g in found], [s.holdout for s in summaries], n_train=n_train, method=plan.method, learned=plan.learner is not None, level=request.level
    )
    level = request.level or (0.9 if plan.learner else 0.68)
    results = environment(command, request.seed, {**request._asdict(), "columns": names})
    sources = [generated, holdout, *([outside] if outside else [])]
    results["inputs"] = [files.describe(s) for s in sources]
    results["estimates"] = differential_records(
        estimate, regions.labels, summary=plan.label, n_train=n_train, n_gen=generated.table.n, n_holdout=holdout.table.n, level=level
    )
    whole = summaries[0]
    if whole.summary is not None and min(found[0].total.counts.n_effective, whole.holdout.counts.n_effective) >= df.MIN_EVENTS:
        results["differential"] = {
            "functions": distribution_functions(
                whole.grid, found[0].total.counts, whole.holdout.counts, whole.threshold if plan.method == "threshold" else None
            ),
            "approach": approach(found[0].grown, whole.holdout.counts.n_effective, float(estimate.distance.value[0])),
        }
        if shown > 1:
            results["differential"]["map"] = ratio_map(found[0].looked, test, names)
    if plan.learner is not None and n_first >= 3 * n_teach and n_teach >= 20:
        results["sensitivities"] = _sensitivities(plan.learner, first, n_teach, estimate, request.seed)
    results["warnings"] = warnings + _warnings(plan, request, whole, test, found[0], generated.table.n, len(test.x))
    for source in sources:
        source.table.close()
    publish(results, directory, json_to)


def _plan(summary: str, seed: int) -> Plan:
    kind, _, column = summary.partition(":")
    if kind in ("column", "ratio") and column:
        return Plan(f"observable {column}" if kind == "column" else f"likelihood ratio {column}", None, column, "ks" if kind == "column" else "threshold")
    if summary == "classifier":
        from amplify.summaries.default import learned_ratio

        return Plan("learned likelihood ratio", learned_ratio(), None, "threshold")
    if summary == "mlp":
        from amplify.summaries.mlp import mlp_ratio

        return Plan("learned likelihood ratio (MLP)", mlp_ratio(seed=seed), None, "threshold")
    if summary == "trees":
        from amplify.summaries.trees import boosted_trees

        return Plan("learned likelihood ratio (boosted trees)", boosted_trees(seed=seed), None, "threshold")
    raise InputError("--summary", "classifier, mlp, trees, column:NAME or ratio:NAME", summary, "choose one of them")


def _open(request: Request, plan: Plan) -> tuple[files.Selection, files.Selection, list[str]]:
    """Both samples with the same columns: those to look at first, then what the summary needs."""
    tables = [files.open_table(source) for source in (request.generated, request.holdout)]
    extra = [c for c in (request.log_prob_column, plan.column) if c]
    given = request.columns or [c for c in tables[0].columns if c not in (request.weight_column, *extra)]
    if request.columns is None and any(set(t.columns) - {request.weight_column} != set(tables[0].columns) - {request.weight_column} for t in tables):
        raise InputError(
            request.holdout,
            f"the columns of {request.generated}, {', '.join(tables[0].columns[:6])}",
            ", ".join(tables[1].columns[:6]),
            "name them with --columns",
        )
    if not given and not plan.column:
        raise InputError(request.generated, "columns to learn from", "none but weight and log_prob", "name them with --columns")
    looked = list(dict.fromkeys([*given, *extra]))
    weights = [request.weight_column if request.weight_column in t.columns else None for t in tables]
    if request.weight_column and weights[0] is None and weights[1] is None:
        raise InputError(f"column {request.weight_column}", f"one of {', '.join(tables[0].columns)}", "no such column in either file", "choose another")
    selections = [files.select(t, looked, w) for t, w in zip(tables, weights, strict=True)]
    return selections[0], selections[1], list(given)


def _refuse_same_events(generated: files.Selection, holdout: files.Selection, names: Sequence[str], request: Request) -> list[str]:
    """Refuses a holdout that was generated or trained on.

    Raises:
        InputError: more events in common than chance explains.
    """
    if not request.fraction > 0 or not request.fraction < 1:
        raise InputError("--fraction", "between 0 and 1", str(request.fraction), "a third of the holdout for learning is usual")
    if Path(request.generated).resolve() == Path(request.holdout).resolve() or overlap(holdout, generated):
        raise InputError(
            "--generated and --holdout", "different events", f"{request.holdout} with events of {request.generated}", "the holdout are true events of their own"
        )
    if request.train is None:
        return ["without --train nobody checked that the holdout was not used in training"]
    train = files.select(files.open_table(request.train), names)
    same = overlap(files.select(holdout.table, names), train)
    train.table.close()
    if same:
        raise InputError(
            "--holdout",
            "events that were not used in training",
            f"{same} events of {request.train} in {request.holdout}",
            "give true events that were kept aside",
        )
    return []


def _summary(plan: Plan, regions: rg.Regions, r: int, names: Sequence[str], first: Events, teach: Events, test: Events, shown: int, share_gen: float) -> Region:
    """Learns the summary of a region from the events inside, or takes the column, and tallies the holdout."""
    in_test = np.asarray(regions.contains(test.x[:, :shown]))[:, r]
    threshold, summary = 0.0, None
    if plan.learner is None:
        column = list(dict.fromkeys([*names, plan.column])).index(plan.column)
        summary = _column(column)
        if plan.method == "threshold":
            weight = np.ones(len(test.x)) if test.weight is None else test.weight
            threshold = df.region_threshold(share_gen, float(weight[in_test].sum() / weight.sum()))
    else:
        in_first, in_teach = (np.asarray(regions.contains(s.x[:, :shown]))[:, r] for s in (first, teach))
        if min(in_first.sum(), in_teach.sum()) >= 20:
            a, b = first.take(in_first), teach.take(in_teach)
            summary = plan.learner(a.x, b.x, a.weight, b.weight)
    if summary is None:
        nothing = df.tally(np.zeros(1), np.zeros(0))
        return Region(None, threshold, np.zeros(1), nothing)
    inside = test.take(in_test)
    t = summary(inside.x)
    grid = np.unique(t) if len(t) else np.zeros(1)
    return Region(summary, threshold, grid, df.tally(grid, t, inside.weight, threshold=threshold))


def _column(index: int) -> Summary:
    return lambda x: x[:, index]


class Found(NamedTuple):
    """The generated events of a region: their tally, (n, KS distance) as the sample grew, and a part of them to look at."""

    total: df.Tally
    grown: list[tuple[float, float]]
    looked: Events


def _stream(generated: files.Selection, skip: int, regions: rg.Regions, summaries: Sequence[Region], shown: int) -> list[Found]:
    """Tallies the generated events that did not teach, chunk by chunk."""
    totals: list[df.Tally | None] = [None] * len(summaries)
    grown: list[tuple[float, float]] = []
    looked = Events(np.zeros((0, len(generated.columns))))
    n, due = generated.table.n, 100.0
    with progress_bar("reading generated events", total=n) as bar:
        done = skip
        for x, w in files.chunks(generated, start=skip):
            inside = np.asarray(regions.contains(x[:, :shown]))
            for r, region in enumerate(summaries):
                if region.summary is None:
                    continue
                part = Events(x, w).take(inside[:, r])
                t = region.summary(part.x)
                pieces = _growing(len(t), due) if r == 0 else [slice(0, len(t))]
                for piece in pieces:
                    tally = df.tally(region.grid, t[piece], None if part.weight is None else part.weight[piece], threshold=region.threshold)
                    before = totals[r]
                    total = tally if before is None else before.plus(tally)
                    totals[r] = total
                    if r == 0 and total.counts.n_effective >= due:
                        grown.append((float(total.counts.n_effective), float(distance_between(total.counts, region.holdout.counts))))
                        due = max(due, float(total.counts.n_effective)) * 10**0.25
            if len(looked.x) < _MOST_TEACHING:
                looked = Events(
                    np.concatenate([looked.x, x]), None if w is None else np.concatenate([np.zeros(0) if looked.weight is None else looked.weight, w])
                )
            done += len(x)
            bar.count(done, n)
    nothing = [df.tally(region.grid, np.zeros(0)) for region in summaries]
    return [Found(nothing[r] if total is None else total, grown, looked) for r, total in enumerate(totals)]


def _growing(n: int, due: float) -> list[slice]:
    """A chunk in pieces whose ends grow by 10^(1/4) from the first one of 100 events; one piece once the sample is large."""
    if due > 100:
        return [slice(0, n)]
    ends = [end for end in (100 * 10 ** (np.arange(60) / 4)).astype(int) if end < n]
    return [slice(a, b) for a, b in zip([0, *ends], [*ends, n], strict=True)]


def _training_events(request: Request, regions: rg.Regions, names: Sequence[str], test: Events, shown: int) -> tuple[np.ndarray, files.Selection | None]:
    """Training events in each region, counted in --train where it is given, else n_train times the fraction of the holdout."""
    if request.train is None:
        return request.n_train * np.maximum(rg.fractions(rg.count(regions, test.x[:, :shown], test.weight)).integral, 1e-300), None
    train = files.select(files.open_table(request.train), names)
    return request.n_train * np.maximum(fractions_in(regions, train).integral, 1e-300), train


def _sensitivities(learner: Learner, first: Events, n_teach: int, estimate: Any, seed: int) -> list[dict[str, Any]]:
    """The table beside a learned result, for distortions as large as the one that was found, or as one the holdout could just show."""
    distance = max(float(estimate.distance.value[0]), 1 / np.sqrt(float(estimate.n_holdout[0])))
    with progress_bar("sensitivity to known distortions"):
        return [s._asdict() for s in sensitivities(learner, first, n_teach=n_teach, distance=min(distance, 0.3), repetitions=5, seed=seed)]


def _warnings(plan: Plan, request: Request, whole: Region, test: Events, found: Found, n_gen: int, n_test: int) -> list[str]:
    notes = []
    if n_gen < 10 * n_test:
        notes.append(f"{n_gen} generated events are fewer than ten times the {n_test} holdout events: their own noise limits the answer, generate more")
    if plan.learner is not None:
        notes.append("a learned ratio misses a part of the difference: only 'fewer than' is claimed, and the table of sensitivities is no correction")
        if request.log_prob_column is None:
            notes.append("where the generator knows its density, --log-prob-column makes the learned ratio more sensitive")
    if whole.summary is not None:
        for name, part in (("holdout", test), ("generated", found.looked)):
            if part.weight is None:
                continue
            if (part.weight < 0).any():
                notes.append(f"{int((part.weight < 0).sum())} negative weights in the {name} sample: honoured, they lower its effective number of events")
            correlation = df.weight_correlation(whole.summary(part.x), part.weight)
            if abs(correlation) > _CORRELATED:
                exact = "the threshold estimate honours that" if plan.method == "threshold" else "calibrated KS then claims too much (size .14 to .19 at .05)"
                notes.append(f"weights of the {name} sample go with the summary (rank correlation {correlation:.2f}): {exact}")
    return notes
