"""Pools of members on the Gaussian ring and shell: differential and averaging amplification of the
same generators, where truth is known (docs/method, Why the two differ by fifty).

For each dimension and n_train a pool of generators that know no symmetry, and one of flows that are
told of the rotation, on independent training sets: both kinds of G of the pool and of a member, and
how the distance falls with the number of members. Pools were chosen on training sets of other
seeds. Run `python -m experiments.ring_pools --preset full`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import logsumexp

from amplify.devices import use_all_cores
from amplify.estimators.kolmogorov import K1
from amplify.generators.autoregressive_flow import AutoregressiveConfig, autoregressive_flow
from amplify.generators.flow_matching import Solver, vector_flow
from amplify.training.ensemble import Resample, fit_ensemble
from amplify.training.fit import FitConfig, Stopping
from amplify.truth import ring
from amplify.types import Generator
from experiments import study

Kind = Literal["autoregressive", "flow_matching"]
SIZES = (1, 2, 4, 8, 16, 32)  # of the pools whose distances are compared


@dataclass(frozen=True)
class Pool:
    """Members of one kind.

    Attributes:
        kind: of the generator.
        members: of the pool.
        resample: as in `fit_ensemble`.
        training: settings; its steps are the most.
        stop: when training ends, or None for all steps.
        hidden: widths of the network.
        rotated: whether training turns every event at random, and the density is the mean over
            turns.
        n_true: true events that integrate D and the shells.
    """

    kind: Kind
    members: int
    resample: Resample
    training: FitConfig
    stop: Stopping | None = None
    hidden: tuple[int, ...] = (32, 32)
    rotated: bool = False
    n_true: int = 1 << 15


@dataclass(frozen=True)
class Case:
    """One dimension and one n_train, and the pools that are measured there: the first is the one
    that tuning preferred.
    """

    dim: int
    n_train: int
    pools: dict[str, Pool]
    sets: int = 6


@dataclass(frozen=True)
class Config:
    """A study of pools on the ring. Pools and settings were chosen on training sets of seed
    5000.
    """

    cases: tuple[Case, ...]
    shells: int = 10
    rotations: int = 16
    solver_steps: int = 8
    seed: int = 1


def _flows(n_train: int, members: int, every: int, **settings: Any) -> Pool:
    """Bootstrap members, each in a basis of its own, that stop by the events they left out."""
    training = FitConfig.event_by_event(n_train)
    return Pool("autoregressive", members, "bootstrap", training, Stopping(every, 3), **settings)


def _same_data(kind: Kind, members: int, steps: int, hidden: tuple[int, ...], **of: Any) -> Pool:
    """Members of the same events, for a number of steps that tuning sets chose."""
    rate = {"autoregressive": 5e-3, "flow_matching": 1.5e-3}[kind]
    training = FitConfig(steps, 256, rate, schedule="constant", warm_up=50, average=0.999)
    return Pool(kind, members, "none", training, None, hidden, **of)


def _matched_by_bootstraps() -> Pool:
    training = FitConfig(3000, 256, 1.5e-3, schedule="constant", warm_up=50, average=0.999)
    stop = Stopping(every=150, patience=3, criterion="density", events=500)
    return Pool("flow_matching", 4, "bootstrap", training, stop, (128, 128), n_true=1 << 14)


_SHORT = FitConfig(20, 64, schedule="constant", average=0.9)
_TINY = Pool("autoregressive", 2, "none", _SHORT, None, (8,), n_true=1 << 12)
PRESETS = {
    "smoke": Config(
        cases=(
            Case(
                2,
                300,
                {
                    "flows": replace(_TINY, resample="bootstrap", stop=Stopping(10)),
                    "turned": replace(_TINY, rotated=True),
                    "matched": replace(_TINY, kind="flow_matching"),
                },
                sets=2,
            ),
        ),
        rotations=4,
        solver_steps=2,
    ),
    "quick": Config(cases=(Case(2, 1_000, {"flows": _flows(1_000, 8, 50)}),)),
    "full": Config(
        cases=(
            Case(
                2,
                1_000,
                {
                    "matched": _same_data("flow_matching", 4, 2000, (64, 64, 64)),
                    "matched_bootstrap": _matched_by_bootstraps(),
                    "flows_bootstrap": _flows(1_000, 16, 50),
                    "turned": _flows(1_000, 4, 200, rotated=True),
                },
            ),
            Case(
                2,
                10_000,
                {
                    "flows": _same_data("autoregressive", 16, 2500, (32, 32)),
                    "flows_bootstrap": _flows(10_000, 16, 200),
                    "turned": _flows(10_000, 4, 400, rotated=True),
                },
            ),
            Case(
                4,
                1_000,
                {
                    "matched": _same_data("flow_matching", 4, 1200, (128, 128), n_true=1 << 14),
                    "flows_bootstrap": _flows(1_000, 16, 25),
                    "turned": _flows(1_000, 4, 200, rotated=True),
                },
            ),
            Case(
                4,
                10_000,
                {
                    "flows_bootstrap": _flows(10_000, 16, 100),
                    "turned": _flows(10_000, 4, 400, rotated=True),
                },
            ),
        ),
    ),
}


def main(preset: Literal["smoke", "quick", "full"] = "quick", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes seconds, quick a few minutes, full half an hour on one core.
        out: default amplify-runs/ring_pools-PRESET; finished parts found there are used again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"ring_pools-{preset}"
    study.claim(out, config)
    cases = {}
    for case in config.cases:
        for name, pool in case.pools.items():
            label = f"d{case.dim}-n{case.n_train}-{name}"
            path = out / "parts" / f"{label}.npz"
            measured = study.cached(path, partial(_measured, config, case, pool, path))
            cases[label] = _summarised(config, case, pool, measured) | {"pool": name}
            shown = {k: round(cases[label][k]["value"], 3) for k in ("pool_g", "member_g")}
            print(f"{label}: {shown}", flush=True)
    path = out / "results.json"
    study.record(path, f"python -m experiments.ring_pools --preset {preset}", config, cases, [])
    print(path)
    return path


def _generator(pool: Pool, x: Array, solver_steps: int) -> Generator:
    if pool.kind == "autoregressive":
        generator = autoregressive_flow(x, AutoregressiveConfig(pool.hidden))
    else:
        generator = vector_flow(x, pool.hidden, solver=Solver(steps=solver_steps))
    return _turned_in_training(generator) if pool.rotated else generator


def _turned_in_training(generator: Generator) -> Generator:
    """The generator with a loss that turns every event by a random rotation of its own: a uniform
    direction, and the radius as it is.
    """

    def loss(params: Any, key: PRNGKeyArray, x: Array, weight: Array) -> Array:
        key_turn, key_loss = jax.random.split(key)
        direction = jax.random.normal(key_turn, x.shape, x.dtype)
        direction = direction / jnp.linalg.norm(direction, axis=1, keepdims=True)
        x = direction * jnp.linalg.norm(x, axis=1, keepdims=True)
        return generator.loss(params, key_loss, x, weight)

    return generator._replace(loss=loss)


def _measured(config: Config, case: Case, pool: Pool, path: Path) -> dict[str, np.ndarray]:
    """Of every training set: what `_compared` measures of its pools, and where training stopped."""
    key = jax.random.fold_in(jax.random.key(config.seed), case.dim * 1_000_003 + case.n_train)
    key_true, key_data, key_fit, key_turn = jax.random.split(key, 4)
    truth = ring.Ring(dim=case.dim)
    x = [ring.sample(k, truth, n=case.n_train) for k in jax.random.split(key_data, case.sets)]
    true = ring.sample(key_true, truth, n=pool.n_true)
    generator = _generator(pool, x[0], config.solver_steps)
    turns = jax.vmap(lambda k: jax.random.orthogonal(k, case.dim))(
        jax.random.split(key_turn, config.rotations if pool.rotated else 1)
    )
    log_prob = jax.jit(partial(_log_prob, generator, turns if pool.rotated else None))

    def of_set(s: int) -> dict[str, np.ndarray]:
        started = time.process_time()
        settings = {"resample": pool.resample, "config": pool.training, "stop": pool.stop}
        keys = jax.random.fold_in(key_fit, s)
        ensemble = fit_ensemble(keys, generator, x[s], members=pool.members, **settings)
        seconds = time.process_time() - started
        of_members = [np.asarray(log_prob(member.params, true), float) for member in ensemble]
        ratio = np.array(of_members) - np.asarray(ring.log_prob(truth, true), float)[None]
        stopped = ensemble.stopped.step if ensemble.stopped else pool.training.steps
        found = _compared(ratio, np.linalg.norm(true, axis=1), config.shells, truth)
        return found | {"step": np.array(stopped), "seconds": np.array(seconds)}

    # a set at a time, so that an interrupted study continues with the next one
    sets = [
        study.cached(path.with_stem(f"{path.stem}-set{s}"), partial(of_set, s))
        for s in range(case.sets)
    ]
    return {name: np.array([one[name] for one in sets]) for name in sets[0]}


def _log_prob(generator: Generator, turns: Array | None, params: Any, x: Array) -> Array:
    """Log density of a member; with turns, of the mean over turned copies of it."""
    assert generator.log_prob is not None
    density, blocks = partial(generator.log_prob, params), x.reshape(-1, 1 << 12, x.shape[1])
    if turns is None:
        return jax.lax.map(density, blocks).ravel()

    def of_copies(block: Array) -> Array:
        copies = jax.lax.map(lambda turn: density(block @ turn), turns)
        return jax.nn.logsumexp(copies, axis=0) - jnp.log(len(turns))

    return jax.lax.map(of_copies, blocks).ravel()


def _compared(
    ratio: Float[np.ndarray, "member n_true"],
    radius: Float[np.ndarray, " n_true"],
    shells: int,
    truth: ring.Ring,
) -> dict[str, np.ndarray]:
    """Distances D and errors of the shell integrals of pools of 1, 2, 4, ... members.

    Args:
        ratio: log p_member / p_true of true events.
        radius: of these events.
        shells: that hold the same fraction of the truth each.
        truth: the ring.

    Returns:
        "distance" [size]: D = E_true max(0, 1 - p/p_true), the mean over disjoint pools of a size;
        "squares" [size, shell]: mean over these pools of (I - I_true)^2. Sizes that need more
        members are nan.
    """
    edges = np.asarray(ring.shell_edges(truth, shells))[1:-1]
    shell = np.searchsorted(edges, radius)
    distance = np.full(len(SIZES), np.nan)
    squares = np.full((len(SIZES), shells), np.nan)
    for k, size in enumerate(SIZES):
        if size > len(ratio):
            break
        pools = [ratio[m : m + size] for m in range(0, len(ratio) - size + 1, size)]
        weights = [np.exp(logsumexp(pool, axis=0) - np.log(size)) for pool in pools]
        distance[k] = np.mean([np.maximum(1 - w, 0).mean() for w in weights])
        errors = [np.bincount(shell, w - 1, shells) / len(w) for w in weights]
        squares[k] = np.mean(np.square(errors), axis=0)
    return {"distance": distance, "squares": squares}


def _summarised(
    config: Config, case: Case, pool: Pool, measured: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Both kinds of G over the training sets, with the central 68 and 90 % of resampled sets."""
    distance, squares = measured["distance"], measured["squares"]
    share = 1 / config.shells
    binomial = config.shells * share * (1 - share) / case.n_train
    last = SIZES.index(pool.members)

    def differential(size: int, d: np.ndarray) -> float:
        return float((K1 / d[:, size].mean()) ** 2 / case.n_train)

    def averaging(size: int, s: np.ndarray) -> float:
        return float(binomial / s[:, size].sum(axis=-1).mean())

    def with_error(statistic: Callable, values: np.ndarray) -> dict[str, Any]:
        return study.over_sets(lambda a, _: statistic(a), values, values)

    sizes = SIZES[: last + 1]
    square = (distance[:, : last + 1] ** 2).mean(axis=0)
    # least squares in 1 / M of D^2 = a + b / M
    design = np.stack([np.ones(len(sizes)), 1 / np.array(sizes)], axis=1)
    coefficients = np.linalg.lstsq(design, square, rcond=None)[0]
    return {
        "dim": case.dim,
        "n_train": case.n_train,
        "kind": pool.kind,
        "members": pool.members,
        "resample": pool.resample,
        "rotated": pool.rotated,
        "sizes": sizes,
        "distance": distance[:, : last + 1].mean(axis=0),
        "distances": distance[:, last],
        "pool_g": with_error(partial(differential, last), distance),
        "member_g": with_error(partial(differential, 0), distance),
        "pool_averaging": with_error(partial(averaging, last), squares),
        "member_averaging": with_error(partial(averaging, 0), squares),
        "differential_by_size": [differential(k, distance) for k in range(last + 1)],
        "averaging_by_size": [averaging(k, squares) for k in range(last + 1)],
        "a": coefficients[0],
        "b": coefficients[1],
        "largest_residual": np.abs(design @ coefficients - square).max(),
        "step": measured["step"],
        "seconds": measured["seconds"],
    }


if __name__ == "__main__":
    study.run(main)
