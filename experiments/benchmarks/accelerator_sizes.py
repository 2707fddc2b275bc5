"""Sizes of the measurements on an accelerator, and how they are timed."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        events: of the comparisons.
        members: networks that train side by side, in turn.
        steps: minibatches of a timed training.
        batch: of the ensembles of small flows.
        sampled: events drawn on the device.
        net_batch: events of a pass of L-GATr, LLoCa and the transformer.
        copied: bytes of the large copy.
        side: of the large product.
        counted: generated values of the KS counts.
        chunk: of them, at once.
        grid: true values of the KS counts.
        repeats: of which the median counts.
        tests: seconds for the tests of the package; 0 for none.
        heavy_members: networks of the memory check,
        heavy_batch: and their minibatch.
    """

    events: int = 20_000
    members: tuple[int, ...] = (1, 8, 64, 512)
    steps: int = 400
    batch: int = 256
    sampled: int = 1 << 20
    net_batch: int = 2048
    copied: int = 1 << 31
    side: int = 8192
    counted: int = 1_000_000_000
    chunk: int = 1 << 24
    grid: int = 100_000
    repeats: int = 5
    tests: float = 170.0
    heavy_members: int = 512
    heavy_batch: int = 2048


SMOKE = Sizes(
    events=64,
    members=(1, 2),
    steps=2,
    batch=8,
    sampled=256,
    net_batch=4,
    copied=1 << 12,
    side=16,
    counted=4096,
    chunk=1024,
    grid=16,
    repeats=1,
    tests=0.0,
    heavy_members=2,
    heavy_batch=4,
)


def seconds(run: Callable[[], Any], repeats: int) -> float:
    """Median wall time of a computation, whose results are waited for."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Any, dict[str, float]]:
    """The compiled function, and what the compiler says of it: seconds to compile, operations,
    bytes that are moved, bytes of temporary arrays.
    """
    started = time.perf_counter()
    run = jax.jit(function).lower(*arguments).compile()
    said: dict[str, float] = {"compile_s": time.perf_counter() - started}
    cost, memory = run.cost_analysis() or {}, run.memory_analysis()
    said["flops"] = float(cost.get("flops", 0.0))
    said["bytes"] = float(cost.get("bytes accessed", 0.0))
    said["temporary_bytes"] = float(memory.temp_size_in_bytes) if memory else 0.0
    return run, said


def all_compiled(lowered: dict[str, Any]) -> dict[str, Any]:
    """Compiled functions by name, several at a time: cores are idle while one is compiled."""
    with ThreadPoolExecutor(8) as pool:
        under_way = {name: pool.submit(one.compile) for name, one in lowered.items()}
        return {name: one.result() for name, one in under_way.items()}
