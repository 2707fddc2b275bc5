"""`amplify ttbar`: simulates top pairs into an HDF5 file."""

import json
import os
from pathlib import Path

from amplify.commands.output import say
from amplify.data.ttbar import TtbarSettings, check, simulate
from amplify.report.progress import progress_bar


def ttbar(out: Path, events: int, settings: TtbarSettings, workers: int | None, json_to: str | None) -> None:
    """Simulates with a progress bar and prints the cut flow."""
    import h5py

    processes = (os.cpu_count() or 1) if workers is None else workers
    check(events, out, settings, processes)
    say(f"pp -> t tbar at 13 TeV, parton level with initial-state radiation, smearing {settings.smear:g}: {events} accepted events into {out}")
    with progress_bar("simulating", total=events) as bar:
        simulate(events, out, settings, workers=processes, progress=lambda done: bar.count(done, events))
    with h5py.File(out) as file:
        flow = json.loads(str(file.attrs["cut_flow"]))
    generated = flow["generated"]
    for cut, left in flow.items():
        say(f"  {cut:>10} {left:>10} {left / generated:.4f}")
    say(f"{out}")
    if json_to == "-":
        print(json.dumps({"file": str(out), "events": events, "cut_flow": flow, "settings": settings._asdict()}))
