"""`amplify differential`: a file of generated events and a holdout of true ones, to a verdict per region. The generated sample streams through memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.commands import plan as dry
from amplify.commands import streaming, view
from amplify.commands.cuts import Cut, as_regions, columns_of, read_cuts
from amplify.commands.output import publish
from amplify.data import files
from amplify.data.expressions import listed
from amplify.data.overlap import overlap, repeated
from amplify.errors import InputError
from amplify.estimators import differential as df
from amplify.estimators.learned import GEN_PER_TRUE, cross_fit, sensitivities
from amplify.report.curves import approach, distribution_functions, ratio_map
from amplify.report.progress import progress_bar
from amplify.report.results import differential_records, environment
from amplify.summaries import Learner
from amplify.types import DifferentialEstimate, Events

_MOST_TEACHING = 400_000  # generated events kept in memory
_MOST_HOLDOUT = 1 << 26  # numbers of the holdout kept in memory, 512 MB
_MOST_COMPARED = 32  # columns in which events are compared
_BULK_AND_TAILS = 1000  # holdout events from which on both are looked at
_CORRELATED = 0.1  # rank correlation of weights and summary that is worth a warning


class Request(NamedTuple):
    """What the user asked; see `amplify differential --help`."""

    generated: Sequence[str]
    holdout: Sequence[str]
    n_train: int
    summary: str = "classifier"
    train: Sequence[str] | None = None
    columns: Sequence[str] | None = None
    log_prob_column: str | None = None
    weight_column: str | None = None
    regions: Path | None = None
    bins: int | None = None
    map: tuple[str, str] | None = None
    fraction: float = 1 / 3
    cross_fit: bool = False
    drop_nonfinite: bool = False
    level: float | None = None
    seed: int = 0


class Plan(NamedTuple):
    """How t comes from a row: a learner, or a column of the file."""

    label: str
    learner: Learner | None
    column: str | None
    method: df.Method


class Inputs(NamedTuple):
    """Both samples with the same columns: those that are looked at, `names`, then those only cuts need, then a log density or a summary.

    Attributes:
        generated: the generated sample.
        holdout: the true events.
        names: labels of the columns to look at.
        texts: how the user wrote the columns that regions look at, names and cuts.
        learned: index of the columns that a learner sees: names and log density.
    """

    generated: files.Selection
    holdout: files.Selection
    names: list[str]
    texts: list[str]
    learned: Any


def differential(directory: Path, json_to: str | None, request: Request, command: str, *, dry_run: bool = False) -> None:
    """Reads, checks, learns where a summary is learned, streams the generated events, estimates and writes."""
    _check(request)
    plan = _plan(request.summary, request.seed)
    cuts = [] if request.regions is None else read_cuts(request.regions)
    inputs = _open(request, plan, cuts, drop=request.drop_nonfinite and not dry_run)
    generated = inputs.generated
    events = _load_holdout(inputs.holdout)
    _check_weights(inputs.holdout.table.source, events.weight)
    regions = _regions(request, cuts, inputs, events)
    if dry_run:
        dry.announce([generated, inputs.holdout], lambda x, w: regions.contains(x), len(regions.labels), json_to, more=_learning(plan))
        return
    warnings = _refuse_same_events(inputs, request, plan)

    if plan.learner is None:
        teach, test, first, rows = events.take(slice(0)), events, events.take(slice(0)), [(0, generated.table.n)]
        summaries = streaming.column_regions(generated.names.index(plan.column or ""), plan.method, regions, generated, test)
    else:
        order = np.random.default_rng(request.seed).permutation(len(events.x))
        n_teach = int(request.fraction * len(events.x))
        teach, test = events.take(order[:n_teach]), events.take(order[n_teach:])
        n_first = min(max(GEN_PER_TRUE * n_teach, 20_000), _MOST_TEACHING, generated.table.n // 2)
        teaching_rows, rows = streaming.spread_blocks(generated.table.n, n_first)
        first = streaming.load_rows(generated, teaching_rows)
        for source, part in ((generated, first), (inputs.holdout, teach), (inputs.holdout, test)):
            _check_weights(source.table.source, part.weight)
        own = request.regions is not None or request.bins is not None  # bulk and tails look at the ratio of everything
        summaries = streaming.learned_regions(plan.learner, regions, first, teach, test, inputs.learned, own=own)
    panels = view.Panels(inputs.names, events)
    found = streaming.stream(generated, rows, regions, summaries, panels.add)
    if summaries[0].summary is not None and not found[0].total.counts.total > 0:
        _check_weights(generated.table.source, np.zeros(1))
    n_train, train = _training_events(request, regions, inputs, test)
    tallies = [f.total for f in found], [s.holdout for s in summaries]
    estimate = df.estimate(*tallies, n_train=n_train, method=plan.method, learned=plan.learner is not None, level=request.level)

    results = environment(command, request.seed, {**request._asdict(), "columns": inputs.names})
    sources = [generated, inputs.holdout, *([train] if train else [])]
    results["inputs"] = [files.describe(s) for s in sources]
    results["estimates"] = differential_records(
        estimate, regions.labels, summary=plan.label, n_train=n_train, n_gen=generated.n, n_holdout=len(events.x),
        level=request.level or (0.9 if plan.learner else 0.68),
    )  # fmt: skip
    if request.cross_fit and plan.learner is not None:
        results["estimates"] += _cross_fitted(plan, plan.learner, inputs, events, request)
    if np.isfinite(estimate.distance.value[0]):
        results["differential"] = _curves(plan, summaries[0], found[0], test, view.map_columns(request.map, inputs.names), inputs.names, estimate)
        if plan.learner is not None and len(first.x) >= 9 * len(teach.x):
            taught = Events(first.x[:, inputs.learned], first.weight)
            results["sensitivities"] = _sensitivities(plan.learner, taught, len(teach.x), estimate, request.seed)
    results["panels"] = panels.finished()
    negative = {name: 0 if part.weight is None else int((part.weight < 0).sum()) for name, part in (("holdout", events), ("generated", first))}
    negative["generated"] += found[0].negative
    results["warnings"] = warnings + _warnings(plan, request, summaries[0], test, found[0], inputs, negative)
    for source in sources:
        source.table.close()
    publish(results, directory, json_to)


def _check(request: Request) -> None:
    if request.n_train < 1:
        raise InputError("--n-train", "at least 1", str(request.n_train), "give the number of training events of the generator")
    if not 0 < request.fraction < 1:
        raise InputError("--fraction", "between 0 and 1", str(request.fraction), "a third of the holdout for learning is usual")
    if request.cross_fit and request.summary.partition(":")[0] in ("column", "ratio"):
        raise InputError("--cross-fit", "a learned summary", request.summary, "drop --cross-fit: all of the holdout is tested as it is")
    if request.bins is not None and request.regions is not None:
        raise InputError("--bins and --regions", "one of them", "both", "drop one")
    if request.level is not None and not 0 < request.level < 1:
        raise InputError("--level", "between 0 and 1", str(request.level), "0.68 is usual, or 0.9 for a learned ratio")


def _check_weights(source: str, weight: np.ndarray | None) -> None:
    if weight is not None and len(weight) and not weight.sum() > 0:
        raise InputError(f"weights of {source}", "a positive sum", f"{weight.sum():g}", "check the weight column")


def _plan(summary: str, seed: int) -> Plan:
    kind, _, column = summary.partition(":")
    if kind == "column" and column:
        return Plan(f"observable {column}", None, column, "ks")
    if kind == "ratio" and column:
        return Plan(f"likelihood ratio {column}", None, column, "threshold")
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


def _open(request: Request, plan: Plan, cuts: Sequence[Cut], drop: bool) -> Inputs:
    """Both samples with the same columns: those to look at first, then what the summary needs, then what only cuts need."""
    tables = [files.open_sample(source) for source in (request.generated, request.holdout)]
    weights = [request.weight_column if request.weight_column and files.has_column(t, request.weight_column) else None for t in tables]
    if request.weight_column and weights == [None, None]:
        expected = f"one of {listed(tables[0].columns)}"
        raise InputError(f"column {request.weight_column}", expected, "no such column in either file", "choose another")
    own = [tuple(c for c in t.columns if c != request.weight_column) for t in tables]
    if request.columns is None and set(own[0]) != set(own[1]):
        expected = f"the columns of {tables[0].source}, {listed(own[0], 6)}"
        raise InputError(tables[1].source, expected, listed(own[1], 6), "name the common ones with --columns")
    # an observable is looked at like other columns; a density or a ratio is not
    extra = [c for c in (request.log_prob_column, plan.column if plan.method == "threshold" else None) if c]
    wanted = list(request.columns) if request.columns else [c for c in files.select(tables[0], None, weights[0]).names if c not in extra]
    names = files.select(tables[0], wanted).names if wanted else []
    extra = [c for c in [*extra, *([plan.column] if plan.column else [])] if c not in names]
    if not names and plan.column is None:
        raise InputError(tables[0].source, "columns to learn from", "none but weight and log_prob", "name them with --columns")
    texts = wanted + [c for c in columns_of(cuts, list(dict.fromkeys([*names, *tables[0].columns]))) if c not in names]
    chosen = list(dict.fromkeys([*texts, *extra]))
    selections = [files.select(t, chosen, w, drop_nonfinite=drop) for t, w in zip(tables, weights, strict=True)]
    learned = [i for i, text in enumerate(chosen) if text in wanted or text in extra]
    return Inputs(selections[0], selections[1], names, texts, slice(None) if len(learned) == len(chosen) else learned)


def _load_holdout(holdout: files.Selection) -> Events:
    """The holdout in memory, or as much of it as may be."""
    return files.spread(holdout, _MOST_HOLDOUT // len(holdout.columns))


def _regions(request: Request, cuts: Sequence[Cut], inputs: Inputs, events: Events) -> rg.Regions:
    """Everything first; then the user's regions, bins of each column, or bulk and tails."""
    parts = [rg.mask(lambda x: np.ones(len(x), bool), "all")]
    if cuts:
        return rg.join(*parts, as_regions(cuts, inputs.generated.names))
    if request.bins is not None:
        parts += [rg.equiprobable_bins(rg.column(i), events.x, request.bins, name, events.weight) for i, name in enumerate(inputs.names)]
    elif len(events.x) >= _BULK_AND_TAILS and inputs.names:
        parts.append(rg.bulk_and_tails(events.x[:, : len(inputs.names)], events.weight))
    return rg.join(*parts)


def _learning(plan: Plan) -> list[str]:
    return [] if plan.learner is None else ["Learning the ratio takes some seconds more for each region, and its value for each event."]


def _refuse_same_events(inputs: Inputs, request: Request, plan: Plan) -> list[str]:
    """Refuses a holdout that was generated or trained on; returns what is worth a warning.

    Raises:
        InputError: more events in common than chance explains.
    """
    unlike = {request.weight_column, request.log_prob_column, plan.column if plan.method == "threshold" else None}
    looked_at = (list(request.columns) if request.columns else inputs.names) or [plan.column or ""]

    def common(other: files.Table) -> int:
        """Events in common, in the columns that are looked at or in all that both files have."""
        everything = [c for c in inputs.holdout.table.columns if c in other.columns and c not in unlike] or looked_at
        several = {tuple(c): c for c in (looked_at, everything[:_MOST_COMPARED])}.values()
        return max(overlap(*(files.select(t, columns)._replace(drop=True) for t in (inputs.holdout.table, other))) for columns in several)

    sources = [{Path(part.source).resolve() for part in s.table.parts} for s in (inputs.generated, inputs.holdout)]  # with the path inside
    same = inputs.holdout.table.n if sources[0] == sources[1] else common(inputs.generated.table)
    if same:
        got = f"{same} events of {inputs.holdout.table.source} that are in {inputs.generated.table.source}"
        raise InputError("--generated and --holdout", "different events", got, "the holdout are true events of their own")
    notes, copies = [], repeated(files.select(inputs.holdout.table, looked_at))
    if plan.learner is not None and copies > 0.01:
        share = f"{100 * copies:.0f} % of the holdout events have a copy in it"
        notes.append(f"{share}: if they are repeated events, some teach and are tested, and the limit claims too much; use weights instead")
    if request.train is None:
        return [*notes, "without --train nobody checked that the holdout was not used in training"]
    train = files.open_sample(request.train)
    files.select(train, looked_at)
    same = common(train)
    train.close()
    if same:
        got = f"{same} events of {train.source} in {inputs.holdout.table.source}"
        raise InputError("--holdout", "events that were not used in training", got, "give true events that were kept aside")
    return notes


def _training_events(request: Request, regions: rg.Regions, inputs: Inputs, test: Events) -> tuple[np.ndarray, files.Selection | None]:
    """Training events in each region, counted in --train where it is given, else n_train times the fraction of the holdout."""
    if request.train is None:
        return request.n_train * rg.fractions(rg.count(regions, test.x, test.weight), regions.labels).integral, None
    table = files.open_sample(request.train)
    train = files.select(table, inputs.texts or [table.columns[0]], drop_nonfinite=request.drop_nonfinite)
    return request.n_train * streaming.fractions_in(regions, train).integral, train


def _cross_fitted(plan: Plan, learner: Learner, inputs: Inputs, holdout: Events, request: Request) -> list[dict[str, Any]]:
    """The record of everything, each holdout event tested by what the other folds taught."""
    n = inputs.generated.table.n
    rows, _ = streaming.spread_blocks(n, min(n, max(GEN_PER_TRUE * len(holdout.x), 20_000), _MOST_TEACHING))
    sample, true = (Events(part.x[:, inputs.learned], part.weight) for part in (streaming.load_rows(inputs.generated, rows), holdout))
    with progress_bar("cross-fit: null experiments") as bar:
        found = cross_fit(learner, sample, true, seed=request.seed, progress=bar.count)
    level, n_gen, n_holdout = request.level or 0.9, len(sample.x), len(true.x)
    estimate = found.estimate(n_train=request.n_train, n_gen=n_gen, n_holdout=n_holdout, level=level)
    label = f"{plan.label}, cross-fit"
    return differential_records(estimate, ("all",), summary=label, n_train=request.n_train, n_gen=n_gen, n_holdout=n_holdout, level=level)


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
    n_holdout, threshold = float(whole.holdout.counts.n_effective), whole.threshold if plan.method == "threshold" else None
    curves = {
        "functions": distribution_functions(whole.grid, found.total, whole.holdout, threshold),
        "approach": approach(found.grown, n_holdout, float(estimate.distance.value[0])),
    }
    if mapped is None:
        return curves
    looked, tested = (Events(part.x[:, list(mapped)], part.weight) for part in (found.looked, test))
    return curves | {"map": ratio_map(looked, tested, [names[i] for i in mapped])}


def _sensitivities(learner: Learner, first: Events, n_teach: int, estimate: DifferentialEstimate, seed: int) -> list[dict[str, Any]]:
    """The table beside a learned result, for distortions as large as the one that was found, or as one the holdout could just show."""
    distance = max(float(estimate.distance.value[0]), 1 / np.sqrt(float(estimate.n_holdout[0])))
    with progress_bar("sensitivity to known distortions"):
        return [s._asdict() for s in sensitivities(learner, first, n_teach=n_teach, distance=min(distance, 0.3), repetitions=5, seed=seed)]


def _warnings(
    plan: Plan, request: Request, whole: streaming.Region, test: Events, found: streaming.Found, inputs: Inputs, negative: dict[str, int]
) -> list[str]:
    notes, n_gen, n_holdout = [], inputs.generated.n, inputs.holdout.n
    for name, sample in (("generated", inputs.generated), ("holdout", inputs.holdout)):
        if sample.dropped:
            notes.append(f"{sample.dropped} {name} events have values that are not finite and were left out (--drop-nonfinite)")
    if n_holdout > _MOST_HOLDOUT // len(inputs.holdout.columns):
        notes.append(
            f"the holdout of {n_holdout} events does not fit in memory: blocks spread over it were used, {_MOST_HOLDOUT // len(inputs.holdout.columns)} events"
        )
    if n_gen < 10 * n_holdout:
        notes.append(f"{n_gen} generated events are fewer than ten times the {n_holdout} holdout events: their own noise limits the answer, generate more")
    if plan.learner is not None:
        notes.append("a learned ratio misses a part of the difference: only 'fewer than' is claimed, and the table of sensitivities is no correction")
        if request.log_prob_column is None:
            notes.append("where the generator knows its density, --log-prob-column makes the learned ratio more sensitive")
    for name, part in (("holdout", test), ("generated", found.looked)):
        if negative[name]:
            notes.append(f"{negative[name]} negative weights in the {name} sample: honoured, they lower its effective number of events")
        if part.weight is None or whole.summary is None:
            continue
        correlation = df.weight_correlation(whole.summary(part.x), part.weight)
        if abs(correlation) > _CORRELATED:
            meaning = "the threshold estimate honours that" if plan.method == "threshold" else "calibrated KS then claims too much (size .14 to .19 at .05)"
            notes.append(f"weights of the {name} sample go with the summary (rank correlation {correlation:.2f}): {meaning}")
    return notes
