"""Why JAX finds no accelerator, from what stands on the machine; without starting JAX."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ASKED = "JAX_PLATFORMS"
_NO_PLUGIN = "is here, but JAX has no plugin for it: pip install"


class Kind(NamedTuple):
    """A kind of accelerators.

    Attributes:
        name: for people.
        signs: files that a driver makes.
        plugins: packages, one of which JAX needs.
        extra: of JAX, that brings it.
    """

    name: str
    signs: tuple[str, ...]
    plugins: tuple[str, ...]
    extra: str


KINDS = (
    Kind(
        "an NVIDIA card",
        ("/dev/nvidia0", "/dev/nvidiactl", "/proc/driver/nvidia/version"),
        ("jax_cuda13_plugin", "jax_cuda12_plugin"),
        "jax[cuda13]",
    ),
    Kind("an AMD card", ("/dev/kfd",), ("jax_rocm7_plugin", "jax_rocm60_plugin"), "jax[rocm]"),
    Kind("a TPU", ("/dev/accel0", "/dev/vfio/0"), ("libtpu",), "jax[tpu]"),
)


def why_none(kinds: tuple[Kind, ...] = KINDS) -> str:
    """A sentence that says what is missing, or what keeps JAX from it."""
    asked = os.environ.get(ASKED, "")
    if asked and set(asked.split(",")) <= {"cpu"}:
        return f"none was looked for: {ASKED}={asked} asks for the CPU alone"
    for kind in kinds:
        here = any(Path(sign).exists() for sign in kind.signs)
        plugin = next((name for name in kind.plugins if find_spec(name)), None)
        if here and plugin is None:
            return f"none: {kind.name} {_NO_PLUGIN} '{kind.extra}'"
        if here:
            fix = "see what nvidia-smi and CUDA_VISIBLE_DEVICES say, and whether versions match"
            fix = fix if "NVIDIA" in kind.name else "see what its driver says"
            return f"none: {kind.name} and the plugin {plugin} are here, but do not start; {fix}"
        if plugin is not None:
            return f"none: JAX has the plugin {plugin}, but the driver of {kind.name} is not here"
    extras = " or ".join(f"'{kind.extra}'" for kind in kinds[:1])
    return f"none: no driver of a card is here (and JAX has no plugin for one: {extras})"
