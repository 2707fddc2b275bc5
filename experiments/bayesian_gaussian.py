"""Which members know their error where the exact posterior can be had: NUTS, SGHMC, variational
networks and bootstraps of small generators.

The fitted Gaussian has sigma_model in closed form (docs/method, Reference numbers, 5b); a spline
flow of some hundred parameters on one and two columns has it from NUTS alone, and the actual error
from independent training sets. Settings of the methods are their defaults, but for the priors: flat
for the Gaussian, whose closed form has none. Run
`python -m experiments.bayesian_gaussian --preset quick`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray
from scipy.stats import norm

from amplify import regions as rg
from amplify.devices import use_all_cores
from amplify.generators.autoregressive_flow import AutoregressiveConfig, autoregressive_flow
from amplify.generators.fitted_gaussian import fitted_gaussian, maximum_likelihood
from amplify.integrals import member_integrals
from amplify.training.ensemble import fit_ensemble
from amplify.training.fit import FitConfig
from amplify.training.nuts import NUTSConfig, fit_nuts
from amplify.training.sgmcmc import SGMCMCConfig, fit_sgmcmc
from amplify.training.trained import Ensemble
from amplify.training.variational import VariationalConfig, fit_variational
from amplify.truth import gaussian, ring
from amplify.types import Generator
from experiments import study

METHODS = ("nuts", "sgmcmc", "variational", "bootstrap")


@dataclass(frozen=True)
class Config:
    """A study of small generators; reported with seed 1, chosen for with seeds from 900 on."""

    gaussian_sets: int = 24
    gaussian_n: int = 1000
    flow_sets: int = 8
    flow_n: int = 500
    dims: tuple[int, ...] = (1, 2)
    hidden: int = 8
    bins: int = 4
    nuts_members: int = 1000
    members: int = 64
    chains: int = 4  # of NUTS
    iterations: int = 500  # of each, as many again to warm up
    tree_depth: int = 7
    regions: int = 10
    same_members: int = 4  # trainings on each set as it is: the actual error
    sobol: int = 1 << 14
    steps: int = 1000
    variational: VariationalConfig = VariationalConfig()
    sgmcmc: SGMCMCConfig = SGMCMCConfig()
    seed: int = 1


_QUICK = Config(
    gaussian_sets=8,
    flow_sets=3,
    flow_n=400,
    hidden=6,
    nuts_members=500,
    members=24,
    chains=2,
    iterations=250,
    tree_depth=6,
)
PRESETS = {
    "smoke": Config(
        gaussian_sets=2,
        gaussian_n=200,
        flow_sets=2,
        flow_n=100,
        dims=(),
        hidden=2,
        nuts_members=40,
        members=4,
        chains=2,
        iterations=20,
        tree_depth=3,
        same_members=2,
        sobol=1 << 8,
        steps=20,
    ),
    "line": replace(_QUICK, dims=(1,)),
    "quick": _QUICK,
    "full": Config(),
}


class Case(NamedTuple):
    """A truth and the small generator that learns it.

    Attributes:
        name: of the case.
        n_train: events of each training set.
        sets: training sets.
        draw: (key, n) -> events.
        generator: events -> the generator.
        regions: equiprobable bins and tails.
        truth: their integrals.
        prior_width: of the posteriors.
    """

    name: str
    n_train: int
    sets: int
    draw: Callable[[PRNGKeyArray, int], Any]
    generator: Callable[[Any], Generator]
    regions: rg.Regions
    truth: np.ndarray
    prior_width: float | None


def main(
    preset: Literal["smoke", "line", "quick", "full"] = "quick", out: Path | None = None
) -> Path:
    """Runs the study and writes OUT/results.json.

    Args:
        preset: smoke takes seconds, line, which leaves out the flow on two columns, some three
            minutes of one core, quick six, full half an hour.
        out: default amplify-runs/bayesian_gaussian-PRESET; finished parts found there are used
            again.
    """
    use_all_cores()
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"bayesian_gaussian-{preset}"
    study.claim(out, config)
    cases = {case.name: _of_case(case, config, out) for case in _cases(config)}
    path = out / "results.json"
    command = f"python -m experiments.bayesian_gaussian --preset {preset}"
    study.record(path, command, config, cases, [])
    print(path)
    return path


def _cases(config: Config) -> list[Case]:
    inner = norm.ppf(np.arange(1, config.regions) / config.regions)
    edges = np.concatenate([[-np.inf], inner, [np.inf]])
    on_line = rg.join(rg.bins(rg.column(0), edges, "z"), rg.tail(rg.column(0), 2.0, "z"))
    truth = np.append(np.full(config.regions, 1 / config.regions), norm.sf(2.0))
    with jax.enable_x64(True):
        shells = np.asarray(ring.shell_edges(ring.Ring(), config.regions))
        lows, highs = np.append(shells[:-1], 6.0), np.append(shells[1:], np.inf)
        of_shells = np.asarray(
            ring.shell_integral(ring.Ring(), jnp.asarray(lows), jnp.asarray(highs))
        )
    in_shells = rg.join(rg.shells(shells), rg.tail(rg.radius, 6.0, "r"))
    size = AutoregressiveConfig((config.hidden,), config.bins, random_basis=False)
    flow = partial(autoregressive_flow, config=size)

    def normal(key: PRNGKeyArray, n: int) -> Any:
        return gaussian.sample(key, n=n)

    def rings(key: PRNGKeyArray, n: int) -> Any:
        return ring.sample(key, n=n)

    of_all = {
        0: Case(
            "gaussian",
            config.gaussian_n,
            config.gaussian_sets,
            normal,
            _fitted,
            on_line,
            truth,
            None,
        ),
        1: Case("flow-1d", config.flow_n, config.flow_sets, normal, flow, on_line, truth, 1.0),
        2: Case("flow-2d", config.flow_n, config.flow_sets, rings, flow, in_shells, of_shells, 1.0),
    }
    return [of_all[dim] for dim in (0, *config.dims)]


@cache
def _fitted(x: Any = None) -> Generator:
    return fitted_gaussian()


def _of_case(case: Case, config: Config, out: Path) -> dict[str, Any]:
    """Trains what is missing, and compares."""
    key = jax.random.fold_in(jax.random.key(config.seed), len(case.name) + 1000 * case.n_train)
    x = [case.draw(jax.random.fold_in(key, s), case.n_train) for s in range(case.sets)]
    # one generator for all sets, whose code is compiled once
    generator = _fitted() if case.name == "gaussian" else case.generator(np.asarray(x[0]))
    parts: dict[str, list[dict[str, np.ndarray]]] = {}
    for method in (*METHODS, "same"):
        for s in range(case.sets):
            compute = partial(
                _members, case, config, generator, method, x[s], jax.random.fold_in(key, 1000 + s)
            )
            path = out / "parts" / f"{case.name}-{method}-{s}.npz"
            parts.setdefault(method, []).append(study.cached(path, compute))
    result = _compared(case, parts)
    if case.name == "gaussian":
        result |= _against_closed_form(case, x, parts)
    shown = {name: round(result[name]["over_actual"]["value"], 2) for name in METHODS}
    print(f"{case.name}: estimated/actual sigma, pooled: {shown}")
    return result


def _members(
    case: Case, config: Config, generator: Generator, method: str, x: Any, key: PRNGKeyArray
) -> dict[str, np.ndarray]:
    """Integrals [member, region] of one method on one training set, and what they cost."""
    started = time.process_time()
    ensemble = _trained(case, config, generator, method, x, jax.random.fold_in(key, len(method)))
    jax.block_until_ready(ensemble.params)
    seconds = time.process_time() - started
    integral = member_integrals(
        key, generator, ensemble.params, case.regions, config.sobol, sobol=True
    ).integral
    found = {"integral": integral, "seconds": np.asarray(seconds)}
    if ensemble.posterior is not None:
        found["posterior"] = np.asarray(ensemble.posterior, float)
    return found


def _trained(
    case: Case, config: Config, generator: Generator, method: str, x: Any, key: PRNGKeyArray
) -> Ensemble:
    fit = FitConfig(steps=config.steps)
    if method == "nuts":
        nuts = NUTSConfig(
            chains=config.chains,
            warm_up=config.iterations,
            draws=config.iterations,
            prior_width=case.prior_width,
            max_tree_depth=config.tree_depth,
        )
        return fit_nuts(key, generator, x, members=config.nuts_members, config=nuts)
    if method == "sgmcmc":
        chains = config.sgmcmc._replace(prior_width=case.prior_width, start=fit)
        return fit_sgmcmc(key, generator, x, members=config.members, config=chains)
    if method == "variational":
        variational = config.variational._replace(fit=fit)
        return fit_variational(key, generator, x, members=config.members, config=variational)
    resample = "bootstrap" if method == "bootstrap" else "none"
    members = config.members if method == "bootstrap" else config.same_members
    return fit_ensemble(key, generator, x, members=members, resample=resample, config=fit)


def _compared(case: Case, parts: dict[str, list[dict[str, np.ndarray]]]) -> dict[str, Any]:
    """Estimated over actual sigma of every method, and over that of NUTS."""
    integrals = {name: np.stack([p["integral"] for p in sets]) for name, sets in parts.items()}
    same, regions = integrals["same"], len(case.truth)
    actual = ((same - case.truth) ** 2).mean(axis=(0, 1))
    result: dict[str, Any] = {
        "n_train": case.n_train,
        "sets": case.sets,
        "regions": case.regions.labels,
        "truth": case.truth,
        "actual": np.sqrt(actual),
    }
    exact = integrals["nuts"].var(axis=1, ddof=1)
    bulk = slice(0, regions - 1)  # the last region is a tail
    for name in METHODS:
        mine = integrals[name]
        variance = mine.var(axis=1, ddof=1)
        offset = mine.mean(axis=1) - integrals["nuts"].mean(axis=1)
        ratio = study.pooled_ratio("bootstrap", case.truth, bulk)
        pooled = np.sqrt(variance[:, bulk].sum(axis=1) / exact[:, bulk].sum(axis=1))
        result[name] = {
            "members": mine.shape[1],
            "sigma_model": np.sqrt(variance.mean(axis=0)),
            "over_actual": study.over_sets(ratio, same, mine, repetitions=500),
            "over_nuts": {"value": pooled.mean(), "error": _error(pooled)},
            "over_nuts_in_regions": np.sqrt(variance / exact).mean(axis=0),
            # of the mean of the members from that of NUTS, in units of sigma_model of NUTS
            "offset_from_nuts": np.sqrt((offset**2 / exact).mean(axis=0)),
            "cpu_seconds": np.array([float(part["seconds"]) for part in parts[name]]),
        }
    names = ("acceptance", "divergences", "r_hat", "effective", "steps")
    said = np.stack([part["posterior"] for part in parts["nuts"]])
    result["nuts"]["posterior"] = dict(zip(names, said.T.tolist(), strict=True))
    return result


def _against_closed_form(
    case: Case, x: list[Any], parts: dict[str, list[dict[str, np.ndarray]]]
) -> dict[str, Any]:
    """The fitted Gaussian: n sigma_model^2 of each method over the closed form, at the truth and at
    the fit of each set, whose ratio has no scatter of the fit in it.
    """
    low, high = _standardised_edges(case)
    at_truth = np.asarray(gaussian.fit_variance(jnp.asarray(low), jnp.asarray(high)), float)
    at_fit = np.stack([_at_fit(np.asarray(events), low, high) for events in x])
    result: dict[str, Any] = {"closed_form": at_truth}
    for name in METHODS:
        integrals = np.stack([part["integral"] for part in parts[name]])
        mine = case.n_train * integrals.var(axis=1, ddof=1)
        for reference, of in (("closed_form", at_truth), ("closed_form_at_fit", at_fit)):
            ratio = mine / of
            pooled = mine.sum(axis=1) / np.broadcast_to(of, mine.shape).sum(axis=1)
            result[f"{name}_over_{reference}"] = {
                "regions": ratio.mean(axis=0),
                "error": _error(ratio),
                "pooled": {"value": pooled.mean(), "error": _error(pooled)},
            }
    return result


def _standardised_edges(case: Case) -> tuple[np.ndarray, np.ndarray]:
    inner = norm.ppf(np.arange(1, len(case.truth) - 1) / (len(case.truth) - 1))
    return np.concatenate([[-np.inf], inner, [2.0]]), np.concatenate([inner, [np.inf, np.inf]])


def _at_fit(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """N sigma_model^2 in these bins if the fit to x were the truth."""
    fit = maximum_likelihood(jnp.asarray(x))
    mean, width = float(fit.mean[0]), float(jnp.exp(fit.log_width[0]))
    ends = (jnp.asarray((edge - mean) / width) for edge in (low, high))
    return np.asarray(gaussian.fit_variance(*ends), float)


def _error(values: np.ndarray) -> np.ndarray:
    """Of the mean over sets, the first axis; nan of one set."""
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))


if __name__ == "__main__":
    study.run(main)
