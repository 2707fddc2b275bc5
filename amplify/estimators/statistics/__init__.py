"""Two-sample statistics by the names that users give them; a file each, with its definition."""

from amplify.estimators.statistics.classifier import ACCURACY, AUC
from amplify.estimators.statistics.columns import MAX_KS, MEAN_KS, MEAN_WASSERSTEIN
from amplify.estimators.statistics.energy import ENERGY
from amplify.estimators.statistics.gaussian import GAUSSIAN_MMD
from amplify.estimators.statistics.histograms import CHI_SQUARED, SEPARATION
from amplify.estimators.statistics.moments import FRECHET
from amplify.estimators.statistics.neighbours import NEIGHBOURS
from amplify.estimators.statistics.nplm import NPLM
from amplify.estimators.statistics.prdc import COVERAGE, DENSITY, PRECISION, RECALL
from amplify.estimators.statistics.protocol import Pooled, Statistic, pooled
from amplify.estimators.statistics.quartic import QUARTIC_MMD
from amplify.estimators.statistics.slices import SLICED_KS, SLICED_WASSERSTEIN

STATISTICS: dict[str, Statistic] = {
    statistic.name: statistic
    for statistic in (
        MEAN_KS,
        MAX_KS,
        SLICED_KS,
        MEAN_WASSERSTEIN,
        SLICED_WASSERSTEIN,
        ENERGY,
        SEPARATION,
        CHI_SQUARED,
        FRECHET,
        QUARTIC_MMD,
        GAUSSIAN_MMD,
        NPLM,
        AUC,
        ACCURACY,
        PRECISION,
        RECALL,
        DENSITY,
        COVERAGE,
        NEIGHBOURS,
    )
}
"""Every statistic by its name, in the order of tables."""

__all__ = ["STATISTICS", "Pooled", "Statistic", "pooled"]
