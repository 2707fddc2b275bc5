"""What a picture is drawn from: a Result, or the dict of its results.json."""

from collections.abc import Mapping
from typing import Any

from amplify.errors import InputError
from amplify.results.result import Result

Source = Result | Mapping[str, Any]


def results_of(result: Source) -> Mapping[str, Any]:
    """The dict of results.json."""
    return result.to_dict() if isinstance(result, Result) else result


def view_of(result: Source, *keys: str) -> Any:
    """What results.json holds under a key, or under a key of that.

    Raises:
        InputError: there is nothing; whole files show more than tables of integrals do.
    """
    held: Any = results_of(result)
    for key in keys:
        held = held.get(key)
        if not held:
            what, path = f"a result with {key!r}", "/".join(keys)
            fix = "ask again from the events themselves: this picture needs more than estimates"
            raise InputError("result", what, f"one without {path!r}", fix)
    return held
