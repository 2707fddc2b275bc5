"""How cost grows: training against members and devices, and a whole study against the training
events. `python -m experiments.benchmarks.scaling`.

Devices of a CPU are threads that JAX is told to take for devices, each count of them in a process
of its own. There is nothing to be gained beyond the cores that the machine has: efficiency is per
device that has a core, rate / (rate of one device x min(devices, cores)).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from amplify import regions as rg
from amplify.devices import usable_cores, using_mesh
from amplify.estimators.averaging import averaging_amplification
from amplify.generators.coupling_flow import coupling_flow
from amplify.generators.flow_matching import vector_flow
from amplify.results.records import write_json
from amplify.sampling import sample_members
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.truth import ring
from amplify.types import Generator
from experiments import study

OF: dict[str, Callable[[np.ndarray], Generator]] = {
    "spline flow": coupling_flow,  # 4 layers, 2 x 32, 8 bins
    "flow matching": vector_flow,  # 3 x 64
}
RESULTS = Path(__file__).parents[2] / "paper_figures" / "results" / "scaling.json"


@dataclass(frozen=True)
class Sizes:
    """How much is timed.

    Attributes:
        devices: counts of them.
        members: networks of a training.
        member_steps: steps of all members together, in a timed training.
        batch: events of a minibatch.
        n_train: training events of the studies,
        epochs: how often each of them is looked at,
        study_members: by so many members,
        generated: which generate so many events for each training event.
        repeats: of which the best counts: other programs only slow down.
    """

    devices: tuple[int, ...] = (1, 2, 4, 8)
    members: tuple[int, ...] = (1, 4, 16, 64)
    member_steps: int = 1024
    batch: int = 256
    n_train: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    epochs: int = 10
    study_members: int = 4
    generated: int = 4
    repeats: int = 2


SMOKE = Sizes((1,), (1, 2), 4, 16, (200,), 1, 2, 2, 1)


def main(
    preset: Literal["smoke", "full"] = "full",
    out: Path = RESULTS,
    parts: tuple[Literal["devices", "study"], ...] = ("devices", "study"),
    devices: tuple[int, ...] = (),
    here: bool = False,
) -> None:
    """Writes what was measured into a JSON file, beside what it holds of other parts.

    Args:
        preset: smoke takes seconds; full six minutes on two cores.
        out: the file.
        parts: which.
        devices: counts of them; those of the preset by default.
        here: measure members on the devices of this process, and print that.
    """
    sizes = SMOKE if preset == "smoke" else Sizes()
    if here:
        print(json.dumps(of_devices(sizes)))
        return
    found = json.loads(out.read_text()) if out.exists() else {}
    found |= {
        "command": "python -m experiments.benchmarks.scaling",
        "cores": usable_cores(),
        "jax": jax.__version__,
        "batch": sizes.batch,
    }
    if "devices" in parts:
        rates = found.setdefault("member_steps_per_s", {})
        for count in devices or sizes.devices:
            rates[str(count)] = _in_process(preset, count)
            _save(out, found)
        found["efficiency"] = efficiency(rates, usable_cores())
    if "study" in parts:
        costs = found.setdefault("study", {})
        for n in sizes.n_train:
            costs[str(n)] = study_cost(sizes, n)
            print(n, costs[str(n)], flush=True)
            _save(out, found)
    _save(out, found)
    print(out)


def _save(out: Path, found: dict[str, Any]) -> None:
    write_json(out, found)


def _in_process(preset: str, devices: int) -> dict[str, Any]:
    """Rates of a process with so many devices."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    command = [sys.executable, "-m", "experiments.benchmarks.scaling"]
    command += ["--preset", preset, "--here"]
    print(f"{devices} devices ...", flush=True)
    done = subprocess.run(  # noqa: S603  a fixed command
        command,
        env=os.environ | {"XLA_FLAGS": flags},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    print(found, flush=True)
    return found


def of_devices(sizes: Sizes) -> dict[str, Any]:
    """Member-steps a second on the devices of this process, by generator and members; of one member
    also with its minibatches shared out over two devices.
    """
    x = np.asarray(ring.sample(jax.random.key(0), ring.Ring(), n=2000))
    found: dict[str, Any] = {}
    for name, of in OF.items():
        generator = of(x)
        rates = {str(n): _rate(generator, x, n, sizes) for n in sizes.members}
        if len(jax.devices()) > 1:
            with using_mesh(batch=2):
                rates["1, batch over 2"] = _rate(generator, x, 1, sizes)
        found[name] = rates
    return found


def _rate(generator: Generator, x: np.ndarray, members: int, sizes: Sizes) -> float:
    """Of a compiled training."""
    config = FitConfig(steps=max(sizes.member_steps // members, 2), batch=sizes.batch)
    rows = ensemble_rows(jax.random.key(1), len(x), members=members, resample="bootstrap")
    keys = jax.random.split(jax.random.key(2), members)

    def train() -> float:
        started = time.perf_counter()
        jax.block_until_ready(fit_members(keys, generator, x, rows, config=config).losses)
        return time.perf_counter() - started

    train()  # compiles
    return members * config.steps / min(train() for _ in range(sizes.repeats))


def efficiency(rates: dict[str, Any], cores: int) -> dict[str, Any]:
    """Rate over that of one device, by device that has a core of its own."""
    return {
        devices: {
            name: {
                members: rate / (rates["1"][name][members] * min(int(devices), cores))
                for members, rate in by_members.items()
                if members in rates["1"][name]
            }
            for name, by_members in of.items()
        }
        for devices, of in rates.items()
    }


def study_cost(sizes: Sizes, n_train: int) -> dict[str, float]:
    """Seconds of a study with the spline flow, by part; compiling included where it says so."""
    x = np.asarray(ring.sample(jax.random.key(0), ring.Ring(), n=n_train))
    generator, members = coupling_flow(x), sizes.study_members
    steps = max(sizes.epochs * n_train // sizes.batch, 1)
    config = FitConfig(steps=steps, batch=sizes.batch)
    rows = ensemble_rows(jax.random.key(1), n_train, members=members, resample="bootstrap")
    keys, times = jax.random.split(jax.random.key(2), members), [time.perf_counter()]
    # the same training of two steps compiles about as long
    jax.block_until_ready(
        fit_members(keys, generator, x, rows, config=config._replace(steps=2)).losses
    )
    times.append(time.perf_counter())
    ensemble = fit_members(keys, generator, x, rows, config=config)
    jax.block_until_ready(ensemble.losses)
    times.append(time.perf_counter())
    n_gen = sizes.generated * n_train
    samples = np.asarray(sample_members(jax.random.key(3), generator, ensemble.params, n_gen).x)
    times.append(time.perf_counter())
    regions = rg.equiprobable(x, rg.column(0), 10, "x")
    integral = np.stack([rg.fractions(rg.count(regions, u)).integral for u in samples])
    averaging_amplification(integral, n_train=n_train, n_gen=n_gen)
    times.append(time.perf_counter())
    names = ("compile_s", "train_with_compile_s", "sample_with_compile_s", "estimate_s")
    found = dict(zip(names, np.diff(times).tolist(), strict=True))
    found["study_s"] = times[-1] - times[1]
    return found | {"steps": steps, "members": members, "n_gen": n_gen}


if __name__ == "__main__":
    study.run(main)
