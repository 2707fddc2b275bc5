"""`amplify demo`: the two-dimensional Gaussian ring, both estimates and truth side by side.

A bootstrap ensemble of spline flows on one training set gives the averaging estimate, as for a
user. Because truth is known here, networks trained on independent training sets give the actual
error beside it. One of these networks is tested against a holdout, with the exact likelihood ratio
and with a learned one; integration of its density gives its actual distance.
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from amplify import regions as rg
from amplify.analysis.curves import approach, distribution_functions, ratio_map
from amplify.commands.output import publish, say
from amplify.devices import use_all_cores
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.differential import differential_amplification, tally
from amplify.estimators.kolmogorov import K1, count_between, distance_between
from amplify.estimators.learned import learned_amplification
from amplify.generators.coupling_flow import FlowConfig, coordinates, coupling_flow
from amplify.progress import progress_bar
from amplify.results.records import averaging_records, differential_records, environment
from amplify.sampling import member_integrals, sample_members
from amplify.summaries import exact_ratio, in_blocks
from amplify.summaries.default import learned_ratio
from amplify.text import number
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.truth import ring
from amplify.types import Events, Generator, Params


class DemoSettings(NamedTuple):
    """Size of the demonstration."""

    n_train: int = 1000
    members: int = 16
    independent: int = 24  # networks on training sets of their own, for the actual error
    n_gen: int = 1 << 17
    steps: int = 1000
    shells: int = 10
    tail: float = 6.0
    n_holdout: int = 20_000
    n_tested: int = 1 << 19  # generated events of the differential estimate


def demo(
    directory: Path, seed: int, json_to: str | None, settings: DemoSettings = DemoSettings()
) -> None:
    """Runs the demonstration and writes its results."""
    use_all_cores()
    truth = ring.Ring()
    say(
        f"Gaussian ring in 2-D: {settings.n_train} training events, {settings.members} spline flows on bootstrap samples of them,"
    )
    say(
        f"and {settings.independent} flows on independent training sets, because truth is known here."
    )
    key_data, key_rows, key_fit, key_sample, key_check, key_test = jax.random.split(
        jax.random.key(seed), 6
    )
    sets = settings.independent + 1
    x = jax.vmap(lambda key: ring.sample(key, truth, settings.n_train))(
        jax.random.split(key_data, sets)
    ).reshape(-1, truth.dim)
    own = ensemble_rows(key_rows, settings.n_train, members=settings.members, resample="bootstrap")
    others = jnp.arange(settings.n_train, sets * settings.n_train).reshape(
        settings.independent, settings.n_train
    )
    rows = jnp.concatenate([own, others])

    generator = coupling_flow(coordinates(x[: settings.n_train]), FlowConfig())
    with progress_bar(f"training {len(rows)} networks") as bar:
        keys = jax.random.split(key_fit, len(rows))
        ensemble = fit_members(
            keys, generator, x, rows, config=FitConfig(steps=settings.steps), progress=bar.losses
        )
    with jax.enable_x64(True):
        edges = np.asarray(ring.shell_edges(truth, settings.shells))
        low, high = jnp.asarray([*edges[:-1], settings.tail]), jnp.asarray([*edges[1:], np.inf])
        integral = np.asarray(ring.shell_integral(truth, low, high))
    regions = rg.join(rg.shells(edges), rg.tail(rg.radius, settings.tail, "r"))
    members, independent = (
        jax.tree.map(lambda leaf, s=s: leaf[s], ensemble.params)
        for s in (slice(settings.members), slice(settings.members, None))
    )
    with progress_bar("integrals") as bar:
        generated = member_integrals(
            key_sample, generator, members, regions, settings.n_gen, progress=bar.count
        )
        exact = member_integrals(
            key_check, generator, independent, regions, 1 << 15, sobol=True, progress=bar.count
        )

    with jax.enable_x64(True):
        estimate = averaging_amplification(
            generated.integral, n_train=settings.n_train, n_gen=generated.n_gen
        )
    actual = ((exact.integral - integral) ** 2).mean(axis=0)
    with progress_bar("differential"):
        one = jax.tree.map(lambda leaf: leaf[0], independent)
        tested, distance, part = _differential(key_test, generator, one, truth, settings, seed)
    results = environment("amplify demo", seed, settings._asdict())
    results["estimates"] = [
        *averaging_records(
            estimate,
            regions.labels,
            members=settings.members,
            n_train=settings.n_train,
            n_gen=settings.n_gen,
        ),
        *tested,
    ]
    results["differential"] = part
    factor = integral * (1 - integral) / settings.n_train / actual
    results["truth"] = {
        "integral": [*integral, None, None],
        "actual_sigma": [*np.sqrt(actual), None, None],
        "actual_distance": [*[None] * len(integral), distance, distance],
        "actual_amplification": [*factor, *[(K1 / distance) ** 2 / settings.n_train] * 2],
        "from": f"of averaging from {settings.independent} networks on independent training sets, so about "
        f"{100 / np.sqrt(2 * settings.independent):.0f} % on each sigma; of the tested network by integration of its density",
    }
    ratio = np.sqrt(
        np.nansum(np.asarray(estimate.sigma_model.value)[: settings.shells] ** 2)
        / actual[: settings.shells].sum()
    )
    publish(results, directory, json_to)
    say(
        f"averaging: estimated over actual uncertainty, pooled over the {settings.shells} shells: {ratio:.2f}"
    )
    low, high = tested[0]["n_equiv_interval"]
    say(
        f"differential: {number(low)} to {number(high)} with the exact ratio, fewer than {number(tested[1]['n_equiv_interval'][1])} with a learned one,"
    )
    say(f"    actual n_equiv of that network {number((K1 / distance) ** 2)}")


def _differential(
    key: PRNGKeyArray,
    generator: Generator,
    params: Params,
    truth: ring.Ring,
    settings: DemoSettings,
    seed: int,
) -> tuple[list[dict[str, Any]], float, dict[str, Any]]:
    """Records of one network against a holdout, with the exact and with a learned ratio; its actual
    D_inf; what the plots show.
    """
    key_gen, key_true, key_holdout = jax.random.split(key, 3)
    log_prob_gen, log_prob_true = (
        in_blocks(jax.jit(f))
        for f in (partial(generator.log_prob, params), partial(ring.log_prob, truth))
    )  # pyright: ignore
    generated = np.asarray(
        sample_members(
            key_gen, generator, jax.tree.map(lambda leaf: leaf[None], params), settings.n_tested
        ).x[0]
    )
    holdout, true = (
        np.asarray(ring.sample(k, truth, n))
        for k, n in ((key_holdout, settings.n_holdout), (key_true, settings.n_tested))
    )
    distance = float(np.maximum(-np.expm1(log_prob_gen(true) - log_prob_true(true)), 0).mean())
    exact = exact_ratio(log_prob_gen, log_prob_true)
    t_gen, t_holdout = exact(generated), exact(holdout)
    sizes = {
        "n_train": settings.n_train,
        "n_gen": settings.n_tested,
        "n_holdout": settings.n_holdout,
    }
    records = differential_records(
        differential_amplification(t_gen, t_holdout, n_train=settings.n_train),
        ("all",),
        summary="exact likelihood ratio",
        level=0.68,
        **sizes,
    )
    learned, _ = learned_amplification(
        learned_ratio(log_prob_gen),
        Events(generated),
        Events(holdout),
        n_train=settings.n_train,
        seed=seed,
    )
    records += differential_records(
        learned, ("all",), summary="learned likelihood ratio", level=0.9, **sizes
    )
    grid = np.unique(t_holdout)
    tallies = [tally(grid, t) for t in (t_gen, t_holdout)]
    grown = [
        (float(n), float(distance_between(count_between(grid, t_gen[:n]), tallies[1].counts)))
        for n in np.geomspace(100, len(t_gen), 14).astype(int)
    ]
    part = {
        "functions": distribution_functions(grid, *tallies, threshold=0.0),
        "approach": approach(grown, settings.n_holdout, records[0]["distance"]),
        "map": ratio_map(Events(generated), Events(holdout), ("x0", "x1")),
    }
    return records, distance, part
