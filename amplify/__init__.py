"""How many true events is a generated sample worth? The public names, in the order of the pipeline.

Names and rooms are imported when they are first used, so that the command line answers without
loading JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amplify import (
        analysis,
        devices,
        engine,
        estimators,
        external,
        generators,
        nets,
        plots,
        regions,
        report,
        results,
        sampling,
        summaries,
        tables,
        training,
        truth,
        ttbar,
    )
    from amplify.analysis.averaging import averaging
    from amplify.analysis.compare import compare
    from amplify.analysis.differential import differential
    from amplify.analysis.forecast import Forecast, forecast_without_holdout
    from amplify.analysis.forecast_amplification import (
        AmplificationForecast,
        forecast_amplification,
    )
    from amplify.analysis.forecast_goals import Goals
    from amplify.errors import AmplifyError
    from amplify.estimators.averaging import averaging_amplification
    from amplify.estimators.differential import differential_amplification
    from amplify.estimators.equivalent import EquivalentEstimate, equivalent_sample_size
    from amplify.estimators.learned import learned_amplification
    from amplify.estimators.pool import pool_amplification
    from amplify.estimators.pooled import pooled_amplification
    from amplify.estimators.refit import refit_amplification
    from amplify.external.completion import completed
    from amplify.external.members import external_members
    from amplify.generators.affine_flow import AffineConfig, affine_flow
    from amplify.generators.autoregressive_flow import AutoregressiveConfig, autoregressive_flow
    from amplify.generators.coordinates import Coordinates, coordinates
    from amplify.generators.coupling_flow import FlowConfig, coupling_flow
    from amplify.generators.diffusion import diffusion
    from amplify.generators.fitted_gaussian import fitted_gaussian
    from amplify.generators.flow_matching import vector_flow
    from amplify.generators.gan import GANConfig, gan
    from amplify.generators.gaussian_mixture import GaussianMixtureConfig, gaussian_mixture
    from amplify.generators.kernel_density import kernel_density
    from amplify.generators.masked_autoregressive_flow import (
        MaskedFlowConfig,
        masked_autoregressive_flow,
    )
    from amplify.generators.mixture import mixture
    from amplify.generators.mixture_density import MixtureDensityConfig, mixture_density
    from amplify.generators.truncated import truncated
    from amplify.generators.vae import VAEConfig, vae
    from amplify.integrals import member_integrals, sample_integrals
    from amplify.regions import Regions, count, fractions
    from amplify.results.comparison import Comparison
    from amplify.results.result import Answer, Result
    from amplify.sampling import sample_members
    from amplify.summaries import exact_ratio
    from amplify.summaries.default import learned_ratio
    from amplify.training.ensemble import fit_ensemble
    from amplify.training.fit import FitConfig, Stopping, fit
    from amplify.training.nuts import NUTSConfig, fit_nuts
    from amplify.training.refit import fit_refits
    from amplify.training.sgmcmc import SGMCMCConfig, fit_sgmcmc
    from amplify.training.trained import Ensemble, Fitted, sample
    from amplify.training.variational import VariationalConfig, fit_variational
    from amplify.types import (
        AveragingEstimate,
        DifferentialEstimate,
        Events,
        Generator,
        Holdout,
        Samples,
        Status,
    )

    __version__: str

# where each public name lives, in the order of the pipeline
_HOMES = {
    "Generator": "types",
    "fitted_gaussian": "generators.fitted_gaussian",
    "Coordinates": "generators.coordinates",
    "coordinates": "generators.coordinates",
    "FlowConfig": "generators.coupling_flow",
    "coupling_flow": "generators.coupling_flow",
    "AutoregressiveConfig": "generators.autoregressive_flow",
    "autoregressive_flow": "generators.autoregressive_flow",
    "GaussianMixtureConfig": "generators.gaussian_mixture",
    "gaussian_mixture": "generators.gaussian_mixture",
    "kernel_density": "generators.kernel_density",
    "AffineConfig": "generators.affine_flow",
    "affine_flow": "generators.affine_flow",
    "MaskedFlowConfig": "generators.masked_autoregressive_flow",
    "masked_autoregressive_flow": "generators.masked_autoregressive_flow",
    "MixtureDensityConfig": "generators.mixture_density",
    "mixture_density": "generators.mixture_density",
    "diffusion": "generators.diffusion",
    "vector_flow": "generators.flow_matching",
    "GANConfig": "generators.gan",
    "gan": "generators.gan",
    "VAEConfig": "generators.vae",
    "vae": "generators.vae",
    "mixture": "generators.mixture",
    "truncated": "generators.truncated",
    "FitConfig": "training.fit",
    "Stopping": "training.fit",
    "fit": "training.fit",
    "fit_ensemble": "training.ensemble",
    "fit_refits": "training.refit",
    "VariationalConfig": "training.variational",
    "fit_variational": "training.variational",
    "SGMCMCConfig": "training.sgmcmc",
    "fit_sgmcmc": "training.sgmcmc",
    "NUTSConfig": "training.nuts",
    "fit_nuts": "training.nuts",
    "Fitted": "training.trained",
    "Ensemble": "training.trained",
    "completed": "external.completion",
    "external_members": "external.members",
    "Samples": "types",
    "sample": "training.trained",
    "sample_members": "sampling",
    "member_integrals": "integrals",
    "sample_integrals": "integrals",
    "Regions": "regions",
    "count": "regions",
    "fractions": "regions",
    "Events": "types",
    "Holdout": "types",
    "exact_ratio": "summaries",
    "learned_ratio": "summaries.default",
    "averaging_amplification": "estimators.averaging",
    "pooled_amplification": "estimators.pooled",
    "pool_amplification": "estimators.pool",
    "refit_amplification": "estimators.refit",
    "differential_amplification": "estimators.differential",
    "learned_amplification": "estimators.learned",
    "equivalent_sample_size": "estimators.equivalent",
    "EquivalentEstimate": "estimators.equivalent",
    "AveragingEstimate": "types",
    "DifferentialEstimate": "types",
    "Status": "types",
    "averaging": "analysis.averaging",
    "differential": "analysis.differential",
    "compare": "analysis.compare",
    "Comparison": "results.comparison",
    "forecast_without_holdout": "analysis.forecast",
    "Forecast": "analysis.forecast",
    "forecast_amplification": "analysis.forecast_amplification",
    "AmplificationForecast": "analysis.forecast_amplification",
    "Goals": "analysis.forecast_goals",
    "Answer": "results.result",
    "Result": "results.result",
    "AmplifyError": "errors",
}
_ROOMS = [
    "devices",
    "engine",
    "truth",
    "ttbar",
    "tables",
    "nets",
    "generators",
    "sampling",
    "training",
    "external",
    "regions",
    "integrals",
    "summaries",
    "estimators",
    "results",
    "analysis",
    "plots",
    "report",
]

__all__ = [
    "AffineConfig",
    "AmplificationForecast",
    "AmplifyError",
    "Answer",
    "AutoregressiveConfig",
    "AveragingEstimate",
    "Comparison",
    "Coordinates",
    "DifferentialEstimate",
    "Ensemble",
    "EquivalentEstimate",
    "Events",
    "FitConfig",
    "Fitted",
    "FlowConfig",
    "Forecast",
    "GANConfig",
    "GaussianMixtureConfig",
    "Generator",
    "Goals",
    "Holdout",
    "MaskedFlowConfig",
    "MixtureDensityConfig",
    "NUTSConfig",
    "Regions",
    "Result",
    "SGMCMCConfig",
    "Samples",
    "Status",
    "Stopping",
    "VAEConfig",
    "VariationalConfig",
    "__version__",
    "affine_flow",
    "analysis",
    "autoregressive_flow",
    "averaging",
    "averaging_amplification",
    "compare",
    "completed",
    "coordinates",
    "count",
    "coupling_flow",
    "devices",
    "differential",
    "differential_amplification",
    "diffusion",
    "engine",
    "equivalent_sample_size",
    "estimators",
    "exact_ratio",
    "external",
    "external_members",
    "fit",
    "fit_ensemble",
    "fit_nuts",
    "fit_refits",
    "fit_sgmcmc",
    "fit_variational",
    "fitted_gaussian",
    "forecast_amplification",
    "forecast_without_holdout",
    "fractions",
    "gan",
    "gaussian_mixture",
    "generators",
    "kernel_density",
    "learned_amplification",
    "learned_ratio",
    "masked_autoregressive_flow",
    "member_integrals",
    "mixture",
    "mixture_density",
    "nets",
    "plots",
    "pool_amplification",
    "pooled_amplification",
    "refit_amplification",
    "regions",
    "report",
    "results",
    "sample",
    "sample_integrals",
    "sample_members",
    "sampling",
    "summaries",
    "tables",
    "training",
    "truncated",
    "truth",
    "ttbar",
    "vae",
    "vector_flow",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"amplify.{_HOMES[name]}"), name)
    elif name in _ROOMS:
        value = import_module(f"amplify.{name}")
    elif name == "__version__":
        value = import_module("amplify.version").release()
    else:
        raise AttributeError(f"module 'amplify' has no attribute '{name}'")
    globals()[name] = value  # asked for once
    return value


def __dir__() -> list[str]:
    return __all__
