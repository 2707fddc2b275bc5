"""Top pairs as jets, recorded: cut flow, means and tails of a simulated file with their errors, and
where the time of an event goes.

Run `amplify ttbar --level jet --events 100000 --seed 1 --out jets.h5` and `python -m
experiments.ttbar_jets --data jets.h5`.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from amplify.results.records import environment, write_json
from amplify.ttbar import jets, kinematics, pythia, simulation
from amplify.ttbar.event_files import open_events
from experiments import study

# docs/top_pairs, Events; the tails are given without saying of how many events
REFERENCE = {
    "acceptance": 0.407,
    "no_extra_jet": 0.186,
    "tail_m_tt": 0.11,
    "tail_m_tt_chi2_below_20": 0.014,
    "cpu_ms_per_event": 2.1,
}
MEANS = ("m_tt_gev", "pt_t_gev", "pt_tt_gev", "pt_b_gev", "delta_r_min")


def main(
    data: Path, out: Path = Path("paper_figures/results/ttbar_jets.json"), timed_events: int = 4000
) -> Path:
    """Writes the record.

    Args:
        data: a file of `amplify ttbar --level jet`; its momenta are checked.
        out: the record, a few kilobytes.
        timed_events: events generated to measure the time.
    """
    events = open_events(
        data, particles=6, pt_min_gev=22.0, eta_max=5.0, delta_r_min=0.5, massive=True
    )
    settings = events.attributes["settings"]
    with h5py.File(data) as file:
        column = {name: values[:] for name, values in file["observables"].items()}
    flow = events.attributes["cut_flow"]
    accepted, accepted_error = simulation.acceptance(flow)["delta_r"]
    alone, good = column["n_extra_jets"] == 0, column["chi2"] < 20
    share, share_error = _fraction(alone)
    selections = {
        "all": np.ones_like(good),
        "chi2_below_20": good,
        "no_extra_jet": alone,
        "no_extra_jet_chi2_below_20": alone & good,
    }
    study_record = {
        "events": len(events.momenta),
        "cut_flow": {
            cut: {"events": flow[cut], "fraction": f, "error": error}
            for cut, (f, error) in simulation.acceptance(flow).items()
        },
        "no_extra_jet_of_generated": [
            accepted * share,
            float(np.hypot(accepted * share_error, accepted_error * share)),
        ],
        "selections": {name: _summary(column, chosen) for name, chosen in selections.items()},
        "jet_mass_gev": {
            "median": float(np.median(kinematics.mass(events.momenta))),
            "smallest": float(kinematics.mass(events.momenta).min()),
        },
        "extra_jets": {str(n): _fraction(column["n_extra_jets"] == n) for n in range(7)},
        "reference": REFERENCE,
        "cpu_ms_per_generated_event": _time(jets.JetSettings(seed=settings["seed"]), timed_events),
    }
    sample = f"--events {len(events.momenta)} --seed {settings['seed']} --out jets.h5"
    study = "python -m experiments.ttbar_jets --data jets.h5"
    command = f"amplify ttbar --level jet {sample} && {study}"
    write_json(
        out,
        environment(command, settings["seed"], settings) | {"estimates": [], "study": study_record},
    )
    print(out)
    return out


def _summary(column: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, Any]:
    """Fractions and means [value, error] of the chosen events; the masses as the median and half
    the width of the central 68 %.
    """
    rows = {name: values[chosen].astype(np.float64) for name, values in column.items()}
    n = int(chosen.sum())
    means = {
        name: [float(rows[name].mean()), float(rows[name].std() / np.sqrt(n))] for name in MEANS
    }
    peaks = {}
    for name in ("m_t_gev", "m_wplus_gev"):
        low, median, high = np.quantile(rows[name], [0.16, 0.5, 0.84])
        peaks[name] = {"median": float(median), "half_width_68": float((high - low) / 2)}
    return {
        "events": n,
        "fraction": _fraction(chosen),
        "tail_m_tt_above_1000": _fraction(rows["m_tt_gev"] > 1000),
        "tail_pt_t_above_400": _fraction(rows["pt_t_gev"] > 400),
        "means": means,
        "peaks": peaks,
    }


def _fraction(chosen: np.ndarray) -> list[float]:
    """[fraction, binomial error]."""
    f = float(chosen.mean())
    return [f, float(np.sqrt(f * (1 - f) / len(chosen)))]


def _time(settings: jets.JetSettings, n: int) -> dict[str, float]:
    """Processor time in milliseconds per generated event: of all, of the steps after Pythia, and of
    Pythia's own by switching them off from the end.
    """
    jets.simulate_chunk(settings, 1, 100)  # loads the packages
    _, total = _timed(lambda: jets.simulate_chunk(settings, 0, n))
    hadrons = list(jets.hadron_events(settings, 0, n))
    clustered, clustering = _timed(lambda: [jets.find_jets(batch, settings) for batch in hadrons])
    _, selection = _timed(lambda: [jets.select(batch, settings) for batch in clustered])
    hard = ("PartonLevel:ISR=off", "PartonLevel:FSR=off", "HadronLevel:all=off")
    levels = {
        "hard_process": hard,
        "isr": hard[1:],
        "fsr": hard[2:],
        "hadrons": ("HadronLevel:Decay=off",),
        "decays": (),
    }
    cumulative = [0.0, *(_pythia(settings, off, n) for off in levels.values())]
    of_pythia = {
        f"pythia_{name}": step
        for name, step in zip(levels, np.diff(cumulative).tolist(), strict=True)
    }
    of_selection = {"jets_and_tags": clustering, "assignment": selection}
    seconds = {"total": total, **of_pythia, **of_selection}
    steps = {name: 1e3 * value / n for name, value in seconds.items()}
    named = sum(steps[name] for name in steps if name != "total")
    return steps | {"start_of_pythia_and_arrays": steps["total"] - named}


def _pythia(settings: jets.JetSettings, off: tuple[str, ...], n: int) -> float:
    lines = (*jets.pythia_settings(settings), *off)
    generator = pythia.started(lines, pythia.chunk_seed(settings.seed, 0))
    return _timed(lambda: [generator.next() for _ in range(n)])[1]


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    done = work()
    return done, time.process_time() - start


if __name__ == "__main__":
    study.run(main)
