"""What the page shows beside a differential estimate: curves, a map, and what the learner makes of
known distortions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from amplify.analysis import tallies
from amplify.analysis.curves import approach, distribution_functions, ratio_map
from amplify.analysis.differential_size import repetitions
from amplify.analysis.summary import ChosenSummary
from amplify.estimators.sensitivity import sensitivities
from amplify.progress import Progress
from amplify.summaries import Learner
from amplify.types import DifferentialEstimate, Events


def curves_of(
    summary: ChosenSummary,
    everything: tallies.RegionSummary,
    streamed: tallies.Streamed,
    test: Events,
    places: tuple[int, int] | None,
    names: Sequence[str],
    estimate: DifferentialEstimate,
) -> dict[str, Any]:
    """What the plots show of the first region, everything."""
    n_holdout = float(everything.holdout.counts.n_effective)
    threshold = everything.threshold if summary.method == "threshold" else None
    total, distance = streamed.totals[0], float(estimate.distance.value[0])
    curves = {
        "functions": distribution_functions(everything.grid, total, everything.holdout, threshold),
        "approach": approach(streamed.grown, n_holdout, distance),
    }
    if places is None:
        return curves
    columns = list(places)
    generated = Events(streamed.looked_at.x[:, columns], streamed.looked_at.weight)
    true = Events(test.x[:, columns], test.weight)
    return curves | {"map": ratio_map(generated, true, [names[i] for i in places])}


def sensitivity_table(
    learner: Learner,
    first: Events,
    n_teach: int,
    estimate: DifferentialEstimate,
    seed: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """The table beside a learned result, for distortions as large as the one that was found, or as
    one the holdout could just show.
    """
    visible = 1 / np.sqrt(float(estimate.n_holdout[0]))
    distance = min(max(float(estimate.distance.value[0]), visible), 0.3)
    times = repetitions(first.x.shape[1])
    with progress("sensitivity to known distortions"):
        rows = sensitivities(
            learner, first, n_teach=n_teach, distance=distance, repetitions=times, seed=seed
        )
    return [row._asdict() for row in rows]
