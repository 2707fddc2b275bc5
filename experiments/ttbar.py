"""Top pairs with four generators: spline flow, transformer, L-GATr and LLoCa, and what their
samples are worth (figures 11 to 15 of the series).

Each generator is trained on independent training sets, which says how wrong it actually is, and on
bootstrap samples of the first one, which is all that a user has to estimate it. The truth is a
hundred times larger than a training set. Generated events are kept; everything that is measured on
them is in `experiments.ttbar_analysis`. Run `python -m experiments.ttbar --preset full`; an
interrupted run continues with the group of networks that is missing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from amplify.devices import use_all_cores
from amplify.distributed import agreed, is_first
from amplify.errors import InputError
from amplify.generators.charts import Chart, helicity_chart, jet_chart
from amplify.generators.coordinates import coordinates
from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.generators.cut_base import Cuts
from amplify.generators.flow_matching import Solver
from amplify.generators.particles import particle_flow
from amplify.generators.symmetrised import symmetrised
from amplify.generators.truncated import truncated
from amplify.nets.lloca import LLoCaConfig
from amplify.nets.particles import ParticleLGATr, ParticleLLoCa, ParticleTransformer
from amplify.nets.transformer import TransformerConfig
from amplify.progress import progress_bar
from amplify.sampling import sample_members
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.ttbar import helicity, kinematics
from amplify.ttbar.event_files import open_events
from amplify.ttbar.partons import TtbarSettings, simulate
from amplify.ttbar.passing import momenta_of_helicity, passes_of
from amplify.types import Generator
from experiments import study, ttbar_analysis


@dataclass(frozen=True)
class Model:
    """A generator of the study.

    Attributes:
        network: spline, transformer, lgatr or lloca.
        chart: helicity or jet coordinates (`amplify.generators.charts`); the spline flow has
            helicity coordinates of its own.
        width: of the conditioner of the spline flow, of a transformer; L-GATr has `multivectors`
            and `scalars` channels instead.
        layers: of the spline flow, blocks of the others.
        single: one network on the first training set and no more, to compare.
        truncated: its training knows the cuts, and it is sampled by rejection.
        n_gen: events that each network generates, if not as many as the config says: fast networks
            can afford less noise.
        training: steps, batch, ...
    """

    network: Literal["spline", "transformer", "lgatr", "lloca"]
    chart: Literal["helicity", "jet"] = "helicity"
    width: int = 64
    layers: int = 2
    heads: int = 4
    multivectors: int = 8
    scalars: int = 16
    single: bool = False
    truncated: bool = False
    n_gen: int | None = None
    training: FitConfig = FitConfig(steps=2000, batch=256, learning_rate=2e-3)


@dataclass(frozen=True)
class Config:
    """The file of events holds, in this order: truth, training sets that are reported, those that
    settings were chosen on, and the holdout of a user.

    Settings were chosen on networks trained on the reserved events behind the reported sets; these
    were compared with the truth.

    Attributes:
        reserved: events between truth and holdout, the reported sets first.
        block: events that are integrated at once (`Solver`).
        group: networks that are trained side by side and stored together, whatever the number of
            devices.
    """

    n_truth: int = 1_000_000
    n_train: int = 10_000
    sets: int = 4
    reserved: int = 200_000
    bootstrap_members: int = 6
    n_gen: int = 20_000
    n_holdout: int = 20_000
    solver_steps: int = 8
    block: int | None = 64
    group: int = 2
    seed: int = 0
    models: dict[str, Model] = field(default_factory=dict)


def _models(steps: int) -> dict[str, Model]:
    """Spline flow as in the calibration study; the others with the training that fits two cores,
    and two networks in jet coordinates to compare.
    """
    training = FitConfig(steps, 128, 3e-3)
    small = training._replace(micro_batch=32)
    return {
        "spline": Model(
            "spline", width=64, layers=8, n_gen=200_000, training=FitConfig(600, 512, 2e-3, 2.0)
        ),
        "transformer": Model("transformer", heads=8, n_gen=50_000, training=training),
        "lloca": Model("lloca", training=training),
        "lgatr": Model("lgatr", training=small),
        "transformer_jet": Model(
            "transformer", chart="jet", heads=8, single=True, training=training
        ),
        "lgatr_jet": Model("lgatr", chart="jet", single=True, training=small),
    }


def _truncated(steps: int) -> dict[str, Model]:
    """A transformer whose training knows the cuts, and one that does not."""
    plain = replace(_models(steps)["transformer"], single=True)
    return {"transformer": plain, "transformer_truncated": replace(plain, truncated=True)}


_TINY = FitConfig(20, 64, 2e-3)
PRESETS = {
    "smoke": Config(
        n_truth=6_000,
        n_train=500,
        sets=2,
        reserved=1_000,
        bootstrap_members=2,
        n_gen=1_000,
        n_holdout=3_000,
        solver_steps=2,
        models={"spline": Model("spline", width=16, layers=2, training=_TINY)}
        | {
            name: Model(name, width=32, layers=1, multivectors=4, scalars=8, training=_TINY)
            for name in ("transformer", "lloca", "lgatr")
        }
        | {
            "transformer_truncated": Model(
                "transformer", width=32, layers=1, single=True, truncated=True, training=_TINY
            )
        },
    ),
    "quick": Config(
        n_truth=200_000,
        sets=2,
        bootstrap_members=4,
        n_gen=10_000,
        models={k: replace(m, n_gen=None) for k, m in _models(600).items()},
    ),
    "full": Config(models=_models(3000)),
    "truncated": Config(
        n_truth=200_000,
        sets=1,
        bootstrap_members=0,
        n_gen=10_000,
        group=1,
        models=_truncated(1000),
    ),
    "paper": Config(
        n_truth=10_000_000,
        n_train=1_000_000,
        sets=4,
        reserved=4_000_000,
        bootstrap_members=16,
        n_gen=1_000_000,
        n_holdout=1_000_000,
        solver_steps=25,
        block=None,
        group=4,
        models={
            "spline": Model("spline", width=256, layers=12, training=FitConfig(20_000, 2048, 1e-3))
        }
        | {
            # eight heads do not divide a width of 108
            "transformer": Model(
                "transformer", width=108, layers=6, heads=6, training=FitConfig(200_000, 2048, 1e-3)
            ),
            "lgatr": Model(
                "lgatr",
                layers=6,
                heads=8,
                multivectors=16,
                scalars=32,
                training=FitConfig(200_000, 2048, 1e-3),
            ),
            "lloca": Model(
                "lloca", width=128, layers=6, heads=8, training=FitConfig(200_000, 2048, 1e-3)
            ),
        },
    ),
}


def main(
    preset: Literal["smoke", "quick", "full", "truncated", "paper"] = "quick",
    out: Path | None = None,
    data: Path | None = None,
) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes two minutes; full an hour on 2 cores; truncated compares a transformer
            whose training knows the cuts with one that does not, half an hour; paper wants GPUs,
            over which members are shared out.
        out: default amplify-runs/ttbar-PRESET; finished groups of networks found there are used
            again.
        data: events from `amplify ttbar`, or the original study's file; default OUT/events.h5,
            simulated if missing.
    """
    use_all_cores()
    return run(
        PRESETS[preset],
        out or Path("amplify-runs") / f"ttbar-{preset}",
        data,
        f"python -m experiments.ttbar --preset {preset}",
    )


def run(config: Config, out: Path, data: Path | None, command: str) -> Path:
    """The study with any config; `command` is what results.json says of how it was made."""
    if config.sets * config.n_train > config.reserved:
        raise InputError(
            "training sets",
            f"at most the {config.reserved} reserved events",
            f"{config.sets} of {config.n_train}",
            "the holdout would share events",
        )
    study.claim(out, config, {"data": str(data) if data else None})
    events, source = read_events(config, out, data)
    truth, rest = events[: config.n_truth], events[config.n_truth :]
    sets = rest[: config.sets * config.n_train].reshape(
        config.sets, config.n_train, *rest.shape[1:]
    )
    holdout = rest[config.reserved : config.reserved + config.n_holdout]
    generated = {
        name: _generated(config, name, model, sets, out / "parts")
        for name, model in config.models.items()
    }
    print("measuring", flush=True)
    results, estimates = ttbar_analysis.measure(config, truth, sets, holdout, generated)
    path = out / "results.json"
    study.record(path, command, config, results, estimates, [source])
    print(path)
    return path


def read_events(config: Config, out: Path, data: Path | None) -> tuple[np.ndarray, dict[str, Any]]:
    """Momenta [event, 6, 4] in GeV, float32, and what the file says of itself."""
    n_events = config.n_truth + config.reserved + config.n_holdout
    path = data or out / "events.h5"
    if not path.exists() and data is None and is_first():
        print(f"simulating {n_events} events into {path}")
        with progress_bar("simulating", total=n_events) as bar:
            simulate(
                n_events,
                path,
                TtbarSettings(seed=config.seed),
                progress=lambda done: bar.count(done, n_events),
            )
    agreed(True)  # several processes wait for the file
    cuts = Cuts()._asdict()
    opened = open_events(path, stop=n_events, particles=6, **cuts)
    momenta = opened.momenta
    if len(momenta) < n_events:
        raise InputError(
            str(path),
            f"at least {n_events} events",
            str(len(momenta)),
            f"amplify ttbar --events {n_events}",
        )
    if (kinematics.mass(momenta[:1000].astype(np.float64)) > 1.0).any():
        print("jets are taken as massless: the helicity coordinates have no room for their masses")
        energy = np.linalg.norm(momenta[..., 1:], axis=-1, keepdims=True)
        momenta = np.concatenate([energy, momenta[..., 1:]], axis=-1)
    settings = opened.attributes.get("settings")
    source = {"path": path.name, "events": len(momenta), "settings": settings}
    return momenta.astype(np.float32), source


def _generated(
    config: Config, name: str, model: Model, sets: np.ndarray, parts: Path
) -> dict[str, np.ndarray]:
    """Events x [network, n_gen, dim] of the networks on independent sets, then of those on
    bootstrap samples of the first, with times and sizes.
    """
    chart = helicity_chart() if model.chart == "helicity" else jet_chart()
    encode = helicity.to_helicity if model.network == "spline" else chart.from_momenta
    x = np.concatenate([encode(events.astype(np.float64)) for events in sets]).astype(np.float32)
    key = jax.random.fold_in(jax.random.key(config.seed), sum(name.encode()))
    key_rows, key_fit, key_sample = jax.random.split(key, 3)
    rows = jnp.arange(len(x)).reshape(len(sets), -1)  # each set as it is
    if model.single:
        rows = rows[:1]
    else:
        n, members = config.n_train, config.bootstrap_members
        resampled = ensemble_rows(key_rows, n, members=members, resample="bootstrap")
        rows = jnp.concatenate([rows, resampled])
    # standardised by the first set, for all networks: one compiled training, and a hundredth of a
    # width between sets
    generator = generator_for(config, model, chart, jnp.asarray(x[: config.n_train]))
    keys, groups = jax.random.split(key_fit, len(rows)), []
    train = partial(_train_group, config, model, generator, jnp.asarray(x))
    for first in range(0, len(rows), config.group):
        group = slice(first, min(first + config.group, len(rows)))
        key = jax.random.fold_in(key_sample, first)
        path = parts / f"{name}-{first:02d}.npz"
        train_these = partial(train, rows[group], keys[group], key, study.checkpoint_of(path))
        label = f"{name}, networks {group.start + 1} to {group.stop}"
        groups.append(study.cached(path, partial(_announced, label, train_these)))
    costs = ("train_seconds", "sample_seconds", "parameters", "loss")
    means = {cost: np.mean([group[cost] for group in groups]) for cost in costs}
    efficiency = np.concatenate([group["efficiency"] for group in groups])
    x = np.concatenate([group["x"] for group in groups])
    return {"x": x, "efficiency": efficiency} | means


def _announced(label: str, train: Callable[[str], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    started = time.perf_counter()
    arrays = train(label)
    print(f"{label}: {time.perf_counter() - started:.0f} s", flush=True)
    return arrays


def _train_group(
    config: Config,
    model: Model,
    generator: Generator,
    x: Any,
    rows: Any,
    keys: Any,
    key: Any,
    kept: Path,
    label: str,
) -> dict[str, np.ndarray]:
    """Trains networks side by side, one on each device, with checkpoints, and generates with them;
    CPU seconds per network include compiling.
    """
    started = time.process_time()
    with progress_bar(f"{label}: training") as bar:
        settings: dict[str, Any] = {"config": model.training, "checkpoint": kept}
        ensemble = fit_members(keys, generator, x, rows, progress=bar.losses, **settings)
    trained = time.process_time()
    samples = sample_members(key, generator, ensemble.params, model.n_gen or config.n_gen)
    done = time.process_time()
    parameters = sum(leaf.size for leaf in jax.tree.leaves(ensemble.params)) // len(rows)
    # of others the cuts are applied where they are measured
    efficiency = np.full(len(rows), np.nan) if samples.efficiency is None else samples.efficiency
    return {
        "x": np.asarray(samples.x),
        "efficiency": np.asarray(efficiency),
        "train_seconds": np.asarray((trained - started) / len(rows)),
        "sample_seconds": np.asarray((done - trained) / len(rows)),
        "parameters": np.asarray(parameters),
        "loss": np.asarray(ensemble.losses[:, -100:]).mean(),
    }


def generator_for(config: Config, model: Model, chart: Chart, x: Any) -> Generator:
    """The generator of a model, with the exchange of the beams as augmentation in helicity
    coordinates; its candidates are few and kept where it is truncated, because they are slow to
    draw.
    """
    generator = _untruncated(config, model, chart, x)
    if not model.truncated:
        return generator
    decode = momenta_of_helicity if model.network == "spline" else chart.to_momenta
    batch = model.training.batch
    draws, kept = (None, 1) if model.network == "spline" else (batch // 16, 64)
    return truncated(generator, passes_of(Cuts(), decode), draws=draws, kept=kept)


def _untruncated(config: Config, model: Model, chart: Chart, x: Any) -> Generator:
    if model.network == "spline":
        bounded = {i: (-1.0, 1.0) for i in helicity.COSINES}
        periodic = {i: (-np.pi, np.pi) for i in helicity.AZIMUTHS}
        flow = coupling_flow(
            coordinates(x, bounded=bounded, periodic=periodic),
            FlowConfig(model.layers, (model.width, model.width), 6, 0.1),
        )
        return symmetrised(flow, helicity.rotate_beams)
    transformer = TransformerConfig(model.width, model.layers, model.heads)
    settings = (("attention_ratio", 1), ("mlp_ratio", 2))
    net = {
        "transformer": lambda: ParticleTransformer(chart.outputs, transformer),
        "lgatr": lambda: ParticleLGATr(
            chart.outputs,
            model.multivectors,
            model.scalars,
            model.layers,
            model.heads,
            settings=settings,
        ),
        "lloca": lambda: ParticleLLoCa(chart.outputs, LLoCaConfig(transformer._replace(vectors=2))),
    }[model.network]()
    flow = particle_flow(x, chart, net, Solver(config.solver_steps, block=config.block))
    return symmetrised(flow, helicity.rotate_beams) if model.chart == "helicity" else flow


if __name__ == "__main__":
    study.run(main)
