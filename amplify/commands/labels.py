"""Names and units of columns for the pictures: of --labels, or of the attributes of HDF5 files."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from amplify.errors import AmplifyError
from amplify.results.labels import Labels, read_labels, text_can_be_drawn
from amplify.results.result import Result


def labels_for(given: Path | None, sources: Sequence[str]) -> Labels:
    """The labels of a run, read before it starts.

    Args:
        given: the user's file of labels.
        sources: of events; the first ones may carry labels.

    Raises:
        InputError: what is wrong with the user's file.
    """
    if given is not None:
        return read_labels(given)
    found: Labels = {}
    for source in sources[:1]:
        with suppress(AmplifyError):  # whoever reads the events says what is wrong
            found |= _attributes(source)
    return {
        column: said for column, said in found.items() if text_can_be_drawn(said["label"] or "")
    }


def with_labels(result: Result, labels: Labels) -> Result:
    """The result with them, where there are any."""
    return result.with_labels(labels) if labels else result


def _attributes(source: str) -> Labels:
    from amplify.tables.attributes import attribute_labels

    if source == "-" or ".h" not in source.lower():
        return {}
    path, _, inside = source.rpartition(":")
    if not path or not Path(path).is_file():
        path, inside = source, ""
    return attribute_labels(Path(path), inside.strip("/")) if Path(path).is_file() else {}
