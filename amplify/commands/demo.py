"""`amplify demo`: the two-dimensional Gaussian ring, estimate and truth side by side.

A bootstrap ensemble of spline flows on one training set gives the estimate, as for a user. Because truth is known here, networks trained on independent
training sets give the actual error beside it.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from amplify import regions as rg
from amplify.commands.output import publish, say
from amplify.data import ring
from amplify.devices import use_all_cores
from amplify.estimators.averaging import averaging_amplification
from amplify.generators.coupling_flow import FlowConfig, coordinates, coupling_flow
from amplify.members.ensemble import ensemble_rows
from amplify.members.fit import FitConfig, fit_members
from amplify.report.progress import progress_bar
from amplify.report.results import averaging_records, environment
from amplify.sampling import member_integrals


class DemoSettings(NamedTuple):
    """Size of the demonstration."""

    n_train: int = 1000
    members: int = 16
    independent: int = 24  # networks on training sets of their own, for the actual error
    n_gen: int = 1 << 17
    steps: int = 1000
    shells: int = 10
    tail: float = 6.0


def demo(directory: Path, seed: int, json_to: str | None, settings: DemoSettings = DemoSettings()) -> None:
    """Runs the demonstration and writes its results."""
    use_all_cores()
    truth = ring.Ring()
    say(f"Gaussian ring in 2-D: {settings.n_train} training events, {settings.members} spline flows on bootstrap samples of them,")
    say(f"and {settings.independent} flows on independent training sets, because truth is known here.")
    key_data, key_rows, key_fit, key_sample, key_check = jax.random.split(jax.random.key(seed), 5)
    sets = settings.independent + 1
    x = jax.vmap(lambda key: ring.sample(key, truth, settings.n_train))(jax.random.split(key_data, sets)).reshape(-1, truth.dim)
    own = ensemble_rows(key_rows, settings.n_train, members=settings.members, resample="bootstrap")
    others = jnp.arange(settings.n_train, sets * settings.n_train).reshape(settings.independent, settings.n_train)
    rows = jnp.concatenate([own, others])

    generator = coupling_flow(coordinates(x[: settings.n_train]), FlowConfig())
    with progress_bar(f"training {len(rows)} networks") as bar:
        keys = jax.random.split(key_fit, len(rows))
        ensemble = fit_members(keys, generator, x, rows, config=FitConfig(steps=settings.steps), progress=bar.losses)
    with jax.enable_x64(True):
        edges = np.asarray(ring.shell_edges(truth, settings.shells))
        low, high = jnp.asarray([*edges[:-1], settings.tail]), jnp.asarray([*edges[1:], np.inf])
        integral = np.asarray(ring.shell_integral(truth, low, high))
    regions = rg.join(rg.shells(edges), rg.tail(rg.radius, settings.tail, "r"))
    members, independent = (jax.tree.map(lambda leaf, s=s: leaf[s], ensemble.params) for s in (slice(settings.members), slice(settings.members, None)))
    with progress_bar("integrals") as bar:
        generated = member_integrals(key_sample, generator, members, regions, settings.n_gen, progress=bar.count)
        exact = member_integrals(key_check, generator, independent, regions, 1 << 15, sobol=True, progress=bar.count)

    with jax.enable_x64(True):
        estimate = averaging_amplification(generated.integral, n_train=settings.n_train, n_gen=generated.n_gen)
    actual = ((exact.integral - integral) ** 2).mean(axis=0)
    results = environment("amplify demo", seed, settings._asdict())
    results["estimates"] = averaging_records(estimate, regions.labels, members=settings.members, n_train=settings.n_train, n_gen=generated.n_gen)
    results["truth"] = {
        "integral": integral,
        "actual_sigma": np.sqrt(actual),
        "actual_amplification": integral * (1 - integral) / settings.n_train / actual,
        "from": f"{settings.independent} networks on independent training sets, so about {100 / np.sqrt(2 * settings.independent):.0f} % on each sigma",
    }
    ratio = np.sqrt(np.nansum(np.asarray(estimate.sigma_model.value)[: settings.shells] ** 2) / actual[: settings.shells].sum())
    publish(results, directory, json_to)
    say(f"estimated over actual uncertainty, pooled over the {settings.shells} shells: {ratio:.2f}")
