"""What results.json says of an input: which files, with their digests, and what was read of
them.
"""

import hashlib
from typing import Any

from amplify.tables.digests import digests_of
from amplify.tables.selection import Selection
from amplify.tables.table import Table


def describe(selection: Selection) -> dict[str, Any]:
    """Path, SHA-256, events, columns and whether there are weights; of several files, the digest of
    their digests, and the files.
    """
    sample = {
        "events": selection.n,
        "columns": selection.names,
        "weighted": selection.weight is not None,
    }
    if selection.drop:
        sample["dropped"] = selection.dropped
    return _source(selection.table) | _pointed_to(selection.table) | sample


def _pointed_to(table: Table) -> dict[str, Any]:
    """Files that were read because another one points to them, with their digests."""
    if not table.points_to:
        return {}
    digests = digests_of(table.points_to)
    others = zip(table.points_to, digests, strict=True)
    return {"points_to": [{"path": str(path), "sha256": digest} for path, digest in others]}


def _source(table: Table) -> dict[str, Any]:
    if table.digest is not None:
        return {"path": table.source, "sha256": table.digest()}
    digests = digests_of([part.path for part in table.parts])
    if len(digests) == 1:
        return {"path": table.source, "sha256": digests[0]}
    files = [
        {"path": part.source, "sha256": digest, "events": part.n}
        for part, digest in zip(table.parts, digests, strict=True)
    ]
    digest_of_digests = hashlib.sha256("".join(digests).encode()).hexdigest()
    return {"path": table.source, "sha256": digest_of_digests, "files": files}
