"""Which uncertainty can be trusted: estimated against actual error of integrals for every way to
make members, on problems whose truth is known, and how often the intervals on G are true.

Cells of the study (`experiments.calibration_members`) are computed in an order that says the most
first, and stored one by one; what is interrupted continues with the cell that is missing. Run
`python -m experiments.calibration --preset full --data events.h5` with top pairs from `amplify
ttbar --events 1400000 --seed 0 --out events.h5`.

Settings were chosen on ring2, ring4 and gaussian with training sets from number 900 on. Other
problems, and training sets below 900, served for no choice.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from amplify.sealed import load_arrays
from experiments import cells, study
from experiments.calibration_members import Cell, Settings, integrals
from experiments.calibration_tables import (
    Integrals,
    coverage,
    of_networks,
    ratios,
    transfer_variance,
)
from experiments.problems import PROBLEMS, Problem, top_pairs

BLOCK = 20  # training sets of a coverage that are stored together
FOR_CHOICES = 900  # number of the first training set that served for choices
_COVERED = 12  # fewer sets say nothing of a coverage
_POOL = 8  # bootstrap members whose pool refits learn from
REPORTED = ("mixture", "shell3", "banana")  # whose coverage is reported
BAYESIAN = ("variational", "sgmcmc")
COMPARED = ("ring2", *REPORTED, "top_pairs", "ring4", "correlated5")


@dataclass(frozen=True)
class Config:
    """Cells in the order in which they are computed; the settings decide what is in each."""

    cells: tuple[Cell, ...] = ()
    settings: Settings = field(default_factory=Settings)


def compared(problem: str, generator: str = "coupling", sets: int = 12) -> list[Cell]:
    """Same-data members, which are also the networks whose error is the actual one, and
    bootstraps.
    """
    return [
        Cell(problem, generator, "same data", 1000, 4, 0, sets),
        Cell(problem, generator, "bootstrap", 1000, _POOL, 0, sets),
    ]


def covered(problem: str, generator: str, sets: int = 200) -> list[Cell]:
    """How often intervals are true: bootstraps on many sets, and the actual error there."""
    blocks = range(0, sets, BLOCK)
    return [
        Cell(problem, generator, method, 1000, members, first, BLOCK)
        for method, members in (("same data", 1), ("bootstrap", _POOL))
        for first in blocks
    ]


def chosen_on(problem: str, generator: str) -> list[Cell]:
    """Training sets that served for choices: actual errors from four times as many."""
    return [
        Cell(problem, generator, "same data", 1000, 1, FOR_CHOICES, 48),
        Cell(problem, generator, "bootstrap", 1000, _POOL, FOR_CHOICES, 24),
    ]


def bayesian(problem: str, generator: str = "coupling", sets: int = 6) -> list[Cell]:
    """Draws of posteriors."""
    return [Cell(problem, generator, method, 1000, 16, 0, sets) for method in BAYESIAN]


def refitted(problem: str, generator: str = "coupling", sets: int = 8) -> list[Cell]:
    """Members trained on what the bootstraps of the same sets generate."""
    return [Cell(problem, generator, "refit", 1000, _POOL, 0, sets)]


def fitted(problem: str) -> list[Cell]:
    """All methods on the fitted Gaussian."""
    sampled = ("same data", "bootstrap", "refit")
    return [
        Cell(problem, "gaussian", "same data", 1000, 1, 48, 200),
        *(Cell(problem, "gaussian", method, 1000, 8, 0, 48) for method in sampled),
        *(Cell(problem, "gaussian", m, 1000, 16, 0, 10) for m in (*BAYESIAN, "nuts")),
    ]


PRESETS = {
    "smoke": Config(
        (
            Cell("gaussian", "gaussian", "same data", 200, 8, 0, 3),
            Cell("gaussian", "gaussian", "bootstrap", 200, 8, 0, 3),
            Cell("gaussian", "gaussian", "refit", 200, 8, 0, 3),
        ),
        Settings(sobol=1 << 10, steps=40),
    ),
    "quick": Config(
        (
            *(cell for name in ("ring2", "mixture") for cell in compared(name)),
            *bayesian("ring2"),
            *covered("mixture", "autoregressive", 60),
        )
    ),
    "full": Config(
        (
            *(cell for name in COMPARED for cell in compared(name)),
            *(Cell(name, "coupling", "same data", 1000, 1, 12, 36) for name in COMPARED),
            *covered("mixture", "autoregressive"),
            *(cell for name in ("ring2", "ring4") for cell in chosen_on(name, "autoregressive")),
            *covered("shell3", "autoregressive"),
            *bayesian("ring2"),
            *refitted("ring2"),
            Cell("shell3", "autoregressive", "refit", 1000, _POOL, 0, BLOCK),
            *(cell for name in ("mixture", "top_pairs") for cell in bayesian(name)),
            *covered("banana", "autoregressive"),
            *bayesian("ring4"),
            *refitted("mixture"),
            *(cell for name in REPORTED for cell in covered(name, "gaussian mixture")),
            *(cell for name in ("banana", "shell3", "correlated5") for cell in bayesian(name)),
            *(cell for name in ("ring4", "top_pairs") for cell in refitted(name)),
            *fitted("gaussian"),
            *(cell for name in REPORTED for cell in covered(name, "kernel density")),
        )
    ),
}


def main(
    preset: Literal["smoke", "quick", "full"] = "quick",
    out: Path | None = None,
    data: Path | None = None,
    finished: bool = False,
) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes seconds, quick ten minutes, full two hours, of one core.
        out: default amplify-runs/calibration-PRESET; finished cells found there are used again.
        data: top pairs; without it their cells are left out.
        finished: compute no more cells, and write what those that are there say.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"calibration-{preset}"
    study.claim(out, config.settings)
    if not finished:
        known = [cell for cell in config.cells if _problem(cell.problem, data) is not None]
        _store(config, known, out, data)
    found = summary(config, out, data)
    path = out / "results.json"
    command = f"python -m experiments.calibration --preset {preset}"
    study.record(path, command + (" --data events.h5" if data else ""), config, found, [])
    print(path)
    return path


def _store(config: Config, wanted: list[Cell], out: Path, data: Path | None) -> None:
    """Computes the cells that nobody has computed yet: side by side where an engine has workers,
    after those that they learn from.
    """
    pools = [_pool_of(config, cell) for cell in wanted if cell.method == "refit"]
    first = [cell for cell in wanted if cell.method != "refit"]
    for group in (list(dict.fromkeys([*first, *pools])), [c for c in wanted if c not in first]):
        parts = [_part(config, cell, out, data) for cell in group]
        for cell, _ in zip(group, cells.cached(parts), strict=True):
            print(f"{time.strftime('%H:%M:%S')} {cell.name}", file=sys.stderr, flush=True)


def _part(
    config: Config, cell: Cell, out: Path, data: Path | None
) -> tuple[Path, Callable[[], dict[str, np.ndarray]]]:
    """Where a cell is stored, and what computes it, in whatever directory."""
    known = None if data is None else data.absolute()
    return _path(out, cell), partial(_computed, config, cell, out.absolute(), known)


def _path(out: Path, cell: Cell) -> Path:
    return out / "parts" / f"{cell.name}.npz"


def _computed(config: Config, cell: Cell, out: Path, data: Path | None) -> dict[str, np.ndarray]:
    """The arrays of a cell; of refits where the pool that they learn from is stored."""
    problem = _problem(cell.problem, data)
    assert problem is not None
    pool = None
    if cell.method == "refit":
        pool = load_arrays(_path(out, _pool_of(config, cell)))
        assert pool is not None
    return integrals(config.settings, cell, problem, pool)


def _pool_of(config: Config, refit: Cell) -> Cell:
    """The bootstraps whose pool the refits of the same training sets learn from."""
    wanted = refit._replace(method="bootstrap", members=_POOL)
    return next(
        cell
        for cell in config.cells
        if cell._replace(sets=refit.sets) == wanted and cell.sets >= refit.sets
    )


class Group(NamedTuple):
    """What belongs together: networks of one generator on one problem."""

    problem: str
    generator: str
    n_train: int
    chosen: bool  # training sets that served for choices


def _transfer(rows: list[dict[str, Any]]) -> float:
    """Of bootstraps, from the training sets that served for choices; nan without them."""
    known = [r["transfer_variance"] for r in rows if r["chosen"] and r["method"] == "bootstrap"]
    return float(np.sqrt(max(np.mean(known), 0.0))) if known else float("nan")


class Joined(NamedTuple):
    """Cells of one method and number of members: integrals [set, member, region], numbers of the
    training sets, CPU seconds of training each [set].
    """

    integral: np.ndarray
    sets: np.ndarray
    seconds: np.ndarray


def summary(config: Config, out: Path, data: Path | None) -> dict[str, Any]:
    """Ratios, biases and coverages of all cells that are stored."""
    groups: dict[Group, list[Cell]] = {}
    for cell in config.cells:
        group = Group(cell.problem, cell.generator, cell.n_train, cell.first >= FOR_CHOICES)
        if (out / "parts" / f"{cell.name}.npz").exists():
            groups.setdefault(group, []).append(cell)
    networks, rows, coverages = [], [], []
    for group, of_group in groups.items():
        problem = _problem(group.problem, data)
        if problem is None:
            continue
        methods = _joined(config, of_group, out, data)
        found = _of_group(group, methods, problem)
        for table, more in zip((networks, rows, coverages), found, strict=True):
            table += more
    tau = _transfer(rows)
    tables = [_covered(row, members, at, tau) for row, members, at in coverages]
    found = {"networks": networks, "ratios": rows, "transfer": tau, "coverage": tables}
    return _rounded(found)


def _rounded(found: Any) -> Any:
    """Four digits of every number: what is recorded stays small."""
    if isinstance(found, dict):
        return {name: _rounded(value) for name, value in found.items()}
    if isinstance(found, list | tuple | np.ndarray):
        return [_rounded(value) for value in found]
    plain = found.item() if isinstance(found, np.generic) else found
    return float(f"{plain:.4g}") if isinstance(plain, float) else plain


def _covered(row: dict[str, Any], found: Integrals, problem: Problem, tau: float) -> dict[str, Any]:
    """How often intervals are true, of the spread alone, and as reports give those of bootstraps:
    with the transfer.
    """
    carried = {}
    if row["method"] == "bootstrap" and np.isfinite(tau):
        rounded = round(tau, 2)  # as it is packaged
        carried = {"with_transfer": coverage(found, problem, row["n_train"], transfer=rounded)}
    return row | {"alone": coverage(found, problem, row["n_train"])} | carried


def _joined(
    config: Config, of_group: list[Cell], out: Path, data: Path | None
) -> dict[tuple[str, int], Joined]:
    """By method and number of members."""
    methods: dict[tuple[str, int], list[Cell]] = {}
    for cell in of_group:
        methods.setdefault((cell.method, cell.members), []).append(cell)
    joined = {}
    for method, of_method in methods.items():
        arrays = list(cells.cached([_part(config, cell, out, data) for cell in of_method]))
        joined[method] = Joined(
            np.concatenate([a["integral"] for a in arrays]),
            np.concatenate([c.first + np.arange(c.sets) for c in of_method]),
            np.concatenate([a["seconds"] for a in arrays]),
        )
    return joined


def _of_group(
    group: Group, methods: dict[tuple[str, int], Joined], problem: Problem
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Any]]:
    """Of the networks, of each method, and what coverages are made of."""
    alone = [joined for (method, _), joined in methods.items() if method == "same data"]
    if not alone:
        return [], [], []
    actual = _one_of_each(alone)
    named = group._asdict()
    about = {"sets": len(actual.sets)}
    regions = {"regions": problem.regions.labels, "is_tail": problem.is_tail}
    known = of_networks(actual.integral, problem, group.n_train)
    networks = [named | about | regions | {"truth": problem.truth} | known]
    rows, coverages = [], []
    for (method, members), joined in methods.items():
        if members < 2:
            continue
        found = _integrals(method, joined, actual, methods)
        row = named | {"method": method, "members": members, "sets": len(found.members)}
        seconds = {"seconds_per_member": float(np.median(joined.seconds) / members)}
        if method == "bootstrap":
            row["transfer_variance"] = transfer_variance(found, problem)
        rows.append(row | seconds | ratios(found, problem))
        if len(found.members) >= _COVERED:
            coverages.append((row, found, problem))
    return networks, rows, coverages


def _one_of_each(networks: list[Joined]) -> Joined:
    """One network of each training set: more of the same set hardly differ (their spread is a tenth
    of the squared error), more sets say more.
    """
    sets = np.concatenate([joined.sets for joined in networks])
    first = np.concatenate([joined.integral[:, :1] for joined in networks])
    each, places = np.unique(sets, return_index=True)
    return Joined(first[places], each, np.full(len(each), np.nan))


def _integrals(
    method: str, joined: Joined, actual: Joined, methods: dict[tuple[str, int], Joined]
) -> Integrals:
    """Members, and all networks: the actual error is known best from most training sets."""
    pool, mine = None, np.arange(len(joined.sets))
    if method == "refit":
        of = methods["bootstrap", _POOL]
        _, mine, of_pool = np.intersect1d(joined.sets, of.sets, return_indices=True)
        pool = of.integral[of_pool]
    return Integrals(actual.integral, joined.integral[mine], pool)


@cache
def _problem(name: str, data: Path | None) -> Problem | None:
    if name != "top_pairs":
        return PROBLEMS[name]
    return None if data is None else top_pairs(data)


if __name__ == "__main__":
    study.run(main, has_tasks=True)
