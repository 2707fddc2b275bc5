"""`amplify ttbar`: simulates top pairs into an HDF5 file."""

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from amplify.commands.output import say
from amplify.errors import InputError
from amplify.progress import progress_bar
from amplify.ttbar import jets, simulation
from amplify.ttbar import partons as ttbar


class Level(NamedTuple):
    """What a level simulates, said to people, the check of its settings, and the simulation."""

    text: str
    settings: Any
    check: Callable[[int, Path, Any, int], None]
    simulate: Callable[..., Path]


def level(name: str, seed: int, smear: float | None, mpi: bool) -> Level:
    """The level with the options of the command line.

    Raises:
        InputError: an option of the other level.
    """
    if name == "parton":
        if mpi:
            raise InputError(
                "--mpi",
                "--level jet",
                "--level parton",
                "partons know nothing of multiparton interactions; leave --mpi out",
            )
        settings = ttbar.TtbarSettings(seed=seed, smear=1.0 if smear is None else smear)
        return Level(
            f"parton level with initial-state radiation, smearing {settings.smear:g}",
            settings,
            ttbar.check,
            ttbar.simulate,
        )
    if smear is not None:
        raise InputError(
            "--smear",
            "--level parton",
            "--level jet",
            "jets have the resolution of the shower; leave --smear out",
        )
    settings = jets.JetSettings(seed=seed, mpi=mpi)
    return Level(
        f"anti-kt jets with{'' if mpi else 'out'} multiparton interactions",
        settings,
        jets.check,
        jets.simulate,
    )


def simulate(
    out: Path, events: int, level: Level, workers: int | None, json_to: str | None
) -> None:
    """Simulates with a progress bar and prints the cut flow."""
    import h5py

    processes = (os.cpu_count() or 1) if workers is None else workers
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
    for cut, (fraction, error) in simulation.acceptance(flow).items():
        say(f"  {cut:>10} {flow[cut]:>10} {fraction:.4f} +- {error:.4f}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    say(f"{cpu:.0f} s of processor time")
    say(f"{out}")
    if json_to == "-":
        print(
            json.dumps(
                {
                    "file": str(out),
                    "events": events,
                    "cut_flow": flow,
                    "settings": level.settings._asdict(),
                }
            )
        )
