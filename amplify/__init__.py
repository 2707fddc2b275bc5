"""How many true events is a generated sample worth? The public names, in the order of the pipeline.

Names are imported when they are first used, so that the command line answers without loading JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amplify.errors import AmplifyError
    from amplify.estimators.averaging import averaging_amplification, pooled_amplification
    from amplify.estimators.differential import differential_amplification
    from amplify.estimators.learned import learned_amplification
    from amplify.external.members import external_members
    from amplify.generators.coupling_flow import FlowConfig, coordinates, coupling_flow
    from amplify.generators.fitted_gaussian import fitted_gaussian
    from amplify.regions import Regions, count, fractions
    from amplify.sampling import member_integrals, sample_integrals, sample_members
    from amplify.summaries import exact_ratio
    from amplify.summaries.default import learned_ratio
    from amplify.training.ensemble import fit_ensemble
    from amplify.training.fit import FitConfig, fit
    from amplify.types import (
        AveragingEstimate,
        DifferentialEstimate,
        Events,
        Generator,
        Holdout,
        Samples,
        Status,
    )

_HOMES = {
    "Generator": "types",
    "fitted_gaussian": "generators.fitted_gaussian",
    "coordinates": "generators.coupling_flow",
    "FlowConfig": "generators.coupling_flow",
    "coupling_flow": "generators.coupling_flow",
    "FitConfig": "members.fit",
    "fit": "members.fit",
    "fit_ensemble": "members.ensemble",
    "external_members": "members.external",
    "Samples": "types",
    "sample_members": "sampling",
    "member_integrals": "sampling",
    "sample_integrals": "sampling",
    "Regions": "regions",
    "count": "regions",
    "fractions": "regions",
    "Holdout": "types",
    "averaging_amplification": "estimators.averaging",
    "pooled_amplification": "estimators.averaging",
    "AveragingEstimate": "types",
    "Events": "types",
    "exact_ratio": "summaries",
    "learned_ratio": "summaries.default",
    "differential_amplification": "estimators.differential",
    "learned_amplification": "estimators.learned",
    "DifferentialEstimate": "types",
    "Status": "types",
    "AmplifyError": "errors",
}
__all__ = [
    "AmplifyError",
    "AveragingEstimate",
    "DifferentialEstimate",
    "Events",
    "FitConfig",
    "FlowConfig",
    "Generator",
    "Holdout",
    "Regions",
    "Samples",
    "Status",
    "averaging_amplification",
    "coordinates",
    "count",
    "coupling_flow",
    "differential_amplification",
    "exact_ratio",
    "external_members",
    "fit",
    "fit_ensemble",
    "fitted_gaussian",
    "fractions",
    "learned_amplification",
    "learned_ratio",
    "member_integrals",
    "pooled_amplification",
    "sample_integrals",
    "sample_members",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'amplify' has no attribute '{name}'")
    return getattr(import_module(f"amplify.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
