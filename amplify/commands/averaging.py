"""`amplify averaging`: files with generated events, one per member, to a verdict per region."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amplify import regions as rg
from amplify.commands.cuts import fractions_in, read_regions
from amplify.commands.output import publish
from amplify.data import files
from amplify.errors import EmptyRegionError, InputError, NeedsMembersError
from amplify.estimators.averaging import averaging_amplification
from amplify.report.progress import progress_bar
from amplify.report.results import averaging_records, environment
from amplify.types import Holdout

_EDGE_EVENTS = 1_000_000  # events that place the edges of bins


def averaging(
    directory: Path,
    json_to: str | None,
    members: Sequence[str],
    n_train: int,
    columns: Sequence[str] | None,
    region_file: Path | None,
    n_bins: int,
    holdout: str | None,
    weight_column: str | None,
    level: float,
    seed: int,
    command: str,
) -> None:
    """Reads the members chunk by chunk, counts in the regions, estimates and writes."""
    import jax

    if len(members) < 2:
        raise NeedsMembersError("--members", "at least 2 files, better 8 or more", str(len(members)), "train again on bootstrap samples of the training events")
    if n_train < 1:
        raise InputError("--n-train", "at least 1", str(n_train), "give the number of training events of one member")
    if len({str(Path(m)) for m in members}) < len(members):
        raise InputError("--members", "files that differ", "one named twice", "identical members have no spread")
    tables = [files.open_table(m) for m in members]
    selections = _alike(tables, columns, weight_column)
    names = [tables[0].columns[c] for c in selections[0].columns]
    held_out = None if holdout is None else _holdout(holdout, names, weight_column)
    regions = _regions(region_file, n_bins, names, [held_out] if held_out else selections)

    counted = []
    with progress_bar("reading members", total=len(selections)) as bar:
        for done, selection in enumerate(selections):
            counted.append(fractions_in(regions, selection))
            bar.count(done + 1, len(selections))
    integral = np.stack([c.integral for c in counted])
    empty = [label for label, inside in zip(regions.labels, np.sum([c.n_inside for c in counted], axis=0), strict=True) if inside == 0]
    if empty:
        raise EmptyRegionError(f"region {empty[0]}", "generated events inside", "none in any member", "widen the region or remove it")
    truth = None if held_out is None else fractions_in(regions, held_out)
    with jax.enable_x64(True):
        estimate = averaging_amplification(
            integral,
            n_train=n_train,
            n_gen=np.stack([c.n_effective for c in counted]),
            holdout=None if truth is None else Holdout(truth.integral, truth.n_effective),
            level=level,
        )
    n_gen = min(t.n for t in tables)
    results = environment(command, seed, _settings(n_train, names, region_file, n_bins, level, weight_column))
    results["inputs"] = [files.describe(s) for s in [*selections, *([held_out] if held_out else [])]]
    results["estimates"] = averaging_records(
        estimate, regions.labels, members=len(members), n_train=n_train, n_gen=n_gen, n_holdout=held_out.table.n if held_out else None, level=level
    )
    results["warnings"] = _warnings(tables, counted, held_out is None)
    for table in [*tables, *([held_out.table] if held_out else [])]:
        table.close()
    publish(results, directory, json_to)


def _alike(tables: Sequence[files.Table], columns: Sequence[str] | None, weight_column: str | None) -> list[files.Selection]:
    first = tables[0]
    for table in tables[1:]:
        if columns is None and table.columns != first.columns:
            raise InputError(table.source, f"the {len(first.columns)} columns of {first.source}", _short(table.columns), "members have the same columns")
    return [files.select(table, columns, weight_column) for table in tables]


def _holdout(source: str, names: Sequence[str], weight_column: str | None) -> files.Selection:
    table = files.open_table(source)
    return files.select(table, names, weight_column if weight_column in table.columns else None)


def _regions(region_file: Path | None, n_bins: int, names: Sequence[str], sources: Sequence[files.Selection]) -> rg.Regions:
    if region_file is not None:
        return read_regions(region_file, names)
    pooled = np.concatenate([files.spread_rows(s, _EDGE_EVENTS // len(sources)) for s in sources])
    return rg.join(*(rg.equiprobable_bins(rg.column(i), pooled, n_bins, name) for i, name in enumerate(names)))


def _warnings(tables: Sequence[files.Table], counted: Sequence[rg.Fractions], no_holdout: bool) -> list[str]:
    notes = ["members that were trained on the same events, without a bootstrap, see only the randomness of training: G then comes out 3 to 7 times too high"]
    if no_holdout:
        notes.append("without a holdout a bias common to all members stays invisible: n_equiv is precision only")
    if len(tables) < 8:
        notes.append(f"{len(tables)} members fix the variance poorly: the intervals are wide; 8 or more are usual")
    if len({t.n for t in tables}) > 1:
        notes.append("members have different numbers of events: each one's noise is its own, n_gen quotes the smallest")
    if any((c.integral == counted[0].integral).all() for c in counted[1:]):
        notes.append("two members have the same fraction in every region: are they the same sample?")
    return notes


def _settings(n_train: int, names: Sequence[str], region_file: Path | None, n_bins: int, level: float, weight_column: str | None) -> dict[str, Any]:
    regions = {"regions": str(region_file)} if region_file else {"bins": n_bins}
    return {"n_train": n_train, "columns": list(names), **regions, "level": level, "weight_column": weight_column}


def _short(columns: Sequence[str]) -> str:
    return f"{len(columns)} columns ({', '.join(columns[:6])}{', ...' if len(columns) > 6 else ''})"
