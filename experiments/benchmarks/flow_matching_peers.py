"""What flow matching is measured against: the same network in PyTorch, trained with minibatches in
memory and through a data loader, and adaptive solvers of torchdiffeq, zuko and diffrax.
"""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WORKERS = 10  # of the published data loader
RTOL, ATOL = 1e-5, 1e-6  # of zuko.utils.odeint, with which the published code samples


class TorchFlow(NamedTuple):
    """A velocity and its loss, a module called with events and conditions."""

    net: Any
    loss: Any


def published(folder: Path) -> TorchFlow:
    """Network and loss of the published code, from its checkout."""
    sys.path.insert(0, str(folder / "src" / "models"))
    from cond_CFM import CNF, FlowMatchingLoss  # pyright: ignore[reportMissingImports]

    net = CNF(2, conds=1, hidden_features=[32, 32, 32])
    return TorchFlow(net, FlowMatchingLoss(net))


def same_network(widths: tuple[int, ...]) -> TorchFlow:
    """The same sizes written anew, for whoever has no checkout."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = [9, *widths]
            layers = [
                layer
                for a, b in itertools.pairwise(sizes)
                for layer in (torch.nn.Linear(a, b), torch.nn.ELU())
            ]
            self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], 2))

        def forward(self, t: Any, x: Any, condition: Any) -> Any:
            phase = torch.pi * t[..., None] * torch.arange(1, 4)
            phase = phase.expand(*x.shape[:-1], -1)
            seen = torch.cat([phase.cos(), phase.sin(), x, condition], dim=-1)
            return self.layers(seen)

    net = Net()

    def loss(x: Any, condition: Any) -> Any:
        noise, t = torch.randn_like(x), torch.rand(len(x))
        points = (1 - t[:, None]) * x + t[:, None] * noise
        return (net(t, points, condition) - (noise - x)).square().mean()

    return TorchFlow(net, loss)


def take_params(net: Any, params: Any) -> None:
    """Gives `same_network` the params of ours."""
    import torch

    linears = [layer for layer in net.layers if isinstance(layer, torch.nn.Linear)]
    for k, layer in enumerate(linears):
        ours = params["params"][f"Dense_{k}"]
        layer.weight.data = torch.as_tensor(np.array(ours["kernel"]).T.copy())
        layer.bias.data = torch.as_tensor(np.array(ours["bias"]).copy())


def in_memory(
    flow: TorchFlow, x: np.ndarray, batch: int, radius: float, steps: int
) -> Callable[[], None]:
    """Training steps on minibatches of a tensor, one thread."""
    import torch

    events = torch.as_tensor(x.copy())
    conditions = torch.full((len(x), 1), radius)

    def batches() -> Iterator[Any]:
        for _ in range(steps):
            rows = torch.randint(len(events), (batch,))
            yield events[rows], conditions[rows]

    optimiser = torch.optim.Adam(flow.net.parameters(), lr=1e-3, betas=(0.99, 0.99))

    def train() -> None:
        torch.set_num_threads(1)
        _train(flow, batches(), optimiser)

    return train


def with_loader_apart(folder: Path | None, batch: int, radius: float) -> float:
    """`with_loader` in a process of its own, of the published network if its checkout is given."""
    command = [sys.executable, "-m", __name__, str(batch), str(radius), *filter(None, [folder])]
    ran = subprocess.run(command, check=True, capture_output=True)  # noqa: S603  this file
    return float(ran.stdout.split()[-1])


def with_loader(
    flow: TorchFlow, x: np.ndarray, batch: int, radius: float, epochs: int = 3
) -> float:
    """Steps a second with the published data loader: its workers take events one by one."""
    import torch

    arrays: Any = x, np.full((len(x), 1), radius, np.float32)
    data = torch.utils.data.StackDataset(*arrays)
    loader = torch.utils.data.DataLoader(
        data, batch, shuffle=True, num_workers=WORKERS, pin_memory=False, persistent_workers=True
    )
    optimiser = torch.optim.Adam(flow.net.parameters(), lr=1e-3, betas=(0.99, 0.99))
    _train(flow, loader, optimiser)  # starts the workers
    started = time.perf_counter()
    for _ in range(epochs):
        _train(flow, loader, optimiser)
    return epochs * len(loader) / (time.perf_counter() - started)


def _train(flow: TorchFlow, batches: Any, optimiser: Any) -> None:
    for x, condition in batches:
        optimiser.zero_grad()
        flow.loss(x, condition).backward()
        optimiser.step()


def samplers(
    params: Any, net: Any, latent: np.ndarray, x: np.ndarray, threads: int
) -> dict[str, Callable[[], np.ndarray]]:
    """Adaptive Dormand-Prince of order five with the velocity of these params, from the same
    latents: all events in one system, as the packages do it, with so many threads.
    """
    return _of_torch(params, latent, x, threads) | _of_diffrax(params, net, latent, x)


def _of_torch(params: Any, latent: np.ndarray, x: np.ndarray, threads: int) -> dict[str, Callable]:
    import torch
    from scipy.special import ndtri
    from torchdiffeq import odeint  # pyright: ignore[reportMissingImports]
    from zuko.utils import (  # pyright: ignore[reportMissingImports]
        odeint as odeint_of_zuko,
    )

    net = same_network((32, 32, 32)).net
    take_params(net, params)
    start = torch.as_tensor(ndtri(latent))
    mean, width = x.mean(0), x.std(0)
    condition = torch.full((len(start), 1), 4.0)

    def velocity(t: Any, u: Any) -> Any:
        return net(torch.as_tensor(t, dtype=u.dtype), u, condition)

    def carried(solve: Callable) -> np.ndarray:
        torch.set_num_threads(threads)
        with torch.no_grad():
            return mean + width * solve().numpy()

    times = torch.tensor([0.0, 1.0])
    by_torchdiffeq = partial(odeint, velocity, start, times, method="dopri5", rtol=RTOL, atol=ATOL)
    by_zuko = partial(odeint_of_zuko, velocity, start, 0.0, 1.0, phi=net.parameters())
    return {
        "torchdiffeq dopri5": lambda: carried(lambda: by_torchdiffeq()[-1]),
        "zuko dopri5 (as published)": lambda: carried(by_zuko),
    }


def _of_diffrax(params: Any, net: Any, latent: np.ndarray, x: np.ndarray) -> dict[str, Callable]:
    import diffrax  # pyright: ignore[reportMissingImports]
    import jax
    import jax.numpy as jnp
    from jax.scipy.special import ndtri

    mean, width = x.mean(0), x.std(0)

    @jax.jit
    def solved(params: Any, latent: jax.Array) -> jax.Array:
        term = diffrax.ODETerm(lambda t, u, args: net.apply(params, u, t[None]))
        control = diffrax.PIDController(rtol=RTOL, atol=ATOL)
        solution = diffrax.diffeqsolve(
            term, diffrax.Dopri5(), 0.0, 1.0, None, ndtri(latent), stepsize_controller=control
        )
        return mean + width * jnp.asarray(solution.ys)[-1]

    jax.block_until_ready(solved(params, latent))
    return {"diffrax dopri5": lambda: np.asarray(solved(params, latent))}


def _main(batch: str, radius: str, folder: str = "") -> None:
    angle, r = np.random.default_rng(0).normal([0.0, float(radius)], [9.0, 1.0], (10_000, 2)).T
    x = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1).astype(np.float32)
    flow = published(Path(folder)) if folder else same_network((32, 32, 32))
    print(with_loader(flow, x, int(batch), float(radius)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
