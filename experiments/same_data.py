"""Are members that were trained on the same events found, and are good ones left in peace?

Ensembles of fitted Gaussians and of kernel density estimates, on bootstrap samples of one training
set, or with that part of their spread taken away: `spread` times what bootstrap samples give, 1 for
good members. Run `python -m experiments.same_data --preset full`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.special import ndtri

from amplify.estimators.same_data import agreement, scatter, smooth
from amplify.types import Holdout
from experiments import study

N_TRAIN = 500
_INNER = ndtri(np.arange(1, 10) / 10)  # of ten equiprobable bins
_TAILS = ndtri(np.array([0.05, 0.95]))
_BANDWIDTH = 0.2


class Kind(NamedTuple):
    """What is trained on events of N(0, 1) in so many columns."""

    name: Literal["gaussian", "symmetric", "kernels"]
    dim: int


@dataclass(frozen=True)
class Config:
    """Repetitions, and where it is looked; n_gen and holdouts in units of n_train."""

    good: int = 600
    same: int = 150
    kinds: tuple[Kind, ...] = (
        Kind("gaussian", 1),
        Kind("gaussian", 2),
        Kind("gaussian", 6),
        Kind("symmetric", 2),
        Kind("kernels", 2),
    )
    members: tuple[int, ...] = (8, 16)
    n_gen: tuple[int, ...] = (10,)
    spreads: tuple[float, ...] = (1.0, 0.4, 0.1)
    holdouts: tuple[int, ...] = (10, 100)
    seed: int = 127


PRESETS = {
    "smoke": Config(good=4, same=4, kinds=(Kind("gaussian", 2),), members=(8,)),
    "full": Config(),
}


def main(preset: Literal["smoke", "full"] = "full", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json; full takes about six minutes.

    Args:
        preset: size of the study.
        out: default amplify-runs/same-data-PRESET.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"same-data-{preset}"
    study.claim(out, config)
    path = out / "results.json"
    command = f"python -m experiments.same_data --preset {preset}"
    study.record(path, command, config, {"rows": list(rows(config))}, [])
    print(path)
    return path


def rows(config: Config) -> Iterator[dict[str, Any]]:
    """For each ensemble how often it is called too much alike: by the means of columns, by the
    holdouts, by the training events; each with its binomial error.
    """
    cases = product(config.kinds, config.members, config.n_gen, config.spreads)
    for i, (kind, members, n_gen, spread) in enumerate(cases):
        rng = np.random.default_rng([config.seed, i])
        repetitions = config.good if spread == 1 else config.same
        alarms = [
            _alarms(rng, kind, members, n_gen * N_TRAIN, spread, config.holdouts)
            for _ in range(repetitions)
        ]
        row = {"kind": kind.name, "dim": kind.dim, "members": members, "n_gen": n_gen}
        row |= {"spread": spread, "repetitions": repetitions}
        for name in alarms[0]:
            share = float(np.mean([alarm[name] for alarm in alarms]))
            error = float(np.sqrt(max(share * (1 - share), 1 / repetitions) / repetitions))
            row |= {name: share, f"{name}_error": error}
        yield row


def _alarms(
    rng: np.random.Generator,
    kind: Kind,
    members: int,
    n_gen: int,
    spread: float,
    holdouts: tuple[int, ...],
) -> dict[str, bool]:
    """Which tests call one ensemble too much alike."""
    train = rng.normal(size=(N_TRAIN, kind.dim))
    samples = [_generated(rng, kind, train, n_gen, spread) for _ in range(members)]
    centre, width = np.zeros(kind.dim), np.ones(kind.dim)
    functions = [smooth(x, centre, width) for x in samples]
    means = np.stack([f.mean(axis=0) for f in functions])
    by_means = scatter(means, functions[0].var(axis=0), n_train=N_TRAIN, n_gen=float(n_gen))
    integral = np.stack([_shares(x) for x in samples])
    by_training = agreement(
        integral, float(n_gen), Holdout(_shares(train), N_TRAIN), trained_on=True
    )
    alarms = {"by_means": by_means.improbable, "by_training": by_training.improbable}
    for times in holdouts:
        truth = Holdout(_shares(rng.normal(size=(times * N_TRAIN, kind.dim))), times * N_TRAIN)
        alarms[f"by_holdout_{times}"] = agreement(integral, float(n_gen), truth).improbable
    return alarms


def _generated(
    rng: np.random.Generator, kind: Kind, train: np.ndarray, n_gen: int, spread: float
) -> np.ndarray:
    """Events of one member [n_gen, dim]: training events weigh 1 + spread (k - 1), where k is how
    often each is in a bootstrap sample.
    """
    counts = rng.multinomial(N_TRAIN, np.full(N_TRAIN, 1 / N_TRAIN))
    share = (1 + spread * (counts - 1.0)) / N_TRAIN
    if kind.name == "kernels":
        x = train[rng.choice(N_TRAIN, n_gen, p=share)]
        return x + rng.normal(0, _BANDWIDTH, x.shape)
    mean = np.zeros(kind.dim) if kind.name == "symmetric" else share @ train
    return rng.normal(mean, np.sqrt(share @ (train - mean) ** 2), (n_gen, kind.dim))


def _shares(x: np.ndarray) -> np.ndarray:
    """Fractions in ten bins and two tails of each column."""
    of_columns = []
    for values in x.T:
        cell = np.searchsorted(_INNER, values)
        tails = [(values < _TAILS[0]).mean(), (values >= _TAILS[1]).mean()]
        of_columns.append(np.concatenate([np.bincount(cell, minlength=10) / len(values), tails]))
    return np.concatenate(of_columns)


if __name__ == "__main__":
    study.run(main)
