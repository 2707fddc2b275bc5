"""What readers of Parquet and ROOT say alike."""

from amplify.errors import MissingExtraError

JAGGED = "jagged: a number of values that differs from event to event"


def missing(what: str, package: str) -> MissingExtraError:
    """The error of a format whose package is not installed."""
    return MissingExtraError(
        f"{what} files",
        f"the package {package}",
        "no such package",
        f"pip install {package}, the extra [io]",
    )
