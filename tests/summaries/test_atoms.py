"""Values that one sample alone has: perfectly separable is D = 1. Seeds are fixed; false-alarm
rates are those of a test that would draw new ones.
"""

import numpy as np
import pytest

from amplify.cli import main
from amplify.estimators.differential import differential_amplification
from amplify.estimators.learned import learned_amplification, on_generated
from amplify.summaries import TwoStepLearner
from amplify.summaries.atoms import CERTAIN, atoms_first, linear_moved, log_moved
from amplify.summaries.bumps import bumps
from amplify.summaries.default import learned_ratio
from amplify.summaries.least_squares import least_squares_ratio
from amplify.summaries.margins import margins
from amplify.summaries.mlp import MLPConfig, mlp_ratio
from amplify.summaries.polynomial import polynomials
from amplify.summaries.trees import boosted_trees
from amplify.training.fit import FitConfig
from amplify.types import Events
from tests.commands.samples import read

SMALL = MLPConfig(members=2, hidden=(16,), training=FitConfig(60, 256, 3e-3, 1.0))
LEARNERS = [
    learned_ratio(),
    pytest.param(boosted_trees(max_iter=30), marks=pytest.mark.slow),
    pytest.param(mlp_ratio(config=SMALL), marks=pytest.mark.slow),
]
every_learner = pytest.mark.parametrize("learner", LEARNERS, ids=["default", "trees", "mlp"])


def _constant(*values):
    return lambda rng, n: np.tile(np.array(values, float), (n, 1))


def _categories(*chances, mean=0.0):
    """A normal column and a category beside it."""
    return lambda rng, n: np.column_stack(
        [rng.normal(mean, 1, n), rng.choice(len(chances), n, p=chances)]
    )


def _offset(rng, n):
    return np.column_stack([rng.normal(size=n), np.full(n, 1e-3)])


def _seen(learner, generator, truth, n_true=2000):
    rng = np.random.default_rng(0)
    summary = learner(generator(rng, 20_000), truth(rng, n_true))
    gen, true = (summary(sample(rng, 20_000)) for sample in (generator, truth))
    assert np.isfinite(gen).all() and np.isfinite(true).all()
    return (true <= 0).mean() - (gen <= 0).mean()


@every_learner
@pytest.mark.parametrize(
    ("generator", "truth", "distance"),
    [
        (_constant(1, 1), _constant(0, 0), 1),
        (_constant(0, 0), _constant(1, 1), 1),
        (_categories(1), _offset, 1),
        (_categories(0.5, 0.5), _categories(1), 0.5),
        (_categories(1), _categories(0.5, 0.5), 0.5),
        (_categories(0.45, 0.45, 0.1), _categories(0.5, 0.5), 0.1),
        (_categories(0.5, 0.5), _categories(0.45, 0.45, 0.1), 0.1),
        (_categories(0.45, 0.45, 0.1, 0), _categories(0.45, 0.45, 0, 0.1), 0.1),
    ],
    ids=["constants", "reversed", "offset", "half", "half of true", "extra", "lacking", "both"],
)
def test_what_one_sample_alone_has_is_seen(learner, generator, truth, distance):
    """Exact D within three errors of 2e4 test events of both kinds (.015)."""
    assert _seen(learner, generator, truth) == pytest.approx(distance, abs=0.015)


def test_the_rest_is_learned_as_well():
    """A category of a tenth and N(.3, 1) against N(0, 1) in what is left: D = .1 + .9 x .119 for
    categories of both, within .02.
    """
    pair = _categories(0.45, 0.45, 0.1, 0, mean=0.3), _categories(0.45, 0.45, 0, 0.1)
    assert _seen(learned_ratio(), *pair) == pytest.approx(0.1 + 0.9 * 0.1192, abs=0.02)


def test_continuous_samples_are_untouched():
    """Bit by bit what the learner says without; two steps stay two steps."""
    rng = np.random.default_rng(1)
    x_gen, x_true = rng.normal(0.3, 1, (20_000, 2)), rng.normal(size=(1000, 2))
    x_gen[:, 1], x_true[:, 1] = np.float32(x_gen[:, 1]), np.float32(x_true[:, 1])
    families = polynomials(), bumps(), margins()
    bare = least_squares_ratio(families)
    summary = on_generated(atoms_first(bare, linear_moved), Events(x_gen))(Events(x_true))
    np.testing.assert_array_equal(summary(x_true), bare(x_gen, x_true)(x_true))
    prepared = []

    def counted(x, weight):
        prepared.append(len(x))
        return bare.on_generated(x, weight)

    learn_true = atoms_first(TwoStepLearner(counted)).on_generated(x_gen, None)
    for rows in (slice(0, 500), slice(500, None)):
        learn_true(x_true[rows], None)
    assert prepared == [20_000]


def test_counts_of_one_law_are_not_told_apart():
    """Poisson counts with rare values in 200 pairs of samples: a value is foreign by chance in at
    most 1e-3 of the columns of each sample, so more than 3 of 200 have probability 7e-4.
    """
    called = 0
    for seed in range(200):
        rng = np.random.default_rng([2, seed])
        x_gen, x_true = (rng.poisson(6, (n, 1)) * 1.0 for n in (3000, 300 + 10 * seed))
        summary = atoms_first(lambda *samples: lambda x: np.zeros(len(x)))(x_gen, x_true)
        called += bool(np.any(summary(np.arange(40.0)[:, None]) != 0))
    assert called <= 3


def test_rounding_is_no_difference():
    """The same categories, in one file in single precision."""
    rng = np.random.default_rng(3)
    values = np.array([0.1, 0.2, 1 / 3])
    x_gen, x_true = (values[rng.integers(0, 3, n)][:, None] for n in (5000, 2000))
    summary = atoms_first(lambda *samples: lambda x: np.zeros(len(x)))(np.float32(x_gen), x_true)
    assert not summary(values[:, None]).any()


def test_odds_are_those_of_weights():
    """Generated events with a value of their own weigh 3: they are 3/4 of the sample, so the others
    are four times as frequent in truth.
    """
    x_gen, x_true = np.repeat([0.0, 1.0], 500)[:, None], np.zeros((400, 1))
    flat = atoms_first(lambda *samples: lambda x: np.zeros(len(x)), log_moved)
    t = flat(x_gen, x_true, np.where(x_gen[:, 0] > 0, 3.0, 1.0))(np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(t, [-np.log(4), CERTAIN])
    np.testing.assert_allclose(linear_moved(np.array([0.0, 1.0]), 4), [-3, 1])


def test_few_events_that_are_left_are_not_learned_from():
    """All generated events are of their own, and all but ten true ones."""

    def refuses(*samples):
        raise AssertionError

    x_gen = np.ones((500, 1))
    x_true = np.concatenate([np.zeros(490), np.linspace(2, 3, 10)])[:, None]
    t = atoms_first(refuses)(x_gen, x_true)(np.array([[1.0], [0.0], [2.5]]))
    np.testing.assert_array_equal(t, [CERTAIN, -CERTAIN, -CERTAIN])


def test_the_claim_and_the_observable_of_constants():
    """n_equiv of D = 1 is K1^2 = .75: the claim lies just above it, and the observable is exact."""
    generated, holdout = Events(np.ones((5000, 1))), Events(np.zeros((3000, 1)))
    estimate, _ = learned_amplification(learned_ratio(), generated, holdout, n_train=10)
    assert estimate.distance.value[0] == 1 and 0.754 < estimate.n_equiv.high[0] < 0.82
    estimate = differential_amplification(
        generated.x[:, 0], holdout.x[:, 0], n_train=10, method="ks"
    )
    assert estimate.distance.value[0] == 1 and estimate.distance.high[0] == 1
    assert estimate.n_equiv.value[0] == pytest.approx(0.75469, abs=1e-4)


@pytest.mark.parametrize(
    "summary", [pytest.param("classifier", marks=pytest.mark.slow), "column:z"]
)
def test_the_command_on_a_constant_that_differs(tmp_path, summary):
    """A column that is 0 in the holdout, 1e-3 in half of the generated events: D = .5 within four
    errors.
    """
    rng = np.random.default_rng(4)
    for name, n, share in (("gen", 20_000, 0.5), ("holdout", 4000, 0.0)):
        columns = {"a": rng.normal(size=n), "z": 1e-3 * (rng.random(n) < share)}
        np.savez(tmp_path / f"{name}.npz", **columns)
    call = f"differential --generated {tmp_path}/gen.npz --holdout {tmp_path}/holdout.npz"
    main([*call.split(), *f"--n-train 1000 --summary {summary} --out {tmp_path}/run".split()])
    distance = read(tmp_path / "run")["estimates"][0]["distance"]
    assert distance == pytest.approx(0.5, abs=0.02)
