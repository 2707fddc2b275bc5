"""The two-dimensional Gaussian ring, both estimates and truth side by side.

Members on one training set give the averaging estimate, as for a user: a bootstrap ensemble of
spline flows, an ensemble of the same data, or draws from a Bayesian network. Because truth is known
here, networks trained on independent training sets give the actual error beside it. One of these
networks is tested against a holdout, with the exact likelihood ratio and with a learned one;
integration of its density gives its actual distance.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from amplify import regions as rg
from amplify.analysis.averaging_estimate import pool_view, pooled_worth
from amplify.analysis.curves import approach, distribution_functions, ratio_map
from amplify.analysis.demonstrated_members import METHODS, Kind, trained
from amplify.analysis.demonstrated_pool import (
    add_actual,
    add_event_by_event,
    forecast_of,
    said_of_pool,
)
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.differential import differential_amplification, tally
from amplify.estimators.kolmogorov import K1, count_between, distance_between
from amplify.estimators.learned import learned_amplification
from amplify.estimators.variance import variance_median
from amplify.integrals import member_integrals
from amplify.namespace import in_blocks
from amplify.progress import Progress, silent
from amplify.results.calibration import noted
from amplify.results.pools import FORECAST, POOL
from amplify.results.result import Answer, Result
from amplify.summaries import exact_ratio
from amplify.summaries.default import learned_ratio
from amplify.text import number
from amplify.training.trained import Ensemble, Fitted
from amplify.truth import ring
from amplify.types import AveragingEstimate, Events

_SOBOL = 1 << 15  # latents of the actual integrals
_WHO = {
    "bootstrap": "the bootstrap ensemble",
    "same": "the ensemble of the same data",
    "bayesian": "the draws from a Bayesian network",
}


class DemoSettings(NamedTuple):
    """Size of the demonstration.

    Attributes:
        n_train: training events.
        members: of the ensemble, or draws from the posterior.
        kind: of the members: bootstraps, networks of the same data, or Bayesian ones.
        independent: training sets of their own, for the actual error.
        copies: networks on each of these, all on the same events: a pool; beside bootstraps as many
            on the first set, too.
        n_gen: generated events of each member.
        steps: of a training.
        shells: equiprobable ones.
        tail: radius from which on.
        n_holdout: true events.
        n_tested: generated events of the differential estimate.
    """

    n_train: int = 1000
    members: int = 16
    kind: Kind = "bootstrap"
    independent: int = 10
    copies: int = 3
    n_gen: int = 1 << 17
    steps: int = 1000
    shells: int = 10
    tail: float = 6.0
    n_holdout: int = 20_000
    n_tested: int = 1 << 19


def demonstration(
    seed: int, settings: DemoSettings = DemoSettings(), *, progress: Progress = silent
) -> Result:
    """Trains, estimates with both methods, and finds the actual numbers.

    Args:
        seed: the same seed gives the same numbers on the same machine.
        settings: how large it is.
        progress: of training and sampling.
    """
    truth = ring.Ring()
    keys = jax.random.split(jax.random.key(seed), 6)
    key_data, key_rows, key_fit, key_sample, key_check, key_test = keys
    nets = trained(key_data, key_rows, key_fit, truth, settings, progress)
    ensemble, independent = nets.members, nets.independent

    regions, integral = _regions(truth, settings)
    with progress("integrals") as bar:
        generated = member_integrals(
            key_sample,
            ensemble.generator,
            ensemble.params,
            regions,
            settings.n_gen,
            progress=bar.count,
        )
        exact = _exact(key_check, independent, regions)
    estimate = averaging_amplification(
        generated.integral, n_train=settings.n_train, n_gen=generated.n_gen
    )
    averaging = Answer(
        estimate,
        regions.labels,
        n_train=settings.n_train,
        n_gen=settings.n_gen,
        n_holdout=None,
        members=settings.members,
    )
    with progress("differential"):
        tested = _tested(key_test, independent[0], truth, settings, seed)
    actual = ((exact - integral) ** 2).mean(axis=0)
    pools = exact.reshape(settings.independent, settings.copies, -1).mean(axis=1)
    views, warnings = noted(METHODS[settings.kind])
    if nets.same_data is not None:
        of_pool = pool_view(
            averaging,
            generated.integral,
            n_gen=generated.n_gen,
            same_data=_exact(key_check, nets.same_data, regions),
            of="same data",
        )
        with progress("pool"):
            first = jax.tree.map(lambda leaf: leaf[: settings.copies], independent)
            add_actual(of_pool, integral, ((pools - integral) ** 2).mean(axis=0))
            add_event_by_event(of_pool, key_test, first, truth, settings)
            forecast = forecast_of(key_test, ensemble, nets.same_data, truth, settings)
        views |= {POOL: of_pool, FORECAST: forecast}
    return Result(
        answers=(averaging, *tested.answers),
        settings=settings._asdict(),
        warnings=tuple(warnings),
        views=views
        | {
            "pooled": pooled_worth(averaging, generated.integral, generated.n_gen),
            "differential": tested.view,
            "truth": _truth(settings, integral, actual, tested.distance),
        },
        seed=seed,
    )


def said(result: Result) -> list[str]:
    """What the actual numbers say of the estimates, in words."""
    shells, truth = result.settings["shells"], result.views["truth"]
    averaging, exact, learned = (answer.estimate for answer in result.answers)
    assert isinstance(averaging, AveragingEstimate)
    # values are medians of chi^2; sums of squares want means
    variance = averaging.sigma_model.value[:shells] ** 2 + averaging.sigma_stat[:shells] ** 2
    degrees = result.settings["members"] - 1
    unbiased = variance * variance_median(degrees) / degrees - averaging.sigma_stat[:shells] ** 2
    actual = np.array(truth["actual_sigma"][:shells], float)
    ratio = np.sqrt(np.nansum(unbiased) / (actual**2).sum())
    low, high = exact.n_equiv.low[0], exact.n_equiv.high[0]
    limit = learned.n_equiv.high[0]
    n_equiv = truth["actual_amplification"][-1] * result.settings["n_train"]
    pooled = f"estimated over actual uncertainty of {_WHO[result.settings['kind']]}, pooled over "
    pooled += f"the {shells} shells"
    both = f"{number(low)} to {number(high)} with the exact ratio"
    return [
        f"averaging: {pooled}: {ratio:.2f}",
        f"differential: {both}, fewer than {number(limit)} with a learned one,",
        f"    actual n_equiv of that network {number(n_equiv)}",
        *(said_of_pool(result) if POOL in result.views else []),
    ]


def _exact(key: PRNGKeyArray, some: Ensemble, regions: rg.Regions) -> np.ndarray:
    """Integrals [member, region] without noise of sampling to speak of."""
    return member_integrals(key, some.generator, some.params, regions, _SOBOL, sobol=True).integral


def _regions(truth: ring.Ring, settings: DemoSettings) -> tuple[rg.Regions, np.ndarray]:
    """Shells and a tail, and the fraction of true events in each."""
    with jax.enable_x64(True):
        edges = np.asarray(ring.shell_edges(truth, settings.shells))
        low, high = [*edges[:-1], settings.tail], [*edges[1:], np.inf]
        inside = ring.shell_integral(truth, jnp.asarray(low), jnp.asarray(high))
        integral = np.asarray(inside)
    return rg.join(rg.shells(edges), rg.tail(rg.radius, settings.tail, "r")), integral


class _Tested(NamedTuple):
    """One network against a holdout: with the exact and with a learned ratio; its actual D_inf;
    what the plots show.
    """

    answers: tuple[Answer, Answer]
    distance: float
    view: dict[str, Any]


def _tested(
    key: PRNGKeyArray, fitted: Fitted, truth: ring.Ring, settings: DemoSettings, seed: int
) -> _Tested:
    key_gen, key_true, key_holdout = jax.random.split(key, 3)
    log_prob_true = in_blocks(jax.jit(partial(ring.log_prob, truth)))
    generated = fitted.sample(key_gen, settings.n_tested)
    holdout = np.asarray(ring.sample(key_holdout, truth, n=settings.n_holdout))
    true = np.asarray(ring.sample(key_true, truth, n=settings.n_tested))
    log_ratio = fitted.log_prob(true) - log_prob_true(true)
    distance = float(np.maximum(-np.expm1(log_ratio), 0).mean())

    exact = exact_ratio(fitted.log_prob, log_prob_true)
    t_gen, t_holdout = exact(generated), exact(holdout)
    n_train = settings.n_train
    by_exact = differential_amplification(t_gen, t_holdout, n_train=n_train)
    by_learned, _ = learned_amplification(
        learned_ratio(fitted.log_prob),
        Events(generated),
        Events(holdout),
        n_train=n_train,
        seed=seed,
    )
    answers = [
        Answer(
            estimate,
            ("all",),
            n_train=n_train,
            n_gen=settings.n_tested,
            n_holdout=settings.n_holdout,
            summary=f"{kind} likelihood ratio",
        )
        for kind, estimate in (("exact", by_exact), ("learned", by_learned))
    ]
    found = float(by_exact.distance.value[0])
    return _Tested(
        (answers[0], answers[1]), distance, _view(generated, holdout, t_gen, t_holdout, found)
    )


def _view(
    generated: np.ndarray,
    holdout: np.ndarray,
    t_gen: np.ndarray,
    t_holdout: np.ndarray,
    distance: float,
) -> dict[str, Any]:
    """What the plots show of the tested network."""
    grid = np.unique(t_holdout)
    of_gen, of_holdout = (tally(grid, t) for t in (t_gen, t_holdout))
    grown = []
    for n in np.geomspace(100, len(t_gen), 14).astype(int):
        counts = count_between(grid, t_gen[:n])
        grown.append((float(n), float(distance_between(counts, of_holdout.counts))))
    return {
        "functions": distribution_functions(grid, of_gen, of_holdout, threshold=0.0),
        "approach": approach(grown, len(holdout), distance),
        "map": ratio_map(Events(generated), Events(holdout), ("x0", "x1")),
    }


def _truth(
    settings: DemoSettings, integral: np.ndarray, actual: np.ndarray, distance: float
) -> dict[str, Any]:
    """The actual numbers, in the order of the estimates: averaging regions, then both ratios."""
    factor = integral * (1 - integral) / settings.n_train / actual
    tested = (K1 / distance) ** 2 / settings.n_train
    error = 100 / np.sqrt(2 * settings.independent)
    networks = f"{settings.copies} networks on each of {settings.independent} training sets"
    return {
        "integral": [*integral, None, None],
        "actual_sigma": [*np.sqrt(actual), None, None],
        "actual_distance": [*[None] * len(integral), distance, distance],
        "actual_amplification": [*factor, tested, tested],
        "from": f"of averaging from {networks}, so about {error:.0f} % on each sigma; "
        "of the tested network by integration of its density",
    }
