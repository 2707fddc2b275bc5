"""Differential amplification of a generated sample against a holdout of true events: what one
trained generator is worth event by event. The call; what it does is `differential_answer`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from amplify import regions as rg
from amplify.analysis import samples
from amplify.analysis.differential_answer import answer
from amplify.analysis.questions import DifferentialQuestion
from amplify.external.observables import Function, observables_of
from amplify.progress import Progress, silent
from amplify.results.result import Result
from amplify.summaries import Learner, LogProb
from amplify.tables.opening import MAX_GB


def differential(
    generated: samples.Sample,
    holdout: samples.Sample,
    *,
    n_train: int,
    members: Literal["bootstrap", "same-data"] | None = None,
    regions: rg.Regions | Path | str | None = None,
    summary: str | Learner = "classifier",
    log_prob: LogProb | None = None,
    log_prob_column: str | None = None,
    train: samples.Sample | None = None,
    columns: Sequence[str] | None = None,
    bins: int | None = None,
    map: tuple[str, str] | None = None,
    condition: str | None = None,
    condition_bins: int | None = None,
    observables: str | Function | None = None,
    weight_column: str | None = None,
    fraction: float = 1 / 3,
    cross_fit: bool = False,
    approximate: float | None = None,
    drop_nonfinite: bool = False,
    follow_links: bool = False,
    max_gb: float = MAX_GB,
    level: float = 0.68,
    limit_level: float = 0.95,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """How many true events the events of one trained generator are worth, one by one (docs/method,
    Differential amplification); what the command `amplify differential` does.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> generated, holdout = rng.normal(0.3, 1, (50_000, 1)), rng.normal(0, 1, (4000, 1))
    >>> result = differential(generated, holdout, n_train=1000, summary="column:x0")
    >>> low, high = result["all"]["n_equiv_interval"]
    >>> low < 53.1 < high  # the truth
    True

    Args:
        generated: events, as many as there are: a file, several, a glob, or an array [event, dim].
        holdout: true events that were not used in training.
        n_train: training events of the generator.
        members: `generated` are the members of one training procedure, given as `amplify.averaging`
            takes them, and how they were trained: on bootstrap samples, or all on the same data.
            The estimates are then those of their pool, each event from one of them; the result has
            each member by itself too, and what members say without the holdout
            (`amplify.forecast_without_holdout`).
        regions: `Regions`, or the path of a YAML or JSON file of them; both samples are cut to
            each, and each has a learned ratio of its own. Default: everything, bulk and tails.
        summary: one number per event: "classifier" (learned likelihood ratio), "mlp" or "trees"
            (other learners), "column:NAME", "ratio:NAME" for a column that is log p_generated /
            p_true, or a learner of one's own (`amplify.summaries.Learner`).
        log_prob: the generator's log density, events [n, dim] -> [n]: the learned ratio sees more
            with it.
        log_prob_column: the same as a column of both samples.
        train: the training events: to refuse a holdout that shares events with them, and to count
            those in each region.
        columns: to learn from and to cut on, names or expressions; default all. Columns of arrays
            are x0, x1, ...
        bins: this many equiprobable bins of each column instead.
        map: two columns for the map of generated over true events; default the first two.
        condition: a column that was given to the generator: generated events are weighted to the
            holdout's distribution of it, the regions are its values or bins, and it is not tested
            itself (docs/method, Conditional generators). An observable is compared by its rank
            among generated events of the same condition.
        condition_bins: this many equiprobable bins of it; default its values, where they are 20 or
            fewer, else ten bins.
        observables: a function of a batch of events, or where it is, "FILE.py:function", that makes
            columns of their arrays: {name: numbers [event]} of {name: array [event, ...]}. They are
            looked at where no columns are named.
        weight_column: column, or expression, with event weights, in one or both samples.
        fraction: part of the holdout that teaches a learned ratio; the rest is tested.
        cross_fit: also test every holdout event, by a ratio that the others taught; takes minutes.
        approximate: test all of a holdout that memory cannot hold, in one pass: observables are
            known by values that stand for it, and distances are off by this at most; intervals
            allow for it.
        drop_nonfinite: leave out events with nan or infinite values, instead of refusing them.
        follow_links: also read files that HDF5 files point to; they are listed among the inputs.
        max_gb: numbers in GB that a file may claim which is a hundred times smaller itself.
        level: of the two-sided intervals.
        limit_level: of the limits, one-sided; a learned ratio claims nothing else.
        seed: of the split of the holdout and the learner.
        progress: `amplify.progress.progress_bar` shows how far it is.

    Raises:
        AmplifyError: one line with what was expected, what came and what to do.
    """
    question = DifferentialQuestion(
        n_train=n_train,
        members=members,
        summary=summary,
        log_prob=log_prob,
        train=train,
        columns=columns,
        log_prob_column=log_prob_column,
        weight_column=samples.weight_of(
            [*(samples.split_members(generated) if members else [generated]), holdout],
            weight_column,
        ),
        regions=regions if isinstance(regions, rg.Regions) or regions is None else Path(regions),
        bins=bins,
        map=map,
        condition=condition,
        condition_bins=condition_bins,
        observables=observables_of(observables),
        fraction=fraction,
        cross_fit=cross_fit,
        approximate=approximate,
        drop_nonfinite=drop_nonfinite,
        follow_links=follow_links,
        max_gb=max_gb,
        level=level,
        limit_level=limit_level,
        seed=seed,
    )
    return answer(question, generated, holdout, progress=progress)
