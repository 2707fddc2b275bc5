"""What figures 8 to 10 share: the scan of n_train of the recorded study."""

from typing import Any

from paper_figures.recorded import study


def dims() -> list[int]:
    """Dimensions of the rings; one in a short rerun."""
    return sorted({c["dim"] for c in study("differential").values() if "dim" in c})


def cases(dim: int) -> list[dict[str, Any]]:
    """The cases of a dimension by n_train."""
    return sorted(
        (c for name, c in study("differential").items() if name.startswith(f"d{dim}-")),
        key=lambda c: c["n_train"],
    )
