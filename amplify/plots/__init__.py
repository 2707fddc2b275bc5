"""Pictures of a result: one function a picture, matplotlib axes in and out.

Every function takes a `Result`, or the dict of its results.json, and draws into the axes that it is
given. Without axes it makes a figure of its own in the field's style (`style`); where pyplot is in
use, as in a notebook, that figure is pyplot's and shows itself. The report page is drawn by the
same functions. Matplotlib is imported when the first picture is drawn, not before.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amplify.plots.comparison import alarms, box, by_statistic
    from amplify.plots.curves import efficiency, resolution, sigma_curves
    from amplify.plots.looks import style
    from amplify.plots.maps import amplification_map, ratio_map
    from amplify.plots.marginals import panels
    from amplify.plots.regions import by_region
    from amplify.plots.summaries import approach, distribution_functions

_HOMES = {
    "by_region": "regions",
    "sigma_curves": "curves",
    "resolution": "curves",
    "efficiency": "curves",
    "amplification_map": "maps",
    "ratio_map": "maps",
    "panels": "marginals",
    "distribution_functions": "summaries",
    "approach": "summaries",
    "by_statistic": "comparison",
    "alarms": "comparison",
    "box": "comparison",
    "style": "looks",
}
__all__ = [
    "alarms",
    "amplification_map",
    "approach",
    "box",
    "by_region",
    "by_statistic",
    "distribution_functions",
    "efficiency",
    "panels",
    "ratio_map",
    "resolution",
    "sigma_curves",
    "style",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'amplify.plots' has no attribute '{name}'")
    return getattr(import_module(f"amplify.plots.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
