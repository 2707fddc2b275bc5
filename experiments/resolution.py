"""Resolution: averaging amplification against the number of equiprobable bins, and where it meets
the differential one (figure 18).

The same integrals I_i of N equiprobable bins are asked two questions. One by one: the sum of
squared deviations against that of n_train true events, (1 - 1/N) / n_train, which is the measure of
GANplification (arXiv:2008.06545). All at once: D_N = sum |I_i - 1/N| / 2, the largest deviation of
any union of the bins, which is D_inf of the binned densities and grows to that of the densities as
bins become fine. With

    k_N = n_train N E[sum_i (I_i - 1/N)^2],

n_train times the binned chi-squared distance, the two are

    G averaging = (N - 1) / k_N,    G differential = K1^2 / (n_train D_N^2) ~ 2 pi K1^2 / k_N,

the last where deviations are Gaussian and as large in all bins. k_N is the number of parameters
that seem to have been learned at this resolution: N - 1 for n_train true events. Closed forms for
the fitted Gaussian; spline flows on ring and shell by training on independent training sets. Run
`python -m experiments.resolution --preset full`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from amplify import regions as rg
from amplify.devices import use_all_cores
from amplify.estimators.kolmogorov import K1
from amplify.generators.coupling_flow import FlowConfig, coupling_flow
from amplify.latents import sobol_latents
from amplify.namespace import in_blocks
from amplify.progress import progress_bar
from amplify.regions.shapes import sums_inside
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.truth import gaussian, ring
from experiments import study

# G differential times k (docs/method, Why the two differ by fifty)
PARAMETERS_LOST = 2 * np.pi * K1**2


@dataclass(frozen=True)
class Case:
    """Networks on training sets of one dimension and size."""

    dim: int
    n_train: int
    sets: int
    steps: int


@dataclass(frozen=True)
class Config:
    """A study of resolutions; trainings have the settings of `experiments.ring`, nothing was chosen
    here.
    """

    cases: tuple[Case, ...] = (Case(2, 1_000, 16, 1_000), Case(2, 10_000, 8, 2_000))
    bootstrap_members: int = 3  # of each set, besides a network trained on all of it
    flow: FlowConfig = FlowConfig()
    most: int = 10_000  # bins
    points: int = 1 << 16  # true events of each of two independent halves
    learning_rate: float = 5e-3
    batch: int = 256
    gaussian_n_train: int = 1_000
    gaussian_fits: int = 1_000
    seed: int = 1


PRESETS = {
    "smoke": Config(
        (Case(2, 300, 3, 20),),
        bootstrap_members=2,
        flow=FlowConfig(2, (8,), 4),
        most=50,
        points=1 << 10,
        gaussian_fits=20,
    ),
    "quick": Config((Case(2, 1_000, 8, 1_000),), 2),
    "full": Config(),
    "large": Config((*Config().cases, Case(4, 1_000, 6, 1_000), Case(4, 10_000, 6, 2_000))),
}


def main(
    preset: Literal["smoke", "quick", "full", "large"] = "quick", out: Path | None = None
) -> Path:
    """Runs the study and writes OUT/results.json; quick takes a minute of one core, full
    three.

    Args:
        preset: size of the study; large has four dimensions too.
        out: default amplify-runs/resolution-PRESET; finished parts found there are used again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"resolution-{preset}"
    study.claim(out, config)
    found: dict[str, Any] = {"gaussian": _gaussian(config)}
    for case in config.cases:
        name = f"d{case.dim}-n{case.n_train}"
        part = study.cached(out / "parts" / f"{name}.npz", partial(_measured, config, case))
        found[name] = _summarised(config, case, part)
        finest = {k: v["averaging"]["value"][-1] for k, v in found[name]["views"].items()}
        print(f"{name}: averaging G in the finest bins {finest}", flush=True)
    path = out / "results.json"
    study.record(path, f"python -m experiments.resolution --preset {preset}", config, found, [])
    print(path)
    return path


def numbers(most: int) -> list[int]:
    """Bins of one column: 2, 3, 5, 10, ... up to `most`."""
    steps = (a * 10**b for b in range(9) for a in (1, 2, 3, 5))
    return [n for n in steps if 2 <= n <= most]


def sides(dim: int, most: int) -> list[int]:
    """Bins along each of dim columns, so that their product goes from 2^dim to `most`."""
    of_box = np.unique(np.rint(np.asarray(numbers(most)) ** (1 / dim)).astype(int))
    return [int(k) for k in of_box if k >= 2 and k**dim <= most]


def angle(x: Any) -> Any:
    """Of the first two columns."""
    return x.__array_namespace__().arctan2(x[..., 1], x[..., 0])


def views(dim: int) -> dict[str, list[rg.Observable]]:
    """Observables whose quantiles are the bins."""
    columns = [rg.column(i) for i in range(dim)]
    if dim == 2:
        return {"radius": [rg.radius], "radius and angle": [rg.radius, angle], "x0, x1": columns}
    return {"radius": [rg.radius], f"x0 to x{dim - 1}": columns}


def fitted_gaussian(bins: int, n_train: int) -> dict[str, float]:
    """What a Gaussian fitted to n_train events does in equiprobable bins, at leading order: k_N, G
    averaging, and G differential of the mean D_N (docs/method, Reference numbers, 5b and 7).

    >>> {k: round(v, 3) for k, v in fitted_gaussian(10, 1000).items()}
    {'k': 1.662, 'averaging': 5.417, 'differential': 3.773}
    """
    edges = norm.ppf(np.arange(bins + 1) / bins)
    with jax.enable_x64(True):
        variance = np.asarray(
            gaussian.fit_variance(jnp.asarray(edges[:-1]), jnp.asarray(edges[1:]))
        )
    k = float(bins * variance.sum())
    distance = np.sqrt(variance / (2 * np.pi * n_train)).sum()  # E|d| = sqrt(2 / pi) sd
    return {"k": k, "averaging": (bins - 1) / k, "differential": K1**2 / distance**2 / n_train}


def _gaussian(config: Config) -> dict[str, Any]:
    """Closed forms, and simulated fits."""
    bins, n = numbers(config.most), config.gaussian_n_train
    rng = np.random.default_rng(config.seed)
    x = rng.normal(size=(config.gaussian_fits, n))
    mean, width = x.mean(axis=1, keepdims=True), x.std(axis=1, keepdims=True)
    rows = []
    for number in bins:
        inner = norm.ppf(np.arange(1, number) / number)
        below = norm.cdf(inner, mean, width)
        integral = np.diff(below, axis=1, prepend=0, append=1)
        deviation = (integral - 1 / number)[:, None]
        rows.append(fitted_gaussian(number, n) | _worth(*_moments(deviation, deviation), number, n))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return {"n_train": n, "bins": bins} | columns


def _worth(squares: np.ndarray, distances: np.ndarray, bins: int, n: int) -> dict[str, float]:
    """Of networks with these sums of squared deviations and these D_N."""
    return {
        "averaging_measured": (1 - 1 / bins) / (n * float(squares.mean())),
        "differential_measured": (K1 / float(distances.mean())) ** 2 / n,
    }


def _moments(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of squares and D_N from two estimates [set, member, bin] of the same deviations, whose
    errors are independent: their product has no noise. Mean over members [set].

    D_N of their mean has noise, which is taken off as if deviations and noise were Gaussian.
    """
    product, mean = (first * second).sum(axis=-1), (first + second) / 2
    share = np.clip(product / (mean**2).sum(axis=-1), 0, 1)
    distance = np.abs(mean).sum(axis=-1) / 2 * np.sqrt(share)
    return product.mean(axis=1), distance.mean(axis=1)


def true_events(truth: ring.Ring, n: int, seed: int) -> np.ndarray:
    """N events [n, dim] from scrambled Sobol points: each bin has its share of them."""
    if truth.dim == 2:
        u = sobol_latents(seed, n, 2).astype(np.float64)
        direction = np.stack([np.cos(2 * np.pi * u[:, 1]), np.sin(2 * np.pi * u[:, 1])], axis=1)
    else:
        u = sobol_latents(seed, n, 1 + truth.dim).astype(np.float64)
        direction = norm.ppf(u[:, 1:])
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    radius = truth.radius + truth.width * norm.ppf(u[:, :1])
    return (radius * direction).astype(np.float32)


def _measured(config: Config, case: Case) -> dict[str, np.ndarray]:
    """Moments of all networks at all resolutions, by importance weights: a network's integral over
    a bin less the true one is the mean of p_theta / p_true - 1 over the true events in it.
    """
    started = time.perf_counter()
    truth = ring.Ring(dim=case.dim)
    z = np.concatenate([true_events(truth, config.points, 2 * config.seed + h) for h in (0, 1)])
    excess = _excess(config, case, truth, z)
    arrays: dict[str, np.ndarray] = {
        "mean_excess": excess.mean(axis=-1),
        "distance": np.maximum(-excess, 0).mean(axis=-1),
    }
    of_pool = np.concatenate([excess, excess[:, 1:].mean(axis=1, keepdims=True)], axis=1)
    for view, observables in views(case.dim).items():
        for side in sides(len(observables), config.most):
            boxes = rg.quantile_tree(z, side, observables)
            halves = [_deviations(boxes, z, of_pool, half) for half in (0, 1)]
            found = {"actual": slice(0, 1), "pool": slice(-1, None)}
            for name, members in found.items():
                square, distance = _moments(*(d[:, members] for d in halves))
                arrays[f"{view}/{side}/{name}"] = np.stack([square, distance])
            spread = [d[:, 1:-1] - d[:, 1:-1].mean(axis=1, keepdims=True) for d in halves]
            freedom = config.bootstrap_members - 1
            estimate = (spread[0] * spread[1]).sum(axis=(1, 2)) / freedom
            arrays[f"{view}/{side}/bootstrap"] = estimate
    return arrays | {"seconds": np.asarray(time.perf_counter() - started)}


def _deviations(boxes: rg.Regions, z: np.ndarray, excess: np.ndarray, half: int) -> np.ndarray:
    """Of the integrals, by one half of the true events [set, member, box]."""
    n = len(z) // 2
    part = slice(half * n, (half + 1) * n)
    sums = sums_inside(boxes, z[part], list(excess[..., part].reshape(-1, n)))
    return np.reshape(sums, (*excess.shape[:2], -1)) / n


def _excess(config: Config, case: Case, truth: ring.Ring, z: np.ndarray) -> np.ndarray:
    """p_theta / p_true - 1 [set, member, event]: of a network on the set as it is, and of bootstrap
    members.
    """
    key = jax.random.fold_in(jax.random.key(config.seed), case.dim * 1_000_003 + case.n_train)
    key_data, key_rows, key_fit = jax.random.split(key, 3)
    n = case.n_train
    x = ring.sample(key_data, truth, n=case.sets * n)
    rows = []
    for s, k in enumerate(jax.random.split(key_rows, case.sets)):
        rows.append(s * n + ensemble_rows(k, n, members=1, resample="none"))
        members = config.bootstrap_members
        rows.append(s * n + ensemble_rows(k, n, members=members, resample="bootstrap"))
    generator = coupling_flow(x[:n], config.flow)
    training = FitConfig(case.steps, config.batch, config.learning_rate)
    keys = jax.random.split(key_fit, case.sets * (1 + config.bootstrap_members))
    with progress_bar(f"ring d={case.dim} n_train={n}: training {len(keys)} networks") as bar:
        fitted = fit_members(
            keys, generator, x, jnp.concatenate(rows), config=training, progress=bar.losses
        )
    assert generator.log_prob is not None
    log_prob = jax.jit(generator.log_prob)
    log_truth = np.asarray(ring.log_prob(truth, jnp.asarray(z)), np.float64)
    ratios = []
    for m in range(len(keys)):
        params = jax.tree.map(lambda leaf, m=m: leaf[m], fitted.params)
        of_block: Callable[[np.ndarray], np.ndarray] = in_blocks(partial(log_prob, params))
        ratios.append(np.expm1(np.asarray(of_block(z), np.float64) - log_truth).astype(np.float32))
    return np.reshape(ratios, (case.sets, 1 + config.bootstrap_members, -1))


def _summarised(config: Config, case: Case, part: dict[str, np.ndarray]) -> dict[str, Any]:
    distance = part["distance"][:, :1]
    found: dict[str, Any] = {
        "dim": case.dim,
        "n_train": case.n_train,
        "sets": case.sets,
        "views": {},
        "distance": distance.mean(),
        "differential_limit": _with_error(lambda d: (K1 / d.mean()) ** 2 / case.n_train, distance),
        "mean_excess": np.abs(part["mean_excess"]).max(),
        "seconds": part["seconds"],
    }
    for view, observables in views(case.dim).items():
        dim = len(observables)
        number = [side**dim for side in sides(dim, config.most)]
        moments = [part[f"{view}/{side}/actual"] for side in sides(dim, config.most)]
        pool = [part[f"{view}/{side}/pool"] for side in sides(dim, config.most)]
        spread = [part[f"{view}/{side}/bootstrap"] for side in sides(dim, config.most)]
        squares, distances = np.moveaxis(np.array(moments), 0, -1)  # [set, resolution]
        of_pool, pool_distances = np.moveaxis(np.array(pool), 0, -1)
        estimates = np.array(spread).T
        n, bins = case.n_train, np.asarray(number)

        def averaging(s: np.ndarray, bins: np.ndarray = bins, n: int = n) -> np.ndarray:
            return (1 - 1 / bins) / (n * s.mean(axis=0))

        def differential(d: np.ndarray, n: int = n) -> np.ndarray:
            return (K1 / d.mean(axis=0)) ** 2 / n

        found["views"][view] = {
            "bins": number,
            "k": (n * bins * squares.mean(axis=0)),
            "averaging": _with_error(averaging, squares),
            "averaging_bootstrap": averaging(estimates),
            "differential": _with_error(differential, distances),
            "pool_averaging": averaging(of_pool),
            "pool_differential": differential(pool_distances),
            "power_law": _with_error(lambda s, f=averaging, b=bins: power_law(b, f(s)), squares),
        }
    return found


def power_law(bins: np.ndarray, amplification: np.ndarray) -> np.ndarray:
    """A and b of G = a N^b, by least squares in the logarithms from ten bins on: the form in which
    Bayesiamplify (arXiv:2408.00838) reports amplification.

    >>> power_law(np.array([10, 100, 1000]), np.array([2.0, 20.0, 200.0])).round(3).tolist()
    [0.2, 1.0]
    """
    fine = np.asarray(bins) >= 10
    b, log_a = np.polyfit(np.log(bins[fine]), np.log(amplification[fine]), 1)
    return np.array([np.exp(log_a), b])


def _with_error(statistic: Callable[[np.ndarray], Any], values: np.ndarray) -> dict[str, Any]:
    return study.over_sets(lambda a, _: statistic(a), values, values, 500)


if __name__ == "__main__":
    study.run(main)
