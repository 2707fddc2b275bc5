"""The same flows and networks in PyTorch, with the packages zuko, lgatr and lloca, on the same
card. Needs them, which the project itself does not.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from amplify.nets.frames import lab_references
from amplify.nets.lloca import LLoCaConfig
from amplify.truth import ring
from experiments.benchmarks.accelerator_fast import (
    IN_MV,
    IN_S,
    N_TRAIN,
    OUT_S,
    OUT_SCALARS,
    PARTICLES,
    SCALARS,
    TOKENS,
)
from experiments.benchmarks.accelerator_sizes import Sizes


def _torch() -> tuple[Any, str]:
    import torch

    return torch, "cuda" if torch.cuda.is_available() else "cpu"


def _seconds(run: Callable[[], Any], repeats: int) -> float:
    """Median wall time, with everything waited for."""
    torch, where = _torch()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        if where == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def _flow() -> tuple[Any, Any]:
    """The spline flow of zuko, and standardised data."""
    import zuko

    torch, where = _torch()
    x = np.asarray(ring.sample(jax.random.key(0), ring.Ring(), n=N_TRAIN))
    data = torch.as_tensor((x - x.mean(0)) / x.std(0), device=where)
    flow = zuko.flows.NSF(
        2, transforms=4, bins=8, passes=2, hidden_features=(32, 32), activation=torch.nn.SiLU
    )
    return flow.to(where), data


def _training(
    loss: Callable[[Any], Any], flow: Any, data: Any, batch: int
) -> Callable[[int], None]:
    torch, where = _torch()
    optimiser = torch.optim.AdamW(
        flow.parameters(), lr=2e-3, weight_decay=0.0, fused=where == "cuda"
    )

    def train(steps: int) -> None:
        for _ in range(steps):
            rows = torch.randint(len(data), (batch,), device=where)
            value = loss(data[rows])
            optimiser.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimiser.step()

    return train


def zuko_eager(sizes: Sizes) -> dict[str, Any]:
    """One flow, operation by operation: training, samples and densities in a second."""
    torch, where = _torch()
    flow, data = _flow()
    train = _training(lambda x: -flow().log_prob(x).mean(), flow, data, sizes.batch)
    train(3)
    steps = max(sizes.steps // 8, 2)
    found = {"member_steps_per_s": steps / _seconds(lambda: train(steps), 3)}
    points = torch.rand((sizes.sampled, 2), device=where)
    with torch.no_grad():
        for what, run in (
            ("samples/s", lambda: flow().sample((sizes.sampled,))),
            ("log_prob/s", lambda: flow().log_prob(points)),
        ):
            run()
            found[what] = sizes.sampled / _seconds(run, 3)
    return found


def zuko_compiled(sizes: Sizes) -> dict[str, Any]:
    """One flow with `torch.compile`: of its loss, and with CUDA graphs."""
    torch, _ = _torch()
    found: dict[str, Any] = {}
    kinds = {"default": {}, "reduce-overhead": {"mode": "reduce-overhead"}}
    for name, settings in kinds.items() if _torch()[1] == "cuda" else ():
        flow, data = _flow()
        started = time.perf_counter()
        loss = torch.compile(lambda x, flow=flow: -flow().log_prob(x).mean(), **settings)
        train = _training(loss, flow, data, sizes.batch)
        train(5)
        found[f"{name}, first steps, s"] = time.perf_counter() - started
        steps = max(sizes.steps // 4, 2)
        time_of_steps = _seconds(lambda train=train, steps=steps: train(steps), 3)
        found[f"{name}, member_steps_per_s"] = steps / time_of_steps
    return found


def zuko_members(sizes: Sizes) -> dict[str, Any]:
    """Members side by side by `torch.func.vmap`: loss, gradient and a step of gradient descent,
    which is less than AdamW; compiled too where that works.
    """
    torch, where = _torch()
    from torch.func import functional_call, grad_and_value, stack_module_state, vmap

    found: dict[str, Any] = {}
    flow, data = _flow()

    class Loss(torch.nn.Module):
        def __init__(self, flow: Any) -> None:
            super().__init__()
            self.flow = flow

        def forward(self, x: Any) -> Any:
            return -self.flow().log_prob(x).mean()

    def of_one(params: Any, buffers: Any, x: Any) -> Any:
        return functional_call(Loss(flow), (params, buffers), (x,))

    for count in sizes.members[1:]:
        modules = [Loss(_flow()[0]) for _ in range(min(count, 8))]
        params, buffers = stack_module_state(modules)
        repeat = -(-count // len(modules))

        def spread(x: Any, repeat: int = repeat, count: int = count) -> Any:
            return x.repeat(repeat, *[1] * (x.ndim - 1))[:count].detach()

        params = {name: spread(x) for name, x in params.items()}
        buffers = {name: spread(x) for name, x in buffers.items()}
        gradient = vmap(grad_and_value(of_one))

        def train(steps: int, params=params, buffers=buffers, f=gradient, count=count) -> None:
            for _ in range(steps):
                rows = torch.randint(len(data), (count, sizes.batch), device=where)
                gradients, _ = f(params, buffers, data[rows])
                params = {name: params[name] - 1e-3 * gradients[name] for name in params}

        train(2)
        steps = max(sizes.steps // 20, 2)
        rate = count * steps / _seconds(lambda train=train, steps=steps: train(steps), 3)
        found[f"{count} members, member_steps_per_s"] = rate
    return found


def _passes(
    net: Any, loss: Callable[[], Any], sizes: Sizes, found: dict[str, Any], name: str
) -> None:
    """Forward, and forward and backward, in microseconds per event."""
    torch, _ = _torch()
    parameters = [p for p in net.parameters() if p.requires_grad]

    def forward() -> None:
        with torch.no_grad():
            loss()

    def backward() -> None:
        torch.autograd.grad(loss(), parameters, allow_unused=True)

    for kind, run in (("forward", forward), ("forward and backward", backward)):
        started = time.perf_counter()
        run()
        run()
        found[f"{name}, {kind}, first calls, s"] = time.perf_counter() - started
        time_of_pass = _seconds(run, 4 * sizes.repeats)
        found[f"{name}, {kind}, us/event"] = 1e6 * time_of_pass / sizes.net_batch


def lgatr_torch(sizes: Sizes) -> dict[str, Any]:
    """L-GATr of the package lgatr 2.0 with dense or sparse products, and the faster of the two
    compiled.
    """
    torch, where = _torch()
    from lgatr import LGATr, MLPConfig, PrimitivesConfig, SelfAttentionConfig

    n = sizes.net_batch
    inputs = (
        torch.randn(n, TOKENS, IN_MV, 16, device=where),
        torch.randn(n, TOKENS, IN_S, device=where),
    )
    found: dict[str, Any] = {}
    kind = "forward and backward, us/event"

    def measure(compiled: bool, sparse: bool) -> float:
        name = f"{'compiled' if compiled else 'eager'}, {'sparse' if sparse else 'dense'}"
        net = LGATr(
            num_blocks=4,
            in_mv_channels=IN_MV,
            out_mv_channels=1,
            hidden_mv_channels=8,
            in_s_channels=IN_S,
            out_s_channels=OUT_S,
            hidden_s_channels=16,
            attention=SelfAttentionConfig(num_heads=4, attn_ratio=2),
            mlp=MLPConfig(mlp_ratio=2),
            primitives=PrimitivesConfig(sparse_gp=sparse, sparse_linear=sparse),
            norm_elementwise_affine=False,
            compile=compiled,
        ).to(where)

        def loss() -> Any:
            moved, plain = net(*inputs)
            return moved.square().mean() + plain.square().mean()

        try:
            _passes(net, loss, sizes, found, name)
        except Exception as error:  # of a compiler, whatever it is
            found[name] = f"{type(error).__name__}: {error}"[:200]
        return found.get(f"{name}, {kind}", float("inf"))

    sparse_is_faster = measure(False, True) < measure(False, False)
    if where == "cuda":
        measure(True, sparse_is_faster)
    return found


def lloca_torch(sizes: Sizes) -> dict[str, Any]:
    """LLoCa of the package lloca 2.0, as in benchmarks.lloca, eager and compiled."""
    torch, where = _torch()
    from lloca.backbone.transformer import Transformer as Backbone
    from lloca.equivectors import MLPVectors
    from lloca.framesnet import InverseFrames, LearnedPDFrames
    from lloca.framesnet.frames import Frames
    from lloca.reps import TensorReps, TensorRepsTransform

    n, config = sizes.net_batch, LLoCaConfig()
    three = torch.randn(n, PARTICLES, 3, device=where)
    p = torch.cat([torch.sqrt(0.01 + (three**2).sum(-1, keepdim=True)), three], -1)
    s = torch.randn(n, PARTICLES, SCALARS, device=where)
    lab = torch.tensor(np.asarray(lab_references()), device=where)[None].expand(n, -1, -1)
    c = config.transformer
    head = f"{c.width // c.heads - 4 * c.vectors}x0n+{c.vectors}x1n"
    predictor = LearnedPDFrames(
        lambda n_vectors: MLPVectors(
            n_vectors,
            num_scalars=SCALARS,
            hidden_channels=config.frames.hidden,
            num_layers_mlp=config.frames.layers,
        )
    ).to(where)
    net = Backbone(
        4 * (1 + lab.shape[1]) + SCALARS,
        head,
        4 + OUT_SCALARS,
        c.blocks,
        c.heads,
        mlp_factor=c.mlp_ratio,
    ).to(where)
    to_global, everything = (
        TensorRepsTransform(TensorReps("1x1n")).to(where),
        torch.cat([p, lab], 1),
    )
    predictor.equivectors.init_standardization(everything)
    all_scalars = torch.cat([s, s.new_zeros(n, lab.shape[1], SCALARS)], 1)

    def loss() -> Any:
        frames = Frames(predictor(everything, scalars=all_scalars).matrices[:, :PARTICLES])
        references = lab[:, None].expand(-1, PARTICLES, -1, -1)
        seen = torch.cat([p[:, :, None], references], 2) @ frames.matrices.transpose(-1, -2)
        parts = [torch.log(seen[..., :1]), seen[..., 1:] / seen[..., :1]]
        features = torch.cat(parts, -1).flatten(2)
        y = net(torch.cat([features, s], -1), frames, p_ref=p.sum(1))
        moved = to_global(y[..., :4].contiguous(), InverseFrames(frames))
        return (moved**2).mean() + (y[..., 4:] ** 2).mean()

    found: dict[str, Any] = {}
    both = torch.nn.ModuleList([predictor, net])
    runs = {"eager": loss} | ({"compiled": torch.compile(loss)} if where == "cuda" else {})
    for name, run in runs.items():
        try:
            _passes(both, run, sizes, found, name)
        except Exception as error:  # of a compiler, whatever it is
            found[name] = f"{type(error).__name__}: {error}"[:200]
    return found
