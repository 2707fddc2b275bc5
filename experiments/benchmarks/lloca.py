"""Speed of LLoCa and of the transformer, side by side with the PyTorch package lloca: `python -m
experiments.benchmarks.lloca`.

Six particles, width 64, four blocks, batch 256, single precision, one thread: CPU time per event of
a forward pass and of one with the gradient of all parameters. Needs torch, torch_geometric, lgatr
and lloca 2.0, which the project itself does not. CPU time, since one thread is what is measured; an
idle machine still gives the better numbers.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from amplify.nets.frames import lab_references
from amplify.nets.lloca import LLoCa, LLoCaConfig
from amplify.nets.transformer import Transformer
from experiments import study

SCALARS, OUT_SCALARS = 14, 2


def main(batch: int = 256, passes: int = 20, repetitions: int = 5, out: Path | None = None) -> None:
    """Prints microseconds of CPU time per event, the best of `repetitions`, which alternate between
    the two; and seconds of CPU time to compile.

    Args:
        batch: events.
        passes: of the network in each timing.
        repetitions: of everything.
        out: JSON file for the numbers.
    """
    os.sched_setaffinity(
        0, {min(os.sched_getaffinity(0))}
    )  # before the first computation, which starts the threads
    rng = np.random.default_rng(0)
    p = rng.normal(size=(batch, 6, 3))
    momenta = np.concatenate([np.sqrt(0.01 + (p**2).sum(-1, keepdims=True)), p], -1).astype(
        np.float32
    )
    scalars = rng.normal(size=(batch, 6, SCALARS)).astype(np.float32)
    result: dict[str, Any] = {"command": "python -m experiments.benchmarks.lloca", "batch": batch}
    ours, theirs = _amplify(momenta, scalars, passes, result), _lloca(momenta, scalars, passes)
    for _ in range(repetitions):
        for name, run in (ours | theirs).items():
            started = time.process_time()
            run()
            result[name] = min(
                result.get(name, np.inf), (time.process_time() - started) / passes / batch * 1e6
            )
            print(f"{name:50s} {result[name]:12.1f}", flush=True)
    for kind in ("forward", "forward and backward"):
        result[f"ratio, {kind}"] = (
            result[f"lloca, {kind}, us/event"] / result[f"amplify LLoCa, {kind}, us/event"]
        )
    print(
        {
            name: round(value, 2)
            for name, value in result.items()
            if name.startswith(("compile", "ratio"))
        }
    )
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


def _amplify(
    momenta: np.ndarray, scalars: np.ndarray, passes: int, result: dict[str, Any]
) -> dict[str, Callable[[], Any]]:
    runs: dict[str, Callable[[], Any]] = {}
    p, s = jnp.asarray(momenta), jnp.asarray(scalars)
    networks = {
        "amplify LLoCa": (LLoCa(LLoCaConfig(out_scalars=OUT_SCALARS)), (p, s, lab_references())),
        "amplify transformer": (Transformer(4 + OUT_SCALARS), (jnp.concatenate([p, s], -1),)),
    }
    for name, (net, inputs) in networks.items():
        params = jax.jit(net.init)(jax.random.key(0), *inputs)

        def loss(params: Any, *inputs: jax.Array, net: Any = net) -> jax.Array:
            return sum((x**2).mean() for x in jax.tree.leaves(net.apply(params, *inputs)))

        # each pass with other parameters: nothing can be computed once for all
        def forward(params: Any, inputs: Any, loss: Callable = loss) -> Any:
            return jax.lax.scan(
                lambda p, _: (
                    jax.tree.map(lambda x, c=loss(p, *inputs): x * (1 - 1e-6 * c), p),
                    None,
                ),
                params,
                length=passes,
            )[0]

        def backward(params: Any, inputs: Any, loss: Callable = loss) -> Any:
            return jax.lax.scan(
                lambda p, _: (
                    jax.tree.map(lambda x, g: x - 1e-3 * g, p, jax.grad(loss)(p, *inputs)),
                    None,
                ),
                params,
                length=passes,
            )[0]

        for kind, run in (("forward", forward), ("forward and backward", backward)):
            started = time.process_time()
            compiled = jax.jit(run).lower(params, inputs).compile()
            result[f"compile {name}, {kind}, s"] = time.process_time() - started
            runs[f"{name}, {kind}, us/event"] = lambda run=compiled, params=params, inputs=inputs: (
                jax.block_until_ready(run(params, inputs))
            )
    return runs


def _lloca(momenta: np.ndarray, scalars: np.ndarray, passes: int) -> dict[str, Callable[[], Any]]:
    """The same network in the package: same sizes of both its parts, references as further
    particles, their components in the frames as features.
    """
    import torch
    from lloca.backbone.transformer import Transformer as Backbone
    from lloca.equivectors import MLPVectors
    from lloca.framesnet import InverseFrames, LearnedPDFrames
    from lloca.framesnet.frames import Frames
    from lloca.reps import TensorReps, TensorRepsTransform

    torch.set_num_threads(1)
    config = LLoCaConfig()
    p, s, references = (
        torch.tensor(momenta),
        torch.tensor(scalars),
        torch.tensor(np.asarray(lab_references()))[None].expand(len(momenta), -1, -1),
    )
    predictor = LearnedPDFrames(
        lambda n_vectors: MLPVectors(
            n_vectors,
            num_scalars=SCALARS,
            hidden_channels=config.frames.hidden,
            num_layers_mlp=config.frames.layers,
        )
    )
    c = config.transformer
    head = f"{c.width // c.heads - 4 * c.vectors}x0n+{c.vectors}x1n"
    net = Backbone(
        4 * (1 + references.shape[1]) + SCALARS,
        head,
        4 + OUT_SCALARS,
        c.blocks,
        c.heads,
        mlp_factor=c.mlp_ratio,
    )
    to_global, everything = TensorRepsTransform(TensorReps("1x1n")), torch.cat([p, references], 1)
    predictor.equivectors.init_standardization(everything)
    all_scalars = torch.cat([s, s.new_zeros(len(s), references.shape[1], SCALARS)], 1)
    parameters = [*predictor.parameters(), *net.parameters()]

    def apply() -> torch.Tensor:
        frames = Frames(predictor(everything, scalars=all_scalars).matrices[:, : p.shape[1]])
        seen = torch.cat(
            [p[:, :, None], references[:, None].expand(-1, p.shape[1], -1, -1)], 2
        ) @ frames.matrices.transpose(-1, -2)
        features = torch.cat([torch.log(seen[..., :1]), seen[..., 1:] / seen[..., :1]], -1).flatten(
            2
        )
        y = net(torch.cat([features, s], -1), frames, p_ref=p.sum(1))
        return (to_global(y[..., :4].contiguous(), InverseFrames(frames)) ** 2).mean() + (
            y[..., 4:] ** 2
        ).mean()

    def forward() -> None:
        with torch.no_grad():
            for _ in range(passes):
                apply()

    def backward() -> None:
        for _ in range(passes):
            torch.autograd.grad(apply(), parameters)

    return {"lloca, forward, us/event": forward, "lloca, forward and backward, us/event": backward}


if __name__ == "__main__":
    study.run(main)
