"""`amplify differential`: a file of generated events and a holdout of true ones, to a verdict per region. The generated sample streams through memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.commands import streaming
from amplify.commands.cuts import fractions_in, read_regions
from amplify.commands.output import publish
from amplify.data import files
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
    cross_fit: bool = False
    level: float | None = None
    seed: int = 0


class Plan(NamedTuple):
    """How t comes from a row: a learner, or a column of the file."""

    label: str
    learner: Learner | None
    column: str | None
    method: df.Method


class Inputs(NamedTuple):
    """Both samples with the same columns. The first `shown` of them, `names`, are looked at and cut on; a log density or a summary may follow."""

    generated: files.Selection
    holdout: files.Selection
    names: list[str]

    @property
    def shown(self) -> int:
        """Number of columns that are looked at."""
        return len(self.names)


def differential(directory: Path, json_to: str | None, request: Request, command: str) -> None:
    """Reads, checks, learns where a summary is learned, streams the generated events, estimates and writes."""
    _check(request)
    plan = _plan(request.summary, request.seed)
    inputs = _open(request, plan)
    generated, shown = inputs.generated, inputs.shown
    cuts = [rg.mask(lambda x: np.ones(len(x), bool), "all")]
    if request.regions is not None:
        cuts.append(read_regions(request.regions, inputs.names))
    regions = rg.join(*cuts)
    warnings = _refuse_same_events(inputs, request, plan)
    events = files.load(inputs.holdout)
    _check_weights(request.holdout, events.weight)

    if plan.learner is None:
        teach, test, first, rows = events.take(slice(0)), events, events.take(slice(0)), [(0, generated.table.n)]
        index = [generated.table.columns[c] for c in generated.columns].index(plan.column or "")
        summaries = streaming.column_regions(index, plan.method, regions, generated, test, shown)
    else:
        order = np.random.default_rng(request.seed).permutation(len(events.x))
        n_teach = int(request.fraction * len(events.x))
        teach, test = events.take(order[:n_teach]), events.take(order[n_teach:])
        n_first = min(max(GEN_PER_TRUE * n_teach, 20_000), _MOST_TEACHING, generated.table.n // 2)
        teaching_rows, rows = streaming.spread_blocks(generated.table.n, n_first)
        first = streaming.load_rows(generated, teaching_rows)
        for source, part in ((request.generated, first), (request.holdout, teach), (request.holdout, test)):
            _check_weights(source, part.weight)
        summaries = streaming.learned_regions(plan.learner, regions, first, teach, test, shown)
    found = streaming.stream(generated, rows, regions, summaries, shown)
    if summaries[0].summary is not None and not found[0].total.counts.total > 0:
        _check_weights(request.generated, np.zeros(1))
    n_train, train = _training_events(request, regions, inputs.names, test)
    tallies = [f.total for f in found], [s.holdout for s in summaries]
    estimate = df.estimate(*tallies, n_train=n_train, method=plan.method, learned=plan.learner is not None, level=request.level)

    results = environment(command, request.seed, {**request._asdict(), "columns": inputs.names})
    sources = [generated, inputs.holdout, *([train] if train else [])]
    results["inputs"] = [files.describe(s) for s in sources]
    results["estimates"] = differential_records(
        estimate, regions.labels, summary=plan.label, n_train=n_train, n_gen=generated.table.n, n_holdout=inputs.holdout.table.n,
        level=request.level or (0.9 if plan.learner else 0.68),
    )  # fmt: skip
    if request.cross_fit and plan.learner is not None:
        results["estimates"] += _cross_fitted(plan, plan.learner, generated, events, request)
    if np.isfinite(estimate.distance.value[0]):
        results["differential"] = _curves(plan, summaries[0], found[0], test, inputs.names, estimate)
        if plan.learner is not None and len(first.x) >= 9 * len(teach.x):
            results["sensitivities"] = _sensitivities(plan.learner, first, len(teach.x), estimate, request.seed)
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


def _open(request: Request, plan: Plan) -> Inputs:
    """Both samples with the same columns: those to look at first, then what the summary needs."""
    tables = [files.open_table(source) for source in (request.generated, request.holdout)]
    own = [tuple(c for c in t.columns if c != request.weight_column) for t in tables]
    if request.columns is None and set(own[0]) != set(own[1]):
        expected = f"the columns of {request.generated}, {', '.join(own[0][:6])}"
        raise InputError(request.holdout, expected, ", ".join(own[1][:6]), "name the common ones with --columns")
    if request.weight_column and all(request.weight_column not in t.columns for t in tables):
        raise InputError(f"column {request.weight_column}", f"one of {', '.join(tables[0].columns)}", "no such column in either file", "choose another")
    # an observable is looked at like other columns; a density or a ratio is not
    extra = [c for c in (request.log_prob_column, plan.column if plan.method == "threshold" else None) if c]
    names = list(request.columns) if request.columns else [c for c in own[0] if c not in extra]
    extra = [*extra, *([plan.column] if plan.column else [])]
    if not names and plan.column is None:
        raise InputError(request.generated, "columns to learn from", "none but weight and log_prob", "name them with --columns")
    selections = [files.select(t, list(dict.fromkeys([*names, *extra])), request.weight_column if request.weight_column in t.columns else None) for t in tables]
    return Inputs(selections[0], selections[1], names)


def _refuse_same_events(inputs: Inputs, request: Request, plan: Plan) -> list[str]:
    """Refuses a holdout that was generated or trained on; returns what is worth a warning.

    Raises:
        InputError: more events in common than chance explains.
    """
    unlike = {request.weight_column, request.log_prob_column, plan.column if plan.method == "threshold" else None}
    looked_at = inputs.names or [plan.column or ""]

    def common(other: files.Table) -> int:
        """Events in common, in the columns that are looked at or in all that both files have."""
        everything = [c for c in inputs.holdout.table.columns if c in other.columns and c not in unlike] or looked_at
        several = {tuple(c): c for c in (looked_at, everything)}.values()
        return max(overlap(files.select(inputs.holdout.table, columns), files.select(other, columns)) for columns in several)

    same_file = Path(request.generated).resolve() == Path(request.holdout).resolve()
    same = inputs.holdout.table.n if same_file else common(inputs.generated.table)
    if same:
        got = f"{same} events of {request.holdout} that are in {request.generated}"
        raise InputError("--generated and --holdout", "different events", got, "the holdout are true events of their own")
    notes, copies = [], repeated(files.select(inputs.holdout.table, looked_at))
    if plan.learner is not None and copies > 0.01:
        share = f"{100 * copies:.0f} % of the holdout events have a copy in it"
        notes.append(f"{share}: if they are repeated events, some teach and are tested, and the limit claims too much; use weights instead")
    if request.train is None:
        return [*notes, "without --train nobody checked that the holdout was not used in training"]
    train = files.open_table(request.train)
    files.select(train, looked_at)
    same = common(train)
    train.close()
    if same:
        got = f"{same} events of {request.train} in {request.holdout}"
        raise InputError("--holdout", "events that were not used in training", got, "give true events that were kept aside")
    return notes


def _training_events(request: Request, regions: rg.Regions, names: Sequence[str], test: Events) -> tuple[np.ndarray, files.Selection | None]:
    """Training events in each region, counted in --train where it is given, else n_train times the fraction of the holdout."""
    if request.train is None:
        return request.n_train * rg.fractions(rg.count(regions, test.x[:, : len(names)], test.weight)).integral, None
    table = files.open_table(request.train)
    train = files.select(table, names or [table.columns[0]])
    return request.n_train * fractions_in(regions, train).integral, train


def _cross_fitted(plan: Plan, learner: Learner, generated: files.Selection, holdout: Events, request: Request) -> list[dict[str, Any]]:
    """The record of everything, each holdout event tested by what the other folds taught."""
    rows, _ = streaming.spread_blocks(generated.table.n, min(generated.table.n, max(GEN_PER_TRUE * len(holdout.x), 20_000), _MOST_TEACHING))
    sample = streaming.load_rows(generated, rows)
    with progress_bar("cross-fit: null experiments") as bar:
        found = cross_fit(learner, sample, holdout, seed=request.seed, progress=bar.count)
    level, n_gen, n_holdout = request.level or 0.9, len(sample.x), len(holdout.x)
    estimate = found.estimate(n_train=request.n_train, n_gen=n_gen, n_holdout=n_holdout, level=level)
    label = f"{plan.label}, cross-fit"
    return differential_records(estimate, ("all",), summary=label, n_train=request.n_train, n_gen=n_gen, n_holdout=n_holdout, level=level)


def _curves(plan: Plan, whole: streaming.Region, found: streaming.Found, test: Events, names: Sequence[str], estimate: DifferentialEstimate) -> dict[str, Any]:
    """What the plots show of the first region, everything."""
    n_holdout, threshold = float(whole.holdout.counts.n_effective), whole.threshold if plan.method == "threshold" else None
    curves = {
        "functions": distribution_functions(whole.grid, found.total, whole.holdout, threshold),
        "approach": approach(found.grown, n_holdout, float(estimate.distance.value[0])),
    }
    return curves | ({"map": ratio_map(found.looked, test, names)} if len(names) > 1 else {})


def _sensitivities(learner: Learner, first: Events, n_teach: int, estimate: DifferentialEstimate, seed: int) -> list[dict[str, Any]]:
    """The table beside a learned result, for distortions as large as the one that was found, or as one the holdout could just show."""
    distance = max(float(estimate.distance.value[0]), 1 / np.sqrt(float(estimate.n_holdout[0])))
    with progress_bar("sensitivity to known distortions"):
        return [s._asdict() for s in sensitivities(learner, first, n_teach=n_teach, distance=min(distance, 0.3), repetitions=5, seed=seed)]


def _warnings(
    plan: Plan, request: Request, whole: streaming.Region, test: Events, found: streaming.Found, inputs: Inputs, negative: dict[str, int]
) -> list[str]:
    notes, n_gen, n_holdout = [], inputs.generated.table.n, inputs.holdout.table.n
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
