"""Integrals of all members that the calibration study compares: a problem, a generator, a way to
make members, and some training sets.

Each training set is standardised by its own means and widths, as every generator here does with the
events it is made for; so one compiled training serves all of them, and the integrals are those that
a user with that one set gets.
"""

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from amplify.generators.autoregressive_flow import autoregressive_flow
from amplify.generators.coupling_flow import coupling_flow
from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.generators.gaussian_mixture import gaussian_mixture
from amplify.generators.kernel_density import kernel_density
from amplify.integrals import member_integrals
from amplify.training.ensemble import fit_ensemble
from amplify.training.fit import FitConfig
from amplify.training.refit import fit_refits
from amplify.training.trained import Ensemble
from amplify.types import Generator
from experiments.problems import Problem


@dataclass(frozen=True)
class Settings:
    """What all cells share.

    Attributes:
        sobol: latents of each member, shared by the members of a set: four times as many in more
            than three dimensions.
        steps: of each training; None for as many as `FitConfig.for_integrals` says.
        seed: of training sets and members.
    """

    sobol: int = 1 << 14
    steps: int | None = None
    seed: int = 1


class Cell(NamedTuple):
    """A part of the study that is computed and stored at once.

    Attributes:
        problem: its name.
        generator: a name in GENERATORS.
        method: a name in METHODS.
        n_train: events in each training set.
        members: of each set.
        first: number of the first training set; those from 900 on serve for choices.
        sets: how many.
    """

    problem: str
    generator: str
    method: str
    n_train: int
    members: int
    first: int
    sets: int

    @property
    def name(self) -> str:
        """Of its file."""
        which = f"{self.problem}-{self.generator}-{self.method}-n{self.n_train}"
        return f"{which}-{self.first}+{self.sets}x{self.members}".replace(" ", "-")


GENERATORS: dict[str, Callable[[np.ndarray], Generator]] = {
    "coupling": coupling_flow,
    "autoregressive": autoregressive_flow,
    "gaussian mixture": gaussian_mixture,
    "kernel density": kernel_density,
    "gaussian": lambda x: fitted_gaussian(x.shape[1]),
}


def _ensemble(
    resample: Any, key: Any, generator: Generator, x: Any, config: FitConfig, members: int
) -> Ensemble:
    return fit_ensemble(key, generator, x, members=members, resample=resample, config=config)


def _variational(
    key: Any, generator: Generator, x: Any, config: FitConfig, members: int
) -> Ensemble:
    from amplify.training.variational import fit_variational

    return fit_variational(key, generator, x, members=members)


def _sgmcmc(key: Any, generator: Generator, x: Any, config: FitConfig, members: int) -> Ensemble:
    from amplify.training.sgmcmc import fit_sgmcmc

    return fit_sgmcmc(key, generator, x, members=members)


def _nuts(key: Any, generator: Generator, x: Any, config: FitConfig, members: int) -> Ensemble:
    from amplify.training.nuts import fit_nuts

    return fit_nuts(key, generator, x, members=members)


# refits learn from the pool of bootstrap members instead of events, see `integrals`
METHODS: dict[str, Callable[..., Ensemble]] = {
    "same data": partial(_ensemble, "none"),
    "bootstrap": partial(_ensemble, "bootstrap"),
    "variational": _variational,
    "sgmcmc": _sgmcmc,
    "nuts": _nuts,
}


def training(settings: Settings, cell: Cell) -> FitConfig:
    """Settings of each training of a cell."""
    config = FitConfig.for_integrals(cell.n_train)
    return config if settings.steps is None else config._replace(steps=settings.steps)


def training_set(settings: Settings, problem: Problem, number: int, n_train: int) -> np.ndarray:
    """True events x [n_train, dim] of the training set with this number."""
    return problem.draw(_rng(settings, problem, number, n_train), n_train)


def integrals(
    settings: Settings, cell: Cell, problem: Problem, pool: dict[str, np.ndarray] | None
) -> dict[str, np.ndarray]:
    """What is stored of a cell: integrals [set, member, region], CPU seconds of training [set], the
    first with what compiling takes, and the params of the members [set, member, param].

    Args:
        settings: of the study.
        cell: what to compute.
        problem: its problem.
        pool: the same of the bootstrap members of these sets, which refits learn from.
    """
    generator = _generator(cell.generator, problem.dim)
    found: list[dict[str, Any]] = []
    for place in range(cell.sets):
        number = cell.first + place
        x = training_set(settings, problem, number, cell.n_train)
        mean, width = x.mean(axis=0), x.std(axis=0)
        key = jax.random.key(zlib.crc32(f"{settings.seed} {cell.name} {number}".encode()))
        started = time.process_time()
        if cell.method == "refit":
            assert pool is not None
            ensemble = _refits(key, generator, pool["params"][place], settings, cell)
        else:
            z = ((x - mean) / width).astype(np.float32)
            ensemble = METHODS[cell.method](
                key, generator, z, training(settings, cell), cell.members
            )
        params: Any = jax.block_until_ready(ensemble.params)
        seconds = time.process_time() - started
        sobol = settings.sobol * (4 if problem.dim > 3 else 1)
        integral = member_integrals(
            jax.random.fold_in(jax.random.key(settings.seed), number),
            ensemble.generator,
            params,
            problem.regions,
            sobol,
            sobol=True,
            transform=lambda z, mean=mean, width=width: z * width + mean,
        ).integral
        flat = np.asarray(jax.vmap(lambda one: ravel_pytree(one)[0])(params))
        found.append({"integral": integral, "seconds": seconds, "params": flat})
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def _refits(
    key: Any, generator: Generator, flat: np.ndarray, settings: Settings, cell: Cell
) -> Ensemble:
    """Trained on what the pool of the bootstrap members, of these params, generates."""
    _, unravel = ravel_pytree(generator.init(jax.random.key(0)))
    params = jax.vmap(unravel)(jnp.asarray(flat))
    losses, healthy = jnp.zeros((len(flat), 1)), jnp.full(len(flat), -1)
    ensemble = Ensemble(params, losses, healthy, generator, method="bootstrap")
    config = training(settings, cell)
    return fit_refits(key, ensemble, members=cell.members, n_train=cell.n_train, config=config)


@cache
def _generator(name: str, dim: int) -> Generator:
    """A generator for standardised events, the same object for all training sets."""
    x = np.random.default_rng(0).normal(size=(1000, dim))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return GENERATORS[name](x.astype(np.float32))


def _rng(settings: Settings, problem: Problem, number: int, n: int) -> np.random.Generator:
    name = zlib.crc32(problem.name.encode())
    return np.random.default_rng([settings.seed, name, number, n])
