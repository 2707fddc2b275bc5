"""Whether products of matrices in bfloat16 (`FitConfig(products="bfloat16")`) move results: rings,
trained with and without them from the same keys on the same events.

A CPU has no such products and computes them in single precision, so there they are written out:
factors and the gradients that come back are rounded to eight bits, sums are not. Accelerators take
their own.

    python -m experiments.benchmarks.bfloat16 --preset full --out FILE.json
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import tyro

from amplify.devices import use_all_cores
from amplify.estimators.kolmogorov import ks_distance
from amplify.generators.coupling_flow import coupling_flow
from amplify.generators.flow_matching import vector_flow
from amplify.nets.dense import Dense
from amplify.sampling import sample_members
from amplify.training.ensemble import fit_ensemble
from amplify.training.fit import FitConfig
from amplify.truth import ring
from amplify.types import Generator

FLOWS = {"spline flow": coupling_flow, "flow matching": vector_flow}


class Sizes(NamedTuple):
    """Of the study: events, members, steps, generated events, shells of radius, seeds."""

    n_train: int
    members: int
    steps: int
    n_gen: int
    shells: int
    seeds: int


PRESETS = {
    "smoke": Sizes(100, 2, 3, 1000, 4, 1),
    "full": Sizes(1000, 8, 1000, 100_000, 10, 3),
}


@dataclass(frozen=True)
class Arguments:
    """What the command takes."""

    preset: Literal["smoke", "full"] = "smoke"
    out: Path | None = None
    """JSON file to write; seeds in it are kept."""


def _rounded(x: jax.Array) -> jax.Array:
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)


@jax.custom_vjp
def factor(x: jax.Array) -> jax.Array:
    """A factor of a product, as the product sees it."""
    return _rounded(x)


factor.defvjp(lambda x: (_rounded(x), None), lambda _, gradient: (gradient,))


@jax.custom_vjp
def product(x: jax.Array) -> jax.Array:
    """A product, whose gradient is a factor of those of its factors."""
    return x


product.defvjp(lambda x: (x, None), lambda _, gradient: (_rounded(gradient),))


def with_bfloat16(generator: Generator) -> Generator:
    """The generator, whose dense layers multiply as an accelerator does in bfloat16 in training."""

    def dense(layer: Any, arguments: Any, settings: Any, context: nn.module.InterceptorContext):
        if not isinstance(context.module, Dense):
            return layer(*arguments, **settings)
        return product(layer(factor(*arguments), **settings))

    def loss(params: Any, *arguments: Any) -> jax.Array:
        def seen(path: Any, leaf: jax.Array) -> jax.Array:
            return factor(leaf) if getattr(path[-1], "key", "") == "kernel" else leaf

        with nn.intercept_methods(dense):
            return generator.loss(jax.tree_util.tree_map_with_path(seen, params), *arguments)

    return generator._replace(loss=loss)


class Found(NamedTuple):
    """Of members: fractions in shells [member, shell], and the mean distance of their radii."""

    fractions: np.ndarray
    distance: float


def _looked_at(
    generator: Generator,
    config: FitConfig,
    seed: int,
    x: np.ndarray,
    truth: np.ndarray,
    sizes: Sizes,
) -> Found:
    key_fit, key_sample = jax.random.split(jax.random.key(seed))
    ensemble = fit_ensemble(key_fit, generator, x, members=sizes.members, config=config)
    samples = sample_members(key_sample, generator, ensemble.params, sizes.n_gen)
    radius = np.linalg.norm(np.asarray(samples.x), axis=-1)
    edges = np.quantile(truth, np.arange(1, sizes.shells) / sizes.shells)
    shell = np.stack([np.searchsorted(edges, of_member) for of_member in radius])
    counts = [np.bincount(of_member, minlength=sizes.shells) for of_member in shell]
    distances = [float(ks_distance(of_member, truth)) for of_member in radius]
    return Found(np.stack(counts) / sizes.n_gen, float(np.mean(distances)))


def one_seed(name: str, seed: int, sizes: Sizes) -> dict[str, float]:
    """A flow trained both ways from the same keys: distances to the truth, root mean square of the
    averaging pulls, and by how much of the spread of members the change moves one of them.
    """
    key_train, key_truth = jax.random.split(jax.random.fold_in(jax.random.key(77), seed))
    x = np.asarray(ring.sample(key_train, n=sizes.n_train))
    truth = np.linalg.norm(np.asarray(ring.sample(key_truth, n=20 * sizes.n_gen)), axis=-1)
    generator = FLOWS[name](x)
    config = FitConfig(steps=sizes.steps)
    plain = _looked_at(generator, config, seed, x, truth, sizes)
    in_eight_bits = config._replace(products="bfloat16")
    changed = with_bfloat16(generator) if jax.default_backend() == "cpu" else generator
    rounded = _looked_at(changed, in_eight_bits, seed, x, truth, sizes)
    spread = plain.fractions.std(axis=0, ddof=1)
    true = 1 / sizes.shells

    def pull(found: Found) -> float:
        error = found.fractions.std(axis=0, ddof=1)
        return float(np.sqrt((((found.fractions.mean(axis=0) - true) / error) ** 2).mean()))

    moved = (rounded.fractions - plain.fractions) / spread
    return {
        "distance": plain.distance,
        "distance, bfloat16": rounded.distance,
        "pull": pull(plain),
        "pull, bfloat16": pull(rounded),
        "spread, bfloat16 over float32": float(
            np.exp(np.log(rounded.fractions.std(axis=0, ddof=1) / spread).mean())
        ),
        "a member moves, in spreads": float(np.sqrt((moved**2).mean())),
        "their mean moves, in spreads": float(np.sqrt((moved.mean(axis=0) ** 2).mean())),
    }


def main(arguments: Arguments) -> dict[str, Any]:
    """Runs what is not there yet, and returns all of it."""
    sizes, out = PRESETS[arguments.preset], arguments.out
    done = json.loads(out.read_text()) if out is not None and out.exists() else {}
    for seed in range(sizes.seeds):
        for name in FLOWS:
            label = f"{name}, seed {seed}"
            if label not in done:
                done[label] = one_seed(name, seed, sizes)
            print(label, json.dumps(done[label]), flush=True)
            if out is not None:
                out.write_text(json.dumps(done, indent=1) + "\n")
    return done


if __name__ == "__main__":
    use_all_cores()
    main(tyro.cli(Arguments))
