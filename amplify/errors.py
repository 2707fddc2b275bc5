"""What can go wrong, said in one line: what was expected, what came, what to do.

Commands print the line as `error: <text>` and leave with exit code 2; Python users catch
`AmplifyError`.
"""


class AmplifyError(Exception):
    """Something outside the library's control is wrong: an input, a setting, a training.

    Args:
        what: the thing that is wrong, e.g. "members".
        expected: what it should have been.
        got: what it was.
        fix: what to do about it.
    """

    def __init__(self, what: str, expected: str, got: str, fix: str) -> None:
        # the arguments as they came: an error of a worker process is pickled
        super().__init__(what, expected, got, fix)

    def __str__(self) -> str:
        what, expected, got, fix = self.args
        return f"{what}: expected {expected}, got {got}; {fix}"


class InputError(AmplifyError):
    """A file, a column, an array or a setting is not what it should be."""


class NeedsMembersError(AmplifyError):
    """A spread between members was asked of fewer than two."""


class EmptyRegionError(AmplifyError):
    """No member has a single event in a region."""


class MissingExtraError(AmplifyError):
    """An optional dependency is not installed."""


class DivergedError(AmplifyError):
    """A training reached a loss that is not finite. `ensemble` holds every member, the finite ones
    included.
    """

    def __init__(
        self, what: str, expected: str, got: str, fix: str, ensemble: object = None
    ) -> None:
        super().__init__(what, expected, got, fix)
        self.ensemble = ensemble
