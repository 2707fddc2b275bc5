"""Cross-fitting: every holdout event is tested by a ratio that the other folds taught."""

from amplify.analysis import tallies
from amplify.analysis.two_samples import TwoSamples
from amplify.estimators.learned import GEN_PER_TRUE, cross_fit
from amplify.progress import Progress
from amplify.results.result import Answer
from amplify.summaries import Learner
from amplify.types import Events


def answer(
    learner: Learner,
    two: TwoSamples,
    holdout: Events,
    *,
    label: str,
    n_train: int,
    level: float,
    limit_level: float,
    seed: int,
    most: int,
    progress: Progress,
) -> Answer:
    """The answer for everything, from 200 null experiments with the whole pipeline.

    Args:
        learner: of the summary.
        two: both samples.
        holdout: the true events in memory.
        label: of the summary.
        n_train: training events of the generator.
        level: of two-sided intervals, of which there are none here.
        limit_level: one-sided.
        seed: of folds and null experiments.
        most: generated events kept in memory.
        progress: of the null experiments.
    """
    n = two.generated.table.n
    size = min(n, max(GEN_PER_TRUE * len(holdout.x), 20_000), most)
    rows, _ = tallies.spread_blocks(n, size)
    generated = tallies.load_rows(two.generated, rows)
    looked_at, true = (Events(e.x[:, two.learned], e.weight) for e in (generated, holdout))
    with progress("cross-fit: null experiments") as bar:
        fitted = cross_fit(learner, looked_at, true, seed=seed, progress=bar.count)
    n_gen, n_holdout = len(looked_at.x), len(true.x)
    return Answer(
        fitted.estimate(n_train=n_train, n_gen=n_gen, n_holdout=n_holdout, limit_level=limit_level),
        ("all",),
        n_train=n_train,
        n_gen=n_gen,
        n_holdout=n_holdout,
        level=level,
        limit_level=limit_level,
        summary=f"{label}, cross-fit",
    )
