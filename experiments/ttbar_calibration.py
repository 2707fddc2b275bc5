"""Top pairs at parton level: averaging amplification of a spline flow, estimated and actual,
against a truth of a million events (docs/top_pairs, Spline flow: what was measured).

Integrals are taken over all generated events: none is cut. The true events passed the detector-like
cuts of `amplify ttbar`, so a flow that spills over their edges is wrong there, and that is part of
the actual error. Run `python -m experiments.ttbar_calibration --preset full`.
"""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import h5py
import jax
import jax.numpy as jnp
import numpy as np

from amplify import regions as rg
from amplify.devices import use_all_cores
from amplify.errors import InputError
from amplify.estimators.averaging import averaging_amplification
from amplify.generators.coordinates import coordinates
from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.generators.symmetrised import symmetrised
from amplify.integrals import member_integrals
from amplify.progress import progress_bar
from amplify.results.records import averaging_records
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.ttbar import helicity, kinematics
from amplify.ttbar.partons import TtbarSettings, simulate
from amplify.types import Generator, Holdout
from experiments import study

BINS = 10
M_TT, PT_T = slice(0, BINS), slice(BINS, 2 * BINS)
TAILS = slice(2 * BINS, 2 * BINS + 2)
GROUPS = {"m_tt": M_TT, "pt_t": PT_T, "tails": TAILS}


@dataclass(frozen=True)
class Config:
    """The file of events holds, in this order, the truth, the training sets that are reported, and
    those that settings were chosen on.
    """

    n_truth: int = 1_000_000
    n_train: int = 10_000
    sets: int = 10
    tuning_sets: int = 8
    same_members: int = 8
    bootstrap_members: int = 8
    n_gen: int = 100_000
    layers: int = 8
    width: int = 64
    bins: int = 6
    dropout: float = 0.1
    steps: int = 600
    batch: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 2.0
    seed: int = 0


PRESETS = {
    "smoke": Config(
        n_truth=4_000,
        n_train=500,
        sets=2,
        tuning_sets=0,
        same_members=2,
        bootstrap_members=2,
        n_gen=2_000,
        layers=2,
        width=16,
        steps=20,
    ),
    "quick": Config(
        n_truth=100_000,
        sets=3,
        tuning_sets=0,
        same_members=2,
        bootstrap_members=4,
        width=32,
        steps=300,
        n_gen=50_000,
    ),
    "full": Config(),
    "paper": Config(
        n_truth=10_000_000,
        n_train=100_000,
        sets=20,
        same_members=16,
        bootstrap_members=32,
        n_gen=10_000_000,
        width=128,
        steps=10_000,
        batch=2048,
    ),
}


def main(
    preset: Literal["smoke", "quick", "full", "paper"] = "quick",
    out: Path | None = None,
    data: Path | None = None,
) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes under a minute, full forty minutes on 2 cores, paper wants a GPU; each
            simulates its events first.
        out: default amplify-runs/ttbar-calibration-PRESET; finished parts found there are used
            again.
        data: events from `amplify ttbar`; default OUT/events.h5, simulated if missing.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"ttbar-calibration-{preset}"
    study.claim(out, config)
    events = data or out / "events.h5"
    n_events = config.n_truth + (config.sets + config.tuning_sets) * config.n_train
    if not events.exists():
        print(f"simulating {n_events} events into {events}")
        with progress_bar("simulating", total=n_events) as bar:
            simulate(
                n_events,
                events,
                TtbarSettings(seed=config.seed),
                progress=lambda done: bar.count(done, n_events),
            )
    with h5py.File(events) as file:
        if len(file["momenta"]) < n_events:
            raise InputError(
                str(events),
                f"at least {n_events} events",
                str(len(file["momenta"])),
                f"amplify ttbar --events {n_events}",
            )
        columns = [file[f"observables/{name}"] for name in ("m_tt_gev", "pt_t_gev")]
        table = np.stack([column[: config.n_truth] for column in columns], axis=-1)
        reported = slice(config.n_truth, config.n_truth + config.sets * config.n_train)
        x = helicity.to_helicity(file["momenta"][reported].astype(np.float64))
    regions = study_regions(table)
    truth = rg.fractions(rg.count(regions, table)).integral
    same, bootstrap, seconds = [], [], 0.0
    for s in range(config.sets):
        events_of_set = x[s * config.n_train : (s + 1) * config.n_train]
        train = partial(_train, config, events_of_set, regions, s)
        integrals = study.cached(out / "parts" / f"set{s:02d}.npz", train)
        same.append(integrals["same"])
        bootstrap.append(integrals["bootstrap"])
        seconds += float(integrals["seconds"])
    results = summarise(config, np.stack(same), np.stack(bootstrap), truth, regions.labels)
    results["seconds"] = seconds
    path = out / "results.json"
    # one training set as a user would have it: its bootstrap ensemble, and a holdout of the size of
    # the training set
    held_out = rg.fractions(rg.count(regions, table[: config.n_train]))
    with jax.enable_x64(True):
        estimate = averaging_amplification(
            bootstrap[0],
            n_train=config.n_train,
            n_gen=config.n_gen,
            holdout=Holdout(held_out.integral, config.n_train),
        )
    sizes = {
        "members": config.bootstrap_members,
        "n_train": config.n_train,
        "n_gen": config.n_gen,
        "n_holdout": config.n_train,
        "level": 0.68,
        "limit_level": 0.95,
    }
    study.record(
        path,
        f"python -m experiments.ttbar_calibration --preset {preset}",
        config,
        results,
        averaging_records(estimate, regions.labels, **sizes),
    )
    print(path)
    return path


def study_regions(truth: np.ndarray) -> rg.Regions:
    """Ten equiprobable bins of m_tt and of pT_t, and the two tails, in a table [event, (m_tt,
    pt_t)] in GeV.
    """
    return rg.join(
        rg.equiprobable(truth, rg.column(0), BINS, "m_tt [GeV]"),
        rg.equiprobable(truth, rg.column(1), BINS, "pT_t [GeV]"),
        rg.tail(rg.column(1), 400.0, "pT_t [GeV]"),
        rg.tail(rg.column(0), 1000.0, "m_tt [GeV]"),
    )


def pair_observables(u: np.ndarray) -> np.ndarray:
    """[event, (m_tt, pt_t)] in GeV of generated events in helicity coordinates."""
    t, tbar = helicity.tops_from_helicity(u.astype(np.float64))
    return np.stack([kinematics.mass(t + tbar), kinematics.pt(t)], axis=-1)


def generator_for(config: Config, x: np.ndarray) -> Generator:
    """Spline flow in helicity coordinates, with the exchange of the beams as augmentation."""
    bounded = {i: (-1.0, 1.0) for i in helicity.COSINES}
    periodic = {i: (-np.pi, np.pi) for i in helicity.AZIMUTHS}
    flow = coupling_flow(
        coordinates(jnp.asarray(x), bounded=bounded, periodic=periodic),
        FlowConfig(config.layers, (config.width, config.width), config.bins, config.dropout),
    )
    return symmetrised(flow, helicity.rotate_beams)


def _train(config: Config, x: np.ndarray, regions: rg.Regions, index: int) -> dict[str, np.ndarray]:
    """Integrals [member, region] of the networks trained on one set."""
    started = time.perf_counter()
    key = jax.random.fold_in(jax.random.key(config.seed), index)
    key_rows, key_fit, key_sample = jax.random.split(key, 3)
    n = len(x)
    as_it_is = ensemble_rows(key_rows, n, members=config.same_members, resample="none")
    resampled = ensemble_rows(key_rows, n, members=config.bootstrap_members, resample="bootstrap")
    rows = jnp.concatenate([as_it_is, resampled])
    generator = generator_for(config, x)
    training = FitConfig(config.steps, config.batch, config.learning_rate, config.weight_decay)
    with progress_bar(f"set {index}: training {len(rows)} networks") as bar:
        ensemble = fit_members(
            jax.random.split(key_fit, len(rows)),
            generator,
            jnp.asarray(x),
            rows,
            config=training,
            progress=bar.losses,
        )
    with progress_bar(f"set {index}: integrals") as bar:
        integrals = member_integrals(
            key_sample,
            generator,
            ensemble.params,
            regions,
            config.n_gen,
            transform=pair_observables,
            progress=bar.count,
        ).integral
    print(f"set {index}: {time.perf_counter() - started:.0f} s", flush=True)
    same, bootstrap = np.split(integrals, [config.same_members])
    return {
        "same": same,
        "bootstrap": bootstrap,
        "seconds": np.asarray(time.perf_counter() - started),
    }


def summarise(
    config: Config,
    same: np.ndarray,
    bootstrap: np.ndarray,
    truth: np.ndarray,
    labels: tuple[str, ...],
) -> dict:
    """Estimated and actual errors, in units of sigma_n^2 = I (1 - I) / n_train, and amplification,
    per region and pooled.

    The noise of n_gen generated events is taken off every squared error, and that of the truth
    sample off the bias.
    """
    noise = truth * (1 - truth) / config.n_gen
    truth_noise = truth * (1 - truth) / config.n_truth
    unit = truth * (1 - truth) / config.n_train
    result: dict = {
        "n_train": config.n_train,
        "n_gen": config.n_gen,
        "regions": labels,
        "truth": truth,
        "generated_events_cut": False,
    }

    def errors(name: str):
        def statistic(same: np.ndarray, bootstrap: np.ndarray) -> np.ndarray:
            squares = study.calibrate(same, bootstrap, truth)
            actual = squares.actual - noise - truth_noise
            bias = np.maximum(squares.bias - truth_noise, 0)
            by_name = {
                "actual": actual,
                "bootstrap": squares.bootstrap - noise,
                "same_data": squares.same_data - noise,
                "bias": bias,
                "variance": actual - bias,
            }
            return by_name[name] / unit

        return statistic

    for name in ("actual", "bias", "variance", "bootstrap", "same_data"):
        result[name] = study.over_sets(errors(name), same, bootstrap, 500)
    bias, variance = (np.asarray(result[name]["value"]) for name in ("bias", "variance"))
    result["bias_dominates"] = bias > variance
    # [set, region]: what a user with one training set would get
    spread = bootstrap.var(axis=1, ddof=1) - noise
    for group, where in GROUPS.items():
        pooled = {
            name: study.over_sets(
                lambda a, b, n=name, w=where: errors(n)(a, b)[w].mean(), same, bootstrap
            )
            for name in ("bias", "variance")
        }
        for name in ("actual", "bootstrap", "same_data"):
            pooled[f"amplification_{name}"] = study.over_sets(
                lambda a, b, n=name, w=where: 1 / errors(n)(a, b)[w].mean(), same, bootstrap
            )
        pooled["amplification_bootstrap_per_set"] = 1 / (spread / unit)[:, where].mean(axis=1)
        result[f"pooled_{group}"] = pooled
        for name in ("actual", "bootstrap", "same_data"):
            print(f"{group}: G {name} {pooled[f'amplification_{name}']}")
        bias, variance = pooled["bias"]["value"], pooled["variance"]["value"]
        print(f"    bias^2 {bias:.2f} variance {variance:.2f} sigma_n^2")
    return result


if __name__ == "__main__":
    study.run(main)
