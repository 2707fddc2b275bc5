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
from amplify.training.nuts import NUTSConfig, fit_nuts
from amplify.training.refit import fit_refits
from amplify.training.sgmcmc import SGMCMCConfig, fit_sgmcmc
from amplify.training.trained import Ensemble
from amplify.training.variational import VariationalConfig, fit_variational
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
        variational: the posteriors of `fit_variational`; the defaults, as of the next two.
        sgmcmc: the chains of `fit_sgmcmc`.
        nuts: those of `fit_nuts`.
    """

    sobol: int = 1 << 14
    steps: int | None = None
    seed: int = 1
    variational: VariationalConfig = VariationalConfig()
    sgmcmc: SGMCMCConfig = SGMCMCConfig()
    nuts: NUTSConfig = NUTSConfig()


class Cell(NamedTuple):
    """A part of the study that is computed and stored at once.

    Attributes:
        problem: its name.
        generator: a name in GENERATORS.
        method: how members come to differ, as `amplify.types.Method`.
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


def _members(settings: Settings, cell: Cell) -> Callable[..., Ensemble]:
    """(key, generator, events, members=) -> members, of all methods but refits, which learn from
    the pool of bootstrap members instead of events, see `integrals`.
    """
    config = training(settings, cell)
    return {
        "same data": partial(fit_ensemble, resample="none", config=config),
        "bootstrap": partial(fit_ensemble, resample="bootstrap", config=config),
        "variational": partial(fit_variational, config=settings.variational),
        "sgmcmc": partial(fit_sgmcmc, config=settings.sgmcmc),
        "nuts": partial(fit_nuts, config=settings.nuts),
    }[cell.method]


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
            ensemble = _members(settings, cell)(key, generator, z, members=cell.members)
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
