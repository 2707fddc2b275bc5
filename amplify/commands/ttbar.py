"""`amplify ttbar`: simulates top pairs into an HDF5 file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from amplify.commands.arguments import Count, Dask, Json
from amplify.errors import InputError


@dataclass(frozen=True)
class Ttbar:
    """Simulates top-pair events with Pythia 8 into an HDF5 file; an interrupted run continues.
    Needs the extra [ttbar].

    In a shell:
        amplify ttbar --events 100000 --out top.h5
        amplify ttbar --level jet --events 100000 --out jets.h5
    """

    events: Count
    """Accepted events."""
    out: Path
    """HDF5 file to write."""
    level: Literal["parton", "jet"] = "parton"
    """Partons with initial-state radiation, a third of a millisecond for each; or six anti-kt jets
    of hadrons, four milliseconds."""
    workers: int | None = None
    """Processes; default one per core. The events do not depend on it."""
    dask: Dask = None
    """Simulate on the workers of a Dask cluster: local, local:4, the address of a scheduler, or a
    YAML file of a batch system (docs, On a batch system). The events are the same."""
    smear: float | None = None
    """Of partons: times the detector resolution of 10 % in pT and .02 in eta and phi; default 1, 0
    switches it off."""
    mpi: bool = False
    """Of jets: with multiparton interactions, five times slower."""
    seed: int = 0
    """The same seed gives the same events."""
    json_to: Json = None
    """- prints the cut flow as JSON on standard output; a file name writes it there."""

    def run(self, command: str) -> None:
        """Runs the command; `command` is how it was called."""
        from amplify.commands.workers import on_workers

        level = _jets(self) if self.level == "jet" else _partons(self)
        with on_workers(self.dask, workers=self.workers, dry_run=False):
            _simulate(self.out, self.events, level, self.workers, self.json_to)


class _Level(NamedTuple):
    """What a level simulates, said to people, the check of its settings, and the simulation."""

    text: str
    settings: Any
    check: Callable[[int, Path, Any, int], None]
    simulate: Callable[..., Path]


def _partons(command: Ttbar) -> _Level:
    from amplify.ttbar import partons

    if command.mpi:
        fix = "partons know nothing of multiparton interactions; leave --mpi out"
        raise InputError("--mpi", "--level jet", "--level parton", fix)
    smear = 1.0 if command.smear is None else command.smear
    settings = partons.TtbarSettings(seed=command.seed, smear=smear)
    text = f"parton level with initial-state radiation, smearing {smear:g}"
    return _Level(text, settings, partons.check, partons.simulate)


def _jets(command: Ttbar) -> _Level:
    from amplify.ttbar import jets

    if command.smear is not None:
        fix = "jets have the resolution of the shower; leave --smear out"
        raise InputError("--smear", "--level parton", "--level jet", fix)
    settings = jets.JetSettings(seed=command.seed, mpi=command.mpi)
    text = f"anti-kt jets with{'' if command.mpi else 'out'} multiparton interactions"
    return _Level(text, settings, jets.check, jets.simulate)


def _simulate(
    out: Path, events: int, level: _Level, workers: int | None, json_to: str | None
) -> None:
    """Simulates with a progress bar and prints the cut flow."""
    import json
    import os
    import resource

    import h5py

    from amplify.commands.output import check_json, give_json, say
    from amplify.engine import current_engine
    from amplify.progress import progress_bar
    from amplify.ttbar.simulation import acceptance

    processes = (os.cpu_count() or 1) if workers is None else workers
    if json_to not in (None, "-"):
        check_json(Path(str(json_to)))
    level.check(events, out, level.settings, processes)
    say(f"pp -> t tbar at 13 TeV, {level.text}: {events} accepted events into {out}")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with progress_bar("simulating", total=events) as bar:
        level.simulate(
            events,
            out,
            level.settings,
            workers=processes,
            progress=lambda done: bar.count(done, events),
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with h5py.File(out) as file:
        flow = json.loads(str(file.attrs["cut_flow"]))
    for cut, (fraction, error) in acceptance(flow).items():
        say(f"  {cut:>10} {flow[cut]:>10} {fraction:.4f} +- {error:.4f}")
    if not current_engine().remote:
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        say(f"{cpu:.0f} s of processor time")
    say(f"{out}")
    settings = level.settings._asdict()
    found = {"file": str(out), "events": events, "cut_flow": flow, "settings": settings}
    give_json(found, json_to)
