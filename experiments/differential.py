"""Differential amplification where truth is known: fitted Gaussian, Gaussian ring and shell
(figures 6 to 10 of the series).

Spline flows on independent training sets of growing size. For each: D_inf in the exact ratio by
integration, its estimate from a holdout, the limit that a learned ratio supports, everywhere and in
regions, and averaging amplification of the same networks from bootstrap members. Run `python -m
experiments.differential --preset full`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from amplify import regions as rg
from amplify.devices import use_all_cores
from amplify.estimators.differential import differential_amplification, region_threshold
from amplify.estimators.kolmogorov import K1, ks_distance_to
from amplify.estimators.learned import learned_amplification
from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.generators.fitted_gaussian import fitted_gaussian, maximum_likelihood
from amplify.integrals import member_integrals
from amplify.namespace import in_blocks
from amplify.progress import progress_bar
from amplify.sampling import sample_members, uniform_latents
from amplify.summaries.default import learned_ratio
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.truth import gaussian, ring
from amplify.types import Events
from experiments import study

LIMIT_LEVEL = 0.9  # of the claim n_equiv < X, one-sided
BULK, TAIL = (3.0, 5.0), 6.0  # radii; one width around the ring, two widths outside


@dataclass(frozen=True)
class Config:
    """A study of the Gaussian and the ring. Trainings have the settings of `experiments.ring`."""

    dims: tuple[int, ...] = (2, 4)
    n_train: tuple[int, ...] = (1_000, 3_000, 10_000, 100_000)
    steps: tuple[int, ...] = (1_000, 1_400, 2_000, 10_000)
    sets: int = 8
    bootstrap_members: int = 6
    n_true: int = 1 << 20  # true events that integrate D_inf
    n_gen: int = 1 << 20
    n_holdout: int = 100_000
    learned_holdout: tuple[int, ...] = (10_000, 100_000)
    shells: int = 10
    sobol: int = 1 << 15
    learning_rate: float = 5e-3
    batch: int = 256
    gaussian_n_train: int = 100
    gaussian_fits: int = 200
    seed: int = 1


PRESETS = {
    "smoke": Config(
        dims=(2,),
        n_train=(500,),
        steps=(40,),
        sets=2,
        bootstrap_members=2,
        n_true=1 << 14,
        n_gen=1 << 14,
        n_holdout=4000,
        learned_holdout=(2000,),
        sobol=1 << 10,
        gaussian_fits=4,
    ),
    "quick": Config(
        dims=(2,),
        n_train=(1_000, 10_000),
        steps=(1_000, 2_000),
        sets=4,
        n_true=1 << 18,
        n_gen=1 << 18,
    ),
    "full": Config(),
    "paper": Config(
        sets=50,
        bootstrap_members=16,
        n_true=1 << 22,
        n_gen=1 << 22,
        n_holdout=1_000_000,
        sobol=1 << 17,
        gaussian_fits=2000,
    ),
}


def main(
    preset: Literal["smoke", "quick", "full", "paper"] = "quick", out: Path | None = None
) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes half a minute, full about an hour on 2 cores, paper wants a GPU.
        out: default amplify-runs/differential-PRESET; finished parts found there are used again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"differential-{preset}"
    study.claim(out, config)
    result: dict[str, Any] = {"gaussian": _gaussian(config)}
    for dim in config.dims:
        for n_train, steps in zip(config.n_train, config.steps, strict=False):
            path = out / "parts" / f"d{dim}-n{n_train}.npz"
            trained = partial(_trained, config, dim, n_train, steps)
            networks = study.cached(path.with_stem(f"{path.stem}-networks"), trained)
            measured = study.cached(path, partial(_ring, config, dim, n_train, networks))
            summary = _summarised(config, dim, n_train, measured)
            result[f"d{dim}-n{n_train}"] = summary
            factor = np.round(summary["amplification"], 2)
            print(f"d = {dim}, n_train = {n_train}: G(mean D) {factor}", flush=True)
    path = out / "results.json"
    study.record(path, f"python -m experiments.differential --preset {preset}", config, result, [])
    print(path)
    return path


def _gaussian(config: Config) -> dict[str, Any]:
    """The fitted Gaussian: D_inf of every fit in closed form, KS distance of ever larger samples,
    and the distribution functions of one fit.
    """
    n, key = config.gaussian_n_train, jax.random.key(config.seed)
    generator, truth = fitted_gaussian(), gaussian.Gaussian()

    def draw(number: int, size: int) -> np.ndarray:
        return np.asarray(gaussian.sample(jax.random.fold_in(key, number), truth, n=size))

    def generate(params: Any, number: int) -> np.ndarray:
        latent = uniform_latents(jax.random.fold_in(key, number), config.n_gen, 1)
        return np.asarray(generator.sample(params, latent))

    keys = jax.random.split(jax.random.fold_in(key, 0), config.gaussian_fits)
    x = jax.vmap(lambda k: gaussian.sample(k, truth, n=n))(keys)
    fits = jax.vmap(maximum_likelihood)(x)
    fitted = gaussian.Gaussian(fits.mean[:, 0], jnp.exp(fits.log_width[:, 0]))
    distance = np.asarray(gaussian.distances(fitted, truth)[0])
    chosen = int(np.argsort(distance)[len(distance) // 2])
    true = draw(1, config.n_true)
    sizes = _sizes(config.n_gen)
    generated, fresh, limits = [], [], []
    for f in range(min(config.gaussian_fits, 20)):
        params = _member(fits, f)
        ratio = _ratio(partial(generator.log_prob, params), partial(gaussian.log_prob, truth))  # pyright: ignore[reportArgumentType]
        t_true = np.sort(ratio(true))
        x_gen = generate(params, 100 + f)
        learn = learned_ratio(in_blocks(jax.jit(partial(generator.log_prob, params))))  # pyright: ignore[reportArgumentType]
        holdout = draw(2000 + f, max(config.learned_holdout))
        ends = []
        for size in config.learned_holdout:
            both = Events(x_gen[: 30 * size]), Events(holdout[:size])
            settings = {"n_train": n, "seed": f, "limit_level": LIMIT_LEVEL}
            estimate, _ = learned_amplification(learn, *both, **settings)
            ends.append(float(estimate.factor.high[0]))
        limits.append(ends)
        generated.append(_approach(ratio(x_gen), t_true, sizes))
        fresh.append(_approach(ratio(draw(1000 + f, config.n_gen)), t_true, sizes))
    params = _member(fits, chosen)
    ratio = _ratio(partial(generator.log_prob, params), partial(gaussian.log_prob, truth))  # pyright: ignore[reportArgumentType]
    curves = _functions(ratio(generate(params, 99)), ratio(true))
    actual = (K1 / distance[: len(limits), None]) ** 2 / n
    quantiles = np.quantile(distance, [0.16, 0.5, 0.84])
    return {
        "n_train": n,
        "sizes": sizes,
        "generated": _band(np.asarray(generated)),
        "true": _band(np.asarray(fresh)),
        "distance": distance.mean(),
        "distance_of_shown": distance[:20].mean(),
        "distance_quantiles": quantiles,
        "n_equiv": (K1 / distance.mean()) ** 2,
        "amplification": (K1 / distance.mean()) ** 2 / n,
        "learned_holdout": config.learned_holdout,
        "learned_limit": np.sort(limits, axis=0)[len(limits) // 2],
        "learned_covered": (np.array(limits) > actual).mean(axis=0),
        "functions": curves | {"distance": distance[chosen]},
    }


def _member(params: Any, m: int) -> Any:
    """The params of one of several networks."""
    return jax.tree.map(lambda leaf: leaf[m], params)


def _keys(config: Config, dim: int, n_train: int) -> Any:
    """Of data, rows, fits, generated, true and holdout events, and latents."""
    key = jax.random.fold_in(jax.random.key(config.seed), dim * 1_000_003 + n_train)
    return jax.random.split(key, 7)


def _training_events(config: Config, key: Any, dim: int, n_train: int) -> Any:
    """Of all sets, one after the other [set * event, dim]."""
    truth, keys = ring.Ring(dim=dim), jax.random.split(key, config.sets)
    return jax.vmap(lambda k: ring.sample(k, truth, n=n_train))(keys).reshape(-1, dim)


def _trained(config: Config, dim: int, n_train: int, steps: int) -> dict[str, np.ndarray]:
    """Networks on the sets and on bootstraps of them, as numbers [set * (1 + members), number]: a
    part of its own, because what is measured with them changes more often.
    """
    started = time.perf_counter()
    key_data, key_rows, key_fit, *_ = _keys(config, dim, n_train)
    x = _training_events(config, key_data, dim, n_train)
    rows = []
    for s, k in enumerate(jax.random.split(key_rows, config.sets)):
        for members, how in ((1, "none"), (config.bootstrap_members, "bootstrap")):
            rows.append(s * n_train + ensemble_rows(k, n_train, members=members, resample=how))
    rows, label = jnp.concatenate(rows), f"ring d={dim} n_train={n_train}"
    generator = coupling_flow(x[:n_train], FlowConfig())
    training = FitConfig(steps, config.batch, config.learning_rate)
    keys_fit = jax.random.split(key_fit, len(rows))
    with progress_bar(f"{label}: training {len(rows)} networks") as bar:
        fitted = fit_members(keys_fit, generator, x, rows, config=training, progress=bar.losses)
    weights = jax.vmap(lambda params: ravel_pytree(params)[0])(fitted.params)
    return {"weights": np.asarray(weights), "seconds": np.asarray(time.perf_counter() - started)}


def _ring(
    config: Config, dim: int, n_train: int, trained: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Everything that is measured on one ring and one n_train; arrays [set, ...]."""
    started, truth = time.perf_counter(), ring.Ring(dim=dim)
    keys = _keys(config, dim, n_train)
    key_data, _, _, key_gen, key_true, key_holdout, key_sobol = keys
    x = _training_events(config, key_data, dim, n_train)
    generator = coupling_flow(x[:n_train], FlowConfig())
    _, unravel = ravel_pytree(generator.init(keys[0]))
    params = jax.vmap(unravel)(jnp.asarray(trained["weights"]))
    label = f"ring d={dim} n_train={n_train}"
    shells = rg.shells(np.asarray(ring.shell_edges(truth, config.shells)))
    n = config.sobol
    with progress_bar(f"{label}: integrals") as bar:
        integrals = member_integrals(
            key_sobol, generator, params, shells, n, sobol=True, progress=bar.count
        ).integral
    integrals = integrals.reshape(config.sets, 1 + config.bootstrap_members, config.shells)
    # the networks on the sets as they are
    networks = jax.tree.map(lambda leaf: leaf[:: 1 + config.bootstrap_members], params)
    generated = np.asarray(sample_members(key_gen, generator, networks, config.n_gen).x)
    true = np.asarray(ring.sample(key_true, truth, n=config.n_true))
    keys_holdout = jax.random.split(key_holdout, config.sets)
    measured: dict[str, list[np.ndarray]] = {}
    with progress_bar(f"{label}: distances", total=config.sets) as bar:
        for s in range(config.sets):
            holdout = np.asarray(ring.sample(keys_holdout[s], truth, n=config.n_holdout))
            network = partial(generator.log_prob, _member(networks, s))  # pyright: ignore[reportArgumentType]
            samples = generated[s], true, holdout
            for name, value in _distances(config, network, truth, samples, n_train, s).items():
                measured.setdefault(name, []).append(value)
            bar.count(s + 1, config.sets)
    return {name: np.asarray(values) for name, values in measured.items()} | {
        "integrals": integrals,
        "seconds": trained["seconds"] + time.perf_counter() - started,
    }


def _distances(
    config: Config,
    log_prob: Callable,
    truth: ring.Ring,
    samples: tuple[np.ndarray, np.ndarray, np.ndarray],
    n_train: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """One network: D_inf by region, its estimate with the exact ratio, limits of the learned ratio,
    KS against n_gen, distribution functions.

    Args:
        config: of the study.
        log_prob: of the network.
        truth: the ring.
        samples: generated events, true ones that integrate, and the holdout.
        n_train: training events.
        seed: of the split of the learned ratio.
    """
    x_gen, _, holdout = samples
    learn = learned_ratio(in_blocks(jax.jit(log_prob)))
    ratio = _ratio(log_prob, partial(ring.log_prob, truth))
    t_gen, t_true, t_holdout = map(ratio, samples)
    inside_gen, inside_true, inside_holdout = map(_inside, samples)
    share = inside_true.mean(axis=0)
    exact = []
    for inside in inside_true.T:
        weight = np.exp(t_true[inside].astype(float))  # p_gen / p_true of true events
        exact.append(np.maximum(1 - weight / weight.mean(), 0).mean())
    shares = zip(inside_gen.mean(axis=0), inside_holdout.mean(axis=0), strict=True)
    e = differential_amplification(
        t_gen,
        t_holdout,
        n_train=n_train * share,
        inside_gen=inside_gen,
        inside_holdout=inside_holdout,
        threshold=np.array([region_threshold(of_gen, of_true) for of_gen, of_true in shares]),
    )
    limits = []
    for n, region in product(config.learned_holdout, range(len(share))):
        in_gen, in_true = inside_gen[: 30 * n, region], inside_holdout[:n, region]
        if in_true.sum() < 150:
            limits.append(np.nan)
            continue
        both = Events(x_gen[: 30 * n][in_gen]), Events(holdout[:n][in_true])
        n_inside = n_train * share[region]
        settings = {"n_train": n_inside, "seed": seed, "limit_level": LIMIT_LEVEL}
        estimate, _ = learned_amplification(learn, *both, **settings)
        limits.append(float(estimate.factor.high[0]))
    sizes, t_sorted = _sizes(config.n_gen), np.sort(t_true)
    functions = _functions(t_gen, t_true)
    return {
        "share": share,
        "exact": np.array(exact),
        "value": np.asarray(e.factor.value),
        "low": np.asarray(e.factor.low),
        "high": np.asarray(e.factor.high),
        "learned": np.array(limits).reshape(len(config.learned_holdout), -1),
        "approach": _approach(t_gen, t_sorted, sizes),
        "functions": np.stack([functions[name] for name in ("t", "generated", "true")]),
    }


def _summarised(
    config: Config, dim: int, n_train: int, measured: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Means over sets: G of the mean distance, and averaging amplification of the same networks."""
    distance, share = measured["exact"], measured["share"].mean(axis=0)
    factor = (K1 / distance) ** 2 / (n_train * share)
    truth = np.full(config.shells, 1 / config.shells)
    networks, members = measured["integrals"][:, 0], measured["integrals"][:, 1:]
    variance = members.var(axis=1, ddof=1)  # integrals without noise
    binomial = (truth * (1 - truth)).sum() / n_train
    covered = (measured["low"] <= factor) & (factor <= measured["high"])
    actual = ((networks - truth) ** 2).sum(axis=1)
    return {
        "dim": dim,
        "n_train": n_train,
        "regions": ["all", f"{BULK[0]:g} <= r < {BULK[1]:g}", f"r >= {TAIL:g}"],
        "share": share,
        "distance": distance.mean(axis=0),
        "distances": distance,
        "amplification": (K1 / distance.mean(axis=0)) ** 2 / (n_train * share),
        "amplification_of_sets": np.quantile(factor, [0.16, 0.5, 0.84], axis=0),
        "estimate": measured["value"],
        "estimate_low": measured["low"],
        "estimate_high": measured["high"],
        "covered": covered.mean(axis=0),
        "learned_holdout": config.learned_holdout,
        "learned_limit": np.sort(measured["learned"], axis=0)[config.sets // 2],
        "learned_covered": (measured["learned"] > factor[:, None]).mean(axis=0),
        "sizes": _sizes(config.n_gen),
        "approach": _band(measured["approach"]),
        "averaging_actual": binomial / actual.mean(),
        "averaging_actual_of_sets": binomial / actual,
        "averaging_estimate": binomial / variance.sum(axis=1).mean(),
        "averaging_estimate_of_sets": binomial / variance.sum(axis=1),
        "functions": measured["functions"][0],
        "seconds": measured["seconds"],
    }


def _inside(x: np.ndarray) -> np.ndarray:
    r = np.linalg.norm(x, axis=1)
    return np.stack([np.ones(len(r), bool), (r >= BULK[0]) & (r < BULK[1]), r >= TAIL], axis=1)


def _ratio(log_prob_gen: Callable, log_prob_true: Callable) -> Callable[[np.ndarray], np.ndarray]:
    return in_blocks(jax.jit(lambda v: log_prob_gen(v) - log_prob_true(v)))


def _sizes(most: int) -> np.ndarray:
    return np.geomspace(30, most, 14).astype(int)


def _approach(
    t: np.ndarray, t_true_sorted: np.ndarray, sizes: np.ndarray, most: int = 20
) -> np.ndarray:
    """KS distance of n events to the truth, for each size n, averaged over up to `most` disjoint
    samples.
    """
    u = np.searchsorted(t_true_sorted, t, side="right") / len(t_true_sorted)
    distances = []
    for n in sizes:
        samples = u[: n * min(most, len(u) // n)].reshape(-1, n)
        distances.append(np.mean([ks_distance_to(sample) for sample in samples]))
    return np.array(distances)


def _band(values: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "mean": values.mean(axis=0),
        "low": np.quantile(values, 0.16, axis=0),
        "high": np.quantile(values, 0.84, axis=0),
    }


def _functions(t_gen: np.ndarray, t_true: np.ndarray, points: int = 201) -> dict[str, np.ndarray]:
    """Distribution functions of both samples at `points` values of t that hold most events."""
    both = np.concatenate([t_gen[: len(t_true)], t_true])
    t = np.linspace(*np.quantile(both, [0.005, 0.995]), points)
    return {
        "t": t,
        "generated": np.searchsorted(np.sort(t_gen), t, side="right") / len(t_gen),
        "true": np.searchsorted(np.sort(t_true), t, side="right") / len(t_true),
    }


if __name__ == "__main__":
    study.run(main)
