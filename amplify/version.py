"""The version of amplify that is installed."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Its number, or "not installed" where the package runs from its source."""
    try:
        return version("amplify-hep")
    except PackageNotFoundError:
        return "not installed"
