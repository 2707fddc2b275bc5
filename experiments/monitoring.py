"""Monitoring: a stream of batches of events, each tested against one reference, as `amplify compare
--batches` does it. How often is there an alarm where nothing is wrong, how soon where something is,
and how long does a batch take?

The detector is a toy of four layers of drift tubes that a muon crosses, with the five features of
arXiv:2303.05413: four drift times and the angle. Faults are a slower drift, a later threshold,
noise hits, and a dead layer in a part of the tubes. Run `python -m experiments.monitoring --preset
full`. Nothing was chosen by what it shows.
"""

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from amplify.analysis.compare_batches import monitored
from amplify.devices import use_all_cores
from amplify.estimators.statistics import STATISTICS
from amplify.types import Events
from experiments import study

_HALF_WIDTH, _HEIGHT = 21.0, 13.0  # of a tube, mm
_SPEED = 0.054  # of the drift, mm / ns
_JITTER = 5.0  # ns
_RATES = (0.01, 0.05)


class Fault(NamedTuple):
    """What is wrong with the detector, relative or in ns."""

    slower: float = 0.0
    later: float = 0.0
    noise: float = 0.0
    dead: float = 0.0


FAULTS = {
    "nothing": Fault(),
    "drift 2 % slower": Fault(slower=0.02),
    "drift 5 % slower": Fault(slower=0.05),
    "threshold 10 ns later": Fault(later=10.0),
    "noise in 3 % of the times": Fault(noise=0.03),
    "one layer dead in 5 % of events": Fault(dead=0.05),
}


@dataclass(frozen=True)
class Config:
    """So many batches where nothing is wrong, and so many of each fault."""

    statistics: tuple[str, ...] = ("mean_ks", "sliced_wasserstein", "frechet", "gaussian_mmd")
    batch: tuple[int, ...] = (250, 500)
    reference: int = 10_000
    right: int = 1000
    wrong: int = 200
    experiments: int = 1000
    seed: int = 1


PRESETS = {
    "smoke": Config(
        statistics=("mean_ks",), batch=(50,), reference=500, right=20, wrong=5, experiments=100
    ),
    "quick": Config(batch=(250,), right=200, wrong=50),
    "full": Config(),
}


def main(preset: Literal["smoke", "quick", "full"] = "quick", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes a second, quick half a minute, full three minutes on one core.
        out: default amplify-runs/monitoring-PRESET; finished parts found there are used again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"monitoring-{preset}"
    study.claim(out, config)
    cells = []
    for size in config.batch:
        for name in config.statistics:
            path = out / "parts" / f"{name}-{size}.npz"
            found = study.cached(path, partial(_stream, config, name, size))
            cells.append({"statistic": name, "batch": size} | _told(config, found))
            print({key: value for key, value in cells[-1].items() if key != "alarms"}, flush=True)
    path = out / "results.json"
    command = f"python -m experiments.monitoring --preset {preset}"
    study.record(path, command, config, {"cells": cells}, [])
    print(path)
    return path


def tracks(rng: np.random.Generator, n: int, fault: Fault = Fault()) -> np.ndarray:
    """Drift times of four layers of tubes in ns and the angle of the muon in degrees [n, 5]. Every
    second layer is shifted by half a tube.
    """
    slope = np.tan(np.radians(rng.normal(0, 12, n)).clip(-0.6, 0.6))
    x = rng.uniform(-_HALF_WIDTH, _HALF_WIDTH, n)
    columns = []
    for layer in range(4):
        place = x + slope * _HEIGHT * (layer - 1.5) + (layer % 2) * _HALF_WIDTH
        to_wire = np.abs((place + _HALF_WIDTH) % (2 * _HALF_WIDTH) - _HALF_WIDTH)
        times = to_wire / (_SPEED * (1 - fault.slower)) + fault.later
        times += _JITTER * rng.normal(size=n)
        noisy = rng.random(n) < fault.noise
        times[noisy] = rng.uniform(0, _HALF_WIDTH / _SPEED, int(noisy.sum()))
        columns.append(times)
    columns[1][rng.random(n) < fault.dead] = 0.0
    return np.stack([*columns, np.degrees(np.arctan(slope)) + rng.normal(size=n)], axis=1)


def _batches(config: Config, size: int) -> Iterator[Events]:
    """First those of a detector that is right, then those of each fault."""
    for name, fault in FAULTS.items():
        rng = np.random.default_rng([config.seed, size, zlib.crc32(name.encode())])
        for _ in range(config.right if name == "nothing" else config.wrong):
            yield Events(tracks(rng, size, fault))


def _stream(config: Config, name: str, size: int) -> dict[str, np.ndarray]:
    started = time.process_time()
    reference = Events(tracks(np.random.default_rng([config.seed, 0]), config.reference))
    count = config.right + (len(FAULTS) - 1) * config.wrong
    found = monitored(
        [STATISTICS[name]],
        partial(_batches, config, size),
        reference,
        count=count,
        false_alarms=_RATES[0],
        experiments=config.experiments,
        seed=config.seed,
    )[0]
    return {
        "p": found.p,
        "milliseconds": np.asarray(found.milliseconds),
        "seconds": np.asarray(time.process_time() - started),
    }


def _told(config: Config, found: dict[str, np.ndarray]) -> dict[str, object]:
    """Shares of batches with an alarm at each rate of false ones."""
    p, alarms, first = found["p"], {}, 0
    for name in FAULTS:
        count = config.right if name == "nothing" else config.wrong
        some = p[first : first + count]
        alarms[name] = [float((some <= rate).mean()) for rate in _RATES]
        first += count
    return {
        "rates": list(_RATES),
        "alarms": alarms,
        "false": alarms["nothing"],
        "milliseconds": float(found["milliseconds"]),
        "seconds": float(found["seconds"]),
    }


if __name__ == "__main__":
    study.run(main)
