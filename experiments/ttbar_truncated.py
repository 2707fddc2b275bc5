"""Top pairs after their cuts: what a spline flow whose training knows the cuts is worth, its pool
too, for integrals and event by event, against a truth of a million events (docs/top_pairs, Spline
flow: what was measured).

For each size of the training set: networks on independent sets, plain and truncated, which say how
wrong a member actually is; the pool of those of one set, a generator of its own; and bootstrap
members of every set, which are what a user has to estimate the error of a member from. All events
are looked at after the cuts. Settings were chosen on events of another seed (simulated with
`amplify ttbar --seed 77`). Run
`python -m experiments.ttbar_truncated --preset full`; a run continues with the training set that is
missing.
"""

import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import h5py
import jax
import jax.numpy as jnp
import numpy as np

from amplify.devices import use_all_cores
from amplify.errors import InputError
from amplify.generators.coordinates import coordinates
from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.generators.symmetrised import symmetrised
from amplify.generators.truncated import truncated
from amplify.progress import progress_bar
from amplify.sampling import sample_members
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.ttbar import helicity, recoil
from amplify.ttbar.partons import TtbarSettings, simulate
from amplify.ttbar.passing import momenta_of_helicity, passes_of
from amplify.types import Generator
from experiments import study, ttbar_analysis, ttbar_worth


@dataclass(frozen=True)
class Size:
    """Training sets of one size and the training of a network.

    Attributes:
        n_train: training events.
        sets: independent training sets.
        same: networks on each set, the members of its pool.
        bootstrap: members on bootstrap samples of each set.
        plain: sets that also have a network which does not know the cuts.
        learned: sets whose generators are also compared with the truth event by event.
        width: of the conditioners.
        training: steps, batch, ...
    """

    n_train: int = 10_000
    sets: int = 8
    same: int = 4
    bootstrap: int = 4
    plain: int = 2
    learned: int = 8
    width: int = 64
    training: FitConfig = FitConfig(steps=700, batch=512, learning_rate=2e-3, weight_decay=0.5)


@dataclass(frozen=True)
class Config:
    """The file of events holds, in this order, the truth, a user's holdout, events that were looked
    at while the study was set up and are not used, and the training sets of all sizes.
    """

    n_truth: int = 1_000_000
    n_holdout: int = 20_000
    seen: int = 10_000
    n_gen: int = 50_000
    layers: int = 8
    bins: int = 6
    dropout: float = 0.1
    sizes: tuple[Size, ...] = (Size(),)
    seed: int = 0

    @property
    def n_events(self) -> int:
        """Of the file."""
        trained = sum(size.n_train * size.sets for size in self.sizes)
        return self.n_truth + self.n_holdout + self.seen + trained


_SMALL = FitConfig(steps=600, batch=512, learning_rate=2e-3, weight_decay=2.0)
_LARGE = FitConfig(steps=1500, batch=512, learning_rate=2e-3)
PRESETS = {
    "smoke": Config(
        n_truth=8_000,
        n_holdout=1_000,
        seen=0,
        n_gen=2_000,
        layers=2,
        sizes=(Size(500, 2, 2, 2, 1, 1, width=16, training=FitConfig(20, 64, 2e-3)),),
    ),
    "quick": Config(
        n_truth=200_000,
        sizes=(Size(sets=2, plain=1, learned=1),),
    ),
    "full": Config(
        sizes=(
            Size(),
            Size(1_000, sets=4, plain=0, learned=2, width=32, training=_SMALL),
        )
    ),
    "large": Config(sizes=(Size(100_000, 2, 2, 2, plain=0, learned=1, training=_LARGE),)),
}


def main(
    preset: Literal["smoke", "quick", "full", "large"] = "quick",
    out: Path | None = None,
    data: Path | None = None,
) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes a minute, full an hour and a half on 2 cores, large has training sets of
            10^5 events; each simulates its events first.
        out: default amplify-runs/ttbar-truncated-PRESET; finished parts found there are used again.
        data: events from `amplify ttbar`; default OUT/events.h5, simulated if missing.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"ttbar-truncated-{preset}"
    study.claim(out, config)
    path = data or out / "events.h5"
    if not path.exists():
        print(f"simulating {config.n_events} events into {path}")
        with progress_bar("simulating", total=config.n_events) as bar:
            simulate(
                config.n_events,
                path,
                TtbarSettings(seed=config.seed),
                progress=lambda done: bar.count(done, config.n_events),
            )
    truth, holdout, sets = _events(config, path)
    worth = ttbar_worth.Worth(truth, holdout, passes_of(path, momenta_of))
    results: dict[str, Any] = {
        "n_truth": config.n_truth,
        "regions": worth.regions.labels,
        "places": worth.groups,
        "efficiency_true": _acceptance(path),
    }
    for index, (size, of_size) in enumerate(zip(config.sizes, sets, strict=True)):
        # standardised by the first set, for all networks: one compiled training
        flow = plain_generator(config, size, of_size[0])
        found, knowing = [], truncated(flow, worth.passes)
        for s, x in enumerate(of_size):
            key = jax.random.fold_in(jax.random.key(config.seed), 1000 * index + s)
            part = partial(_set, config, size, worth, (flow, knowing), x, key, s)
            found.append(study.cached(out / "parts" / f"n{size.n_train}-{s:02d}.npz", part))
        results[f"n{size.n_train}"] = ttbar_worth.summarised(
            worth,
            found,
            n_train=size.n_train,
            n_holdout=config.n_holdout,
            n_gen=config.n_gen,
            same=size.same,
        )
    path = out / "results.json"
    command = f"python -m experiments.ttbar_truncated --preset {preset}"
    study.record(path, command, config, ttbar_analysis.rounded(results), [])
    print(path)
    return path


def _events(config: Config, path: Path) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Momenta of truth and holdout [event, 6, 4], and for each size the coordinates of the sets
    [set, n_train, 17].
    """
    with h5py.File(path) as file:
        momenta: Any = file["momenta"]
        if len(momenta) < config.n_events:
            fix = f"amplify ttbar --events {config.n_events}"
            raise InputError(str(path), f"{config.n_events} events", str(len(momenta)), fix)
        truth = momenta[: config.n_truth]
        start = config.n_truth + config.n_holdout
        holdout = momenta[config.n_truth : start]
        start += config.seen
        sets = []
        for size in config.sizes:
            stop = start + size.n_train * size.sets
            x = recoil.from_helicity(helicity.to_helicity(momenta[start:stop].astype(np.float64)))
            sets.append(x.reshape(size.sets, size.n_train, -1).astype(np.float32))
            start = stop
    return truth, holdout, sets


def _acceptance(path: Path) -> float:
    """Share of the simulated events that passed all cuts."""
    with h5py.File(path) as file:
        flow = json.loads(str(file.attrs["cut_flow"]))
    counts = list(flow.values())
    return counts[-1] / counts[0]


def plain_generator(config: Config, size: Size, x: Any) -> Generator:
    """Spline flow with the exchange of the beams as augmentation, ignorant of the cuts."""
    bounded = {i: (-1.0, 1.0) for i in recoil.COSINES}
    periodic = {i: (-np.pi, np.pi) for i in recoil.AZIMUTHS}
    flow = coupling_flow(
        coordinates(jnp.asarray(x), bounded=bounded, periodic=periodic),
        FlowConfig(config.layers, (size.width, size.width), config.bins, config.dropout),
    )
    return symmetrised(flow, recoil.rotate_beams)


def momenta_of(v: Any) -> Any:
    """Momenta [n, 6, 4] in GeV of coordinates [n, 17]."""
    return momenta_of_helicity(recoil.to_helicity(v))


def _set(
    config: Config,
    size: Size,
    worth: ttbar_worth.Worth,
    generators: tuple[Generator, Generator],
    x: np.ndarray,
    key: Any,
    s: int,
    label: str = "",
) -> dict[str, np.ndarray]:
    """Everything that is measured on the networks of one training set."""
    started = time.perf_counter()
    flow, knowing = generators
    key_fit, key_rows, key_plain, key_sample = jax.random.split(key, 4)
    n = size.n_train
    rows = jnp.concatenate(
        [
            ensemble_rows(key_rows, n, members=size.same, resample="none"),
            ensemble_rows(key_rows, n, members=size.bootstrap, resample="bootstrap"),
        ]
    )
    trained = {"truncated": (knowing, rows, size.training, key_fit)}
    if s < size.plain:
        # as this flow was trained before: without the cuts, a weight decay against overfitting
        without = size.training._replace(weight_decay=2.0, steps=min(size.training.steps, 600))
        trained["plain"] = flow, rows[:1], without, key_plain
    measured: dict[str, np.ndarray] = {}
    for name, (generator, of_members, training, key_training) in trained.items():
        cpu = time.process_time()
        with progress_bar(f"n_train {n}, set {s}: {len(of_members)} {name} networks") as bar:
            ensemble = fit_members(
                jax.random.split(key_training, len(of_members)),
                generator,
                x,
                of_members,
                config=training,
                progress=bar.losses,
            )
            jax.block_until_ready(ensemble.params)
        seconds = (time.process_time() - cpu) / len(of_members)
        samples = sample_members(key_sample, knowing, ensemble.params, config.n_gen)
        momenta = [momenta_of(np.asarray(of_one, np.float64)) for of_one in samples.x]
        measured |= ttbar_worth.measured(
            worth,
            name,
            momenta,
            np.asarray(samples.efficiency),
            same=min(size.same, len(of_members)),
            learned=s < size.learned,
            seed=s,
        )
        measured[f"{name}_cpu_seconds"] = np.asarray(seconds)
    print(f"n_train {n}, set {s}: {time.perf_counter() - started:.0f} s", flush=True)
    return measured


if __name__ == "__main__":
    study.run(main)
