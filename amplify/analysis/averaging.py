"""`amplify averaging`: generated events of several trained networks, from files or trained here, to
a verdict per region.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify import regions as rg
from amplify.analysis import view
from amplify.commands import plan
from amplify.commands.output import publish
from amplify.errors import EmptyRegionError, InputError, NeedsMembersError
from amplify.estimators.averaging import averaging_amplification, pooled_amplification
from amplify.progress import progress_bar
from amplify.regions.cuts import as_regions, columns_of, read_cuts
from amplify.results.records import averaging_records, environment
from amplify.tables import files
from amplify.tables.overlap import overlap
from amplify.tables.parallel import in_order
from amplify.tables.table import Table
from amplify.text import listed
from amplify.types import AveragingEstimate, Events, Holdout, Status

MOST_EVENTS = 10**15  # more are a slip, and no integer of a float
_EDGE_EVENTS = 400_000  # events that place the edges of bins


class Request(NamedTuple):
    """What the user asked; see `amplify averaging --help`. A member is one source: a file, or a
    glob of files.

    The holdout has columns and weights of its own: where members were trained here, expressions of
    the training file are columns of theirs.
    """

    members: Sequence[str]
    n_train: int
    columns: Sequence[str] | None = None
    regions: Path | None = None
    bins: int | None = None
    map: tuple[str, str] | None = None
    holdout: Sequence[str] | None = None
    holdout_columns: Sequence[str] | None = None
    weight_column: str | None = None
    holdout_weight: str | None = None
    drop_nonfinite: bool = False
    level: float = 0.68
    seed: int = 0


class Counted(NamedTuple):
    """Sums of a sample over all regions, and how many weights were negative."""

    sums: rg.Sums
    negative: int


def averaging(
    directory: Path,
    json_to: str | None,
    request: Request,
    command: str,
    *,
    failed: Sequence[dict[str, Any]] | None = None,
    notes: Sequence[str] = (),
    dry_run: bool = False,
) -> None:
    """Reads the members chunk by chunk, counts in the regions, estimates and writes. `failed`
    members are known where they were trained here.
    """
    _check(request)
    cuts = [] if request.regions is None else read_cuts(request.regions)
    tables = [files.open_sample(m) for m in request.members]
    held_out_table = None if request.holdout is None else files.open_sample(request.holdout)
    try:
        if held_out_table is not None:
            files.refuse_twice(
                [part.source for table in [*tables, held_out_table] for part in table.parts],
                "--members and --holdout",
            )
        names, wanted = _columns(tables, request, cuts)
        members = [
            files.select(t, wanted, request.weight_column, drop_nonfinite=request.drop_nonfinite)
            for t in tables
        ]
        held_out = (
            None if held_out_table is None else _holdout(held_out_table, request, names, wanted)
        )
        *members, held_out = (
            files.same_precision([*members, held_out])
            if held_out
            else [*files.same_precision(members), None]
        )
        if not dry_run:
            members, held_out = (
                [files.counted(m) for m in members],
                None if held_out is None else files.counted(held_out),
            )
        samples = [*members, *([held_out] if held_out else [])]
        named = None if not cuts else as_regions(cuts, members[0].names)
        mapped, edge_events = (
            view.map_columns(request.map, names),
            _pooled([held_out] if held_out else members),
        )
        if held_out and (edge_events.x.min(axis=0) == edge_events.x.max(axis=0)).any():
            edge_events = _pooled(members)  # what the holdout has one value of may differ there
        seen = view.make_view(
            edge_events,
            names,
            n_train=request.n_train,
            bins=request.bins,
            named=named,
            map_columns=mapped,
        )
        if dry_run:
            plan.announce(
                samples, lambda x, w: rg.count(seen.regions, x, w), len(seen.estimated), json_to
            )
            return
        if not len(seen.regions.labels):
            raise InputError(
                "columns",
                "one whose values differ",
                f"only constant ones: {listed(names)}",
                "name others with --columns",
            )
        with progress_bar("reading events", total=sum(s.table.n for s in samples)) as bar:
            counted = [_count(s, seen.regions, bar.advance) for s in samples]
        settings = {
            key: value
            for key, value in request._asdict().items()
            if key not in ("members", "holdout_columns", "holdout_weight")
        }
        results = environment(command, request.seed, {**settings, "columns": names})
        results["inputs"] = [files.describe(s) for s in samples]
    finally:
        for table in [*tables, *([held_out_table] if held_out_table else [])]:
            table.close()
    holdout = counted.pop() if held_out else None
    results |= _estimated(
        seen, [c.sums for c in counted], None if holdout is None else holdout.sums, request
    )
    results["failed_members"] = list(failed or ())
    results["warnings"] = (
        [*notes, *seen.notes] + results["warnings"] + _warnings(samples, counted, holdout, failed)
    )
    publish(results, directory, json_to)


def check_later(request: Request, train: Sequence[str] | None) -> None:
    """Finds out before a training what would fail after it, or prove nothing: a holdout of training
    events.
    """
    if not 0 < request.level < 1:
        raise InputError("--level", "between 0 and 1", str(request.level), "0.68 is usual")
    if request.regions is not None and str(request.regions) != "-":
        read_cuts(request.regions)
    if request.holdout is not None and "-" not in request.holdout:
        table = files.open_sample(request.holdout)
        held_out = files.select(table, request.holdout_columns, drop_nonfinite=True)
        if train is not None and "-" not in train:
            training = files.open_sample(train)
            same = overlap(
                held_out,
                files.select(
                    training, request.holdout_columns or held_out.names, drop_nonfinite=True
                ),
            )
            training.close()
            if same:
                fix = "give true events that were kept aside"
                raise InputError(
                    "--holdout",
                    "events that are not trained on",
                    f"{same} events of {table.source} in {training.source}",
                    fix,
                )
        table.close()


def _check(request: Request) -> None:
    if len(request.members) < 2:
        quoted = any(character in member for member in request.members for character in "*?[")
        fix = (
            "a quoted glob is one sample, drop the quotes"
            if quoted
            else "train again on bootstrap samples of the training events"
        )
        raise NeedsMembersError(
            "--members", "at least 2 files, better 8 or more", str(len(request.members)), fix
        )
    if not 1 <= request.n_train <= MOST_EVENTS:
        raise InputError(
            "--n-train",
            f"at least 1, at most {MOST_EVENTS:.0e}",
            str(request.n_train)[:30],
            "give the number of training events of one member",
        )
    if request.bins is not None and request.regions is not None:
        raise InputError("--bins and --regions", "one of them", "both", "drop one")
    if not 0 < request.level < 1:
        raise InputError("--level", "between 0 and 1", str(request.level), "0.68 is usual")


def _columns(
    tables: Sequence[Table], request: Request, cuts: Sequence[Any]
) -> tuple[list[str], list[str]]:
    """The columns that are looked at, and with them those that only the user's regions need."""
    first = tables[0]
    files.refuse_twice([part.source for table in tables for part in table.parts], "--members")
    names = files.select(first, request.columns, request.weight_column).names
    for table in tables[1:]:
        if request.columns is None and (sorted(table.columns), sorted(table.refused)) != (
            sorted(first.columns),
            sorted(first.refused),
        ):
            raise InputError(
                table.source,
                f"the {len(first.columns)} columns of {first.source}",
                _short(table.columns),
                "members have the same columns",
            )
    wanted = list(request.columns) if request.columns else names
    if not wanted:
        raise InputError(
            first.source, "columns to look at", "none but the weight", "name them with --columns"
        )
    more = [name for name in columns_of(cuts, names, first) if name not in names]
    return names, [*wanted, *more]


def _holdout(
    table: Table, request: Request, names: Sequence[str], wanted: Sequence[str]
) -> files.Selection:
    weight = (
        request.holdout_weight
        if request.holdout_weight and files.has_column(table, request.holdout_weight)
        else None
    )
    return files.select(
        table,
        [*(request.holdout_columns or names), *wanted[len(names) :]],
        weight,
        drop_nonfinite=request.drop_nonfinite,
    )


def _pooled(samples: Sequence[files.Selection]) -> Events:
    """Some events of all samples, each with the same sum of weights, to choose edges from."""
    parts = [files.spread(s, _EDGE_EVENTS // len(samples)) for s in samples]
    weights = [np.ones(len(part.x)) if part.weight is None else part.weight for part in parts]
    alike = all(part.weight is None for part in parts) and len({len(part.x) for part in parts}) == 1
    return Events(
        np.concatenate([part.x for part in parts]),
        None if alike else np.concatenate([w / w.sum() if w.sum() > 0 else 0 * w for w in weights]),
    )


def _count(selection: files.Selection, regions: rg.Regions, advance: Any) -> Counted:
    def count(x: np.ndarray, weight: np.ndarray | None) -> Counted:
        return Counted(
            rg.count(regions, x, weight), 0 if weight is None else int((weight < 0).sum())
        )

    total = None
    for part in in_order(count, files.chunks(selection)):
        total = (
            part
            if total is None
            else Counted(total.sums.plus(part.sums), total.negative + part.negative)
        )
        advance(part.sums.n)
    assert total is not None, "samples have at least one row"
    if not total.sums.weight > 0:
        raise InputError(
            f"weights of {selection.table.source}",
            "a positive sum",
            f"{total.sums.weight:g}",
            "check the weight column",
        )
    return total


def _estimated(
    seen: view.View, members: Sequence[rg.Sums], holdout: rg.Sums | None, request: Request
) -> dict[str, Any]:
    """What results.json says of the counts."""
    import jax

    n_train, level, notes = request.n_train, request.level, []
    chosen, n_inside = seen.estimated, np.sum([m.n_inside for m in members], axis=0)
    if holdout is not None:
        n_inside = n_inside + holdout.n_inside  # what only the holdout has is a bias
    empty = [seen.regions.labels[i] for i in chosen if n_inside[i] == 0]
    if empty and request.regions is not None:
        raise EmptyRegionError(
            f"region {empty[0]}",
            "generated events inside",
            "none in any member",
            "widen the region or remove it",
        )
    usable = (n_inside > 0) & np.all(
        [rg.measurable(sums) for sums in [*members, *([holdout] if holdout else [])]], axis=0
    )
    if request.regions is None:
        dominated = [seen.regions.labels[i] for i in chosen if n_inside[i] > 0 and not usable[i]]
        if dominated:
            notes.append(
                f"negative weights dominate or cancel in {' and in '.join(dominated)}: no fraction of events, and left out"
            )
        chosen = chosen[usable[chosen]]
    if not len(chosen):
        raise EmptyRegionError(
            "regions",
            "generated events inside",
            "none that can be used",
            "name regions with --regions, or look at the weights",
        )
    labels = tuple(seen.regions.labels[i] for i in chosen)

    def estimate(regions: np.ndarray) -> Any:
        found = [rg.fractions(m.take(regions), seen.regions.labels) for m in members]
        truth = (
            None if holdout is None else rg.fractions(holdout.take(regions), seen.regions.labels)
        )
        return averaging_amplification(
            np.stack([f.integral for f in found]),
            n_train=n_train,
            n_gen=np.stack([f.n_effective for f in found]),
            holdout=None if truth is None else Holdout(truth.integral, truth.n_effective),
            level=level,
        )

    n_gen = min(m.n for m in members)
    cells = np.array([], int) if seen.map is None else seen.map.regions[usable[seen.map.regions]]
    with jax.enable_x64(True):
        both = estimate(np.concatenate([chosen, cells]))  # one compilation
        reported, mapped = (
            jax.tree.map(lambda values, part=part: values[part], both)
            for part in (slice(len(chosen)), slice(len(chosen), None))
        )
        records = averaging_records(
            reported,
            labels,
            members=len(members),
            n_train=n_train,
            n_gen=n_gen,
            n_holdout=None if holdout is None else holdout.n,
            level=level,
        )
    results: dict[str, Any] = {
        "estimates": records,
        "resolution": _resolution(seen, members, request),
    }
    if seen.map is not None:
        results["map"] = _mapped(seen.map, usable[seen.map.regions], mapped)
    pooled = members[0].normalised()  # each member has a normalisation of its own
    for m in members[1:]:
        pooled = pooled.plus(m.normalised())
    shares = [[m.weight_inside[p.regions] / m.weight for m in members] for p in seen.panels]
    results["panels"] = [
        view.panel(p, pooled, holdout, np.array(s))
        for p, s in zip(seen.panels, shares, strict=True)
    ]
    return results | {"warnings": notes}


def _resolution(
    seen: view.View, members: Sequence[rg.Sums], request: Request
) -> list[dict[str, Any]]:
    """G of each column's binnings, from coarse to fine."""
    found: dict[str, dict[str, Any]] = {}
    for scan in seen.scans:
        sums = [m.take(scan.regions) for m in members]
        if not np.all([rg.measurable(m) for m in sums]):
            continue  # negative weights dominate a bin
        shares = [m.weight_inside / m.weight for m in sums]
        parts = [rg.fractions(m) for m in sums]
        n_gen = np.stack([p.n_effective for p in parts])
        if not (np.sum(shares, axis=0) > 0).all():
            continue  # an empty bin
        factor, status = pooled_amplification(
            np.stack(shares), n_train=request.n_train, n_gen=n_gen, level=request.level
        )
        entry = found.setdefault(
            scan.column,
            {
                "column": scan.column,
                **{key: [] for key in ("bins", "amplification", "low", "high", "status")},
            },
        )
        for key, value in zip(
            entry, (None, scan.bins, *map(float, factor), status.name.lower()), strict=True
        ):
            if key != "column":
                entry[key].append(value)
    return list(found.values())


def _mapped(grid: view.Map, full: np.ndarray, found: AveragingEstimate) -> dict[str, Any]:
    """G in each cell of two columns; empty cells have none."""
    shape = tuple(len(e) - 1 for e in grid.edges)
    factor, status = np.full(full.shape, np.nan), np.full(full.shape, "unresolved", object)
    factor[full], status[full] = (
        found.factor.value,
        [Status(int(s)).name.lower() for s in found.status],
    )
    return {
        "columns": grid.columns,
        "edges": grid.edges,
        "amplification": factor.reshape(shape),
        "status": status.reshape(shape).tolist(),
    }


def _warnings(
    samples: Sequence[files.Selection],
    counted: Sequence[Counted],
    holdout: Counted | None,
    failed: Sequence[dict[str, Any]] | None,
) -> list[str]:
    notes = []
    if holdout is not None and samples[0].weight is not None and samples[-1].weight is None:
        notes.append(
            f"{samples[-1].table.source} has no weight column {samples[0].weight.label}: its events count one each"
        )
    every = list(counted) if holdout is None else [*counted, holdout]
    negative = [part.negative for part in every if part.negative]
    if negative:
        notes.append(
            f"{sum(negative)} negative weights in {len(negative)} samples: honoured, they lower the effective number of events"
        )
    for sample in samples:
        if sample.dropped:
            notes.append(
                f"{sample.dropped} events of {sample.table.source} have values that are not finite and were left out (--drop-nonfinite)"
            )
    if failed:
        notes.append(
            f"{len(failed)} members failed and are missing: if trainings fail for a reason, those that are left are no fair sample of them"
        )
    if failed is None:
        notes.append(
            "members trained on the same events, without a bootstrap, see only the randomness of training: G then comes out 3 to 7 times too high"
        )
    if holdout is None:
        notes.append(
            "without a holdout a bias common to all members stays invisible: n_equiv is precision only"
        )
    sums = [part.sums for part in counted]
    if len(sums) < 8:
        notes.append(
            f"{len(sums)} members fix the variance poorly: the intervals are wide; 8 or more are usual"
        )
    if len({s.n for s in sums}) > 1:
        notes.append(
            "members have different numbers of events: each one's noise is its own, n_gen quotes the smallest"
        )
    if any(
        (s.weight_inside / s.weight == sums[0].weight_inside / sums[0].weight).all()
        for s in sums[1:]
    ):
        notes.append(
            "two members have the same fraction in every region: are they the same sample?"
        )
    return notes


def _short(columns: Sequence[str]) -> str:
    return f"{len(columns)} columns ({', '.join(columns[:6])}{', ...' if len(columns) > 6 else ''})"
