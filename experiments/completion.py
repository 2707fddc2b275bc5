"""How far are completion rounds from the maximum of the likelihood, after each of them?

Gaussians that are cut, whose most likely parameters SciPy finds: fitted by their moments, as any
generator of a user's own would be, in rounds (`amplify.completed`). Run `python -m
experiments.completion --preset full`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm, truncnorm

from amplify.examples import plain
from amplify.external import completion
from experiments import study

Box = tuple[tuple[float, float], ...]  # (low, high) of each column
_OPEN = float("inf")
_FIRST = 0.2  # share of true events in the region next to the first cut


@dataclass(frozen=True)
class Config:
    """Repetitions, and what is cut. The way of running ahead was chosen on other cuts."""

    sets: int = 32
    n_train: int = 4000
    rounds: int = 16
    boxes: tuple[Box, ...] = (
        ((-1.2, _OPEN),),
        ((-0.7, _OPEN),),
        ((-0.2, _OPEN),),
        ((0.2, _OPEN),),
        ((-1.2, 1.6), (-1.4, _OPEN), (-2.2, 0.8), (-_OPEN, 0.6)),
    )
    ahead: tuple[float, ...] = (0.0, 0.7)
    weighted: tuple[bool, ...] = (True, False)
    seed: int = 13


PRESETS = {
    "smoke": Config(sets=2, n_train=500, rounds=2, boxes=(((-1.0, _OPEN),),), weighted=(True,)),
    "full": Config(),
}


def main(preset: Literal["smoke", "full"] = "full", out: Path | None = None) -> Path:
    """Runs the study and writes OUT/results.json; full takes about three minutes.

    Args:
        preset: size of the study.
        out: default amplify-runs/completion-PRESET.
    """
    config = PRESETS[preset]
    out = out or Path("amplify-runs") / f"completion-{preset}"
    study.claim(out, config)
    path = out / "results.json"
    command = f"python -m experiments.completion --preset {preset}"
    study.record(path, command, config, {"rows": list(rows(config))}, [])
    print(path)
    return path


def rows(config: Config) -> Iterator[dict[str, Any]]:
    """For each problem and fit, by round: Z over that of the most likely Gaussian, less 1; and the
    bias of the fraction of events in the first fifth behind a cut, in units of the error that
    n_train events leave; means over training sets with their standard errors.
    """
    for number, box in enumerate(config.boxes):
        rng = np.random.default_rng([config.seed, number])
        sets = [_events(rng, box, config.n_train) for _ in range(config.sets)]
        most = np.array([most_likely(x, box) for x in sets])
        true = float(np.prod([norm.cdf(high) - norm.cdf(low) for low, high in box]))
        for weighted in config.weighted:
            fit = plain.fit if weighted else _without_weights
            for ahead in config.ahead:
                z, region = _by_round(sets, box, fit, ahead, config.rounds)
                yield {
                    "box": box,
                    "acceptance": true,
                    "most_likely_scatter": float(np.std(most / true, ddof=1)),
                    "weighted": weighted,
                    "ahead": ahead,
                    "z": _means(z / most[:, None] - 1),
                    "region": _means(region),
                }


def most_likely(x: np.ndarray, box: Box) -> float:
    """Z of the Gaussian whose truncated density fits x best."""
    return float(
        np.prod([_most_likely(values, *ends) for values, ends in zip(x.T, box, strict=True)])
    )


def _most_likely(x: np.ndarray, low: float, high: float) -> float:
    def accepted(params: np.ndarray) -> float:
        mean, width = params[0], np.exp(params[1])
        return float(norm.cdf((high - mean) / width) - norm.cdf((low - mean) / width))

    def loss(params: np.ndarray) -> float:
        return float(np.log(accepted(params)) - norm.logpdf(x, params[0], np.exp(params[1])).mean())

    return accepted(minimize(loss, [0.0, 0.0], method="Nelder-Mead", tol=1e-8).x)


def _events(rng: np.random.Generator, box: Box, n: int) -> np.ndarray:
    columns = [truncnorm.rvs(*ends, size=n, random_state=rng) for ends in box]
    return np.stack(columns, axis=1)


def _without_weights(x: np.ndarray, seed: int) -> Callable[[int, int], np.ndarray]:
    return plain.fit(x, seed)


def _by_round(
    sets: list[np.ndarray], box: Box, fit: Callable[..., Any], ahead: float, rounds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Z and the pull of a region [set, round], of rounds that are told as they come."""
    low, high = np.array(box).T
    edge = truncnorm.ppf(_FIRST, *box[0])
    sigma = np.sqrt(_FIRST * (1 - _FIRST) / len(sets[0]))

    def passes(x: np.ndarray) -> np.ndarray:
        return ((x > low) & (x < high)).all(axis=1)

    def watched(*given: Any, **weights: Any) -> Callable[[int, int], np.ndarray]:
        sample = fit(*given, **weights)
        x = sample(200_000, 1)
        x = x[passes(x)]
        pulls[-1].append(((x[:, 0] < edge).mean() - _FIRST) / sigma)
        return sample

    def weighted(x: np.ndarray, seed: int, weight: Any = None) -> Any:
        return watched(x, seed, weight=weight)

    by_round, pulls = [], []
    chosen = weighted if fit is plain.fit else lambda x, seed: watched(x, seed)
    with mock.patch.object(completion, "_AHEAD", ahead):
        for seed, x in enumerate(sets):
            pulls.append([])
            sample = completion.completed(chosen, passes, rounds=rounds)(x, seed)
            by_round.append([z.value for z in sample.history])
    return np.array(by_round), np.array(pulls)


def _means(values: np.ndarray) -> dict[str, Any]:
    """Mean over sets, its standard error, and the scatter of the sets [round]."""
    scatter = values.std(axis=0, ddof=1)
    return {
        "mean": values.mean(axis=0).round(5),
        "error": (scatter / np.sqrt(len(values))).round(5),
        "scatter": scatter.round(5),
    }


if __name__ == "__main__":
    study.run(main)
