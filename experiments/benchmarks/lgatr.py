"""Speed of L-GATr, side by side with the PyTorch package lgatr: `python -m
experiments.benchmarks.lgatr`.

CPU time of one thread per event, single precision: a forward pass, and one with the gradient of all
parameters. Ours runs an effective batch in micro-batches (a scan that adds up gradients), as the
network is bound by memory traffic. PyTorch runs in whichever of its ways is the fastest: dense or
sparse geometric product, dense or sparse linear maps, several batch sizes. Needs torch and lgatr
2.0, which the project itself does not.
"""

import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments import study

IN_MV, IN_S, OUT_S = 3, 4, 4
CASES = {  # name: blocks, tokens
    "4 blocks, 8 tokens": (4, 8),
    "4 blocks, 6 tokens": (4, 6),
    "2 blocks, 6 tokens": (2, 6),
}


def main(
    batch: int = 256,
    micro_batches: tuple[int, ...] = (8, 16, 32, 64, 256),
    torch_batches: tuple[int, ...] = (16, 64, 256),
    published: bool = True,
    repetitions: int = 5,
    out: Path | None = None,
) -> None:
    """Prints milliseconds of CPU time per event, the best of `repetitions`, which alternate between
    the two; seconds to compile; and the ratio.

    Eight multivector and sixteen scalar channels, four heads.

    Args:
        batch: events of one gradient.
        micro_batches: events that run at once.
        torch_batches: the same for PyTorch.
        published: settings of arXiv:2411.00446; otherwise the defaults of lgatr 2.0.
        repetitions: of everything.
        out: JSON file for the numbers.
    """
    os.sched_setaffinity(
        0, {min(os.sched_getaffinity(0))}
    )  # before the first computation, which starts the threads
    one_thread = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {one_thread}"
    result: dict[str, Any] = {
        "command": "python -m experiments.benchmarks.lgatr",
        "published": published,
        "batch": batch,
    }
    blocks, tokens = CASES["4 blocks, 8 tokens"]
    runs = _lgatr(blocks, tokens, torch_batches, published)
    for name, (blocks, tokens) in CASES.items():
        sizes = micro_batches if name == "4 blocks, 8 tokens" else micro_batches[1:3]
        runs |= {
            f"amplify, {name}, {key}": run
            for key, run in _amplify(name, blocks, tokens, batch, sizes, published, result).items()
        }
    for _ in range(repetitions):
        for name, (run, events) in runs.items():
            started = time.process_time()
            run()
            result[name] = min(
                result.get(name, np.inf), (time.process_time() - started) / events * 1e3
            )
    for name in runs:
        print(f"{name:90s} {result[name]:8.3f} ms")
    for kind in ("forward and backward", "forward"):
        ours, theirs = (
            min(v for k, v in result.items() if k.startswith(start) and k.endswith(kind))
            for start in ("amplify, 4 blocks, 8", "lgatr")
        )
        result[f"ratio, {kind}"] = theirs / ours
        print(f"{kind}: {ours:.3f} ms against {theirs:.3f} ms, a ratio of {theirs / ours:.1f}")
    print({name: round(value, 1) for name, value in result.items() if name.startswith("compile")})
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


def _amplify(
    name: str,
    blocks: int,
    tokens: int,
    batch: int,
    micro_batches: tuple[int, ...],
    published: bool,
    result: dict[str, Any],
) -> dict[str, tuple[Callable[[], Any], int]]:
    import jax
    import jax.numpy as jnp

    from amplify.nets import lgatr

    settings = lgatr.published if published else lgatr.LGATrConfig
    net = lgatr.LGATr(
        settings(
            in_mv=IN_MV,
            out_mv=1,
            hidden_mv=8,
            in_s=IN_S,
            out_s=OUT_S,
            hidden_s=16,
            blocks=blocks,
            heads=4,
        )
    )
    keys = jax.random.split(jax.random.key(0), 3)
    multivectors, scalars = (
        jax.random.normal(keys[0], (batch, tokens, IN_MV, 16)),
        jax.random.normal(keys[1], (batch, tokens, IN_S)),
    )
    params = net.init(keys[2], multivectors, scalars)

    def loss(params: Any, multivectors: Any, scalars: Any) -> Any:
        moved, plain = net.apply(params, multivectors, scalars)
        return (moved**2).mean() + (plain**2).mean()

    @jax.jit
    def forward(params: Any, inputs: Any) -> Any:
        return jax.lax.map(lambda x: net.apply(params, *x), inputs)

    @jax.jit
    def gradient(params: Any, inputs: Any) -> Any:
        def add(total: Any, x: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, jax.grad(loss)(params, *x)), None

        return jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), inputs)[0]

    runs = {}
    for micro in micro_batches:
        inputs = tuple(
            x.reshape(batch // micro, micro, *x.shape[1:]) for x in (multivectors, scalars)
        )
        for kind, function in (("forward", forward), ("forward and backward", gradient)):
            started = time.process_time()
            compiled = function.lower(params, inputs).compile()
            result[f"compile, {name}, micro-batch {micro}, {kind}, s"] = (
                time.process_time() - started
            )
            jax.block_until_ready(compiled(params, inputs))
            runs[f"micro-batch {micro}, {kind}"] = (
                lambda compiled=compiled, inputs=inputs: jax.block_until_ready(
                    compiled(params, inputs)
                ),
                batch,
            )
    return runs


def _lgatr(
    blocks: int, tokens: int, batches: tuple[int, ...], published: bool
) -> dict[str, tuple[Callable[[], Any], int]]:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch
    from lgatr import LGATr, MLPConfig, PrimitivesConfig, SelfAttentionConfig

    torch.set_num_threads(1)

    def forward(net: LGATr, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
        with torch.no_grad():
            net(*inputs)

    def gradient(net: LGATr, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
        net.zero_grad()
        moved, plain = net(*inputs)
        (moved.square().mean() + plain.square().mean()).backward()

    runs = {}
    for sparse_product, sparse_linear in itertools.product((False, True), repeat=2):
        net = LGATr(
            num_blocks=blocks,
            in_mv_channels=IN_MV,
            out_mv_channels=1,
            hidden_mv_channels=8,
            in_s_channels=IN_S,
            out_s_channels=OUT_S,
            hidden_s_channels=16,
            attention=SelfAttentionConfig(num_heads=4, attn_ratio=2 if published else 1),
            mlp=MLPConfig(mlp_ratio=2 if published else 4),
            primitives=PrimitivesConfig(sparse_gp=sparse_product, sparse_linear=sparse_linear),
            norm_elementwise_affine=not published,
        )
        for events, (kind, function) in itertools.product(
            batches, (("forward", forward), ("forward and backward", gradient))
        ):
            inputs = torch.randn(events, tokens, IN_MV, 16), torch.randn(events, tokens, IN_S)
            function(net, inputs)
            sparse = f"sparse product {sparse_product}, sparse linear maps {sparse_linear}"
            name = f"lgatr, {sparse}, batch {events}, {kind}"
            runs[name] = (
                lambda net=net, inputs=inputs, function=function: function(net, inputs),
                events,
            )
    return runs


if __name__ == "__main__":
    study.run(main)
