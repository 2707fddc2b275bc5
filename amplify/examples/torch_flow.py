"""A generator in PyTorch: a flow of affine coupling layers (RealNVP, arXiv:1605.08803), trained in
seconds. Needs PyTorch.

    amplify averaging --generator amplify.examples.torch_flow:fit --train train.npy --members 8

It is a model for your own training, not a good flow: it smears hard edges and takes two columns or
more.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from amplify.errors import InputError, MissingExtraError

LAYERS, HIDDEN, STEPS, BATCH, RATE = 4, 64, 600, 256, 3e-3


def fit(
    x_train: np.ndarray, seed: int, weight: np.ndarray | None = None
) -> Callable[[int, int], np.ndarray]:
    """Maximum likelihood with Adam, the rate falling along a cosine, on standardised columns.

    Raises:
        MissingExtraError: PyTorch is not installed.
        InputError: fewer than two columns, so that no column could be coupled to another.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError(
            "the PyTorch flow", "PyTorch", "no such package", "pip install torch"
        ) from None
    dim = x_train.shape[1]
    if dim < 2:
        raise InputError(
            "the PyTorch flow", "2 or more columns", str(dim), "take amplify.examples.mixture:fit"
        )
    mean, width = x_train.mean(axis=0), x_train.std(axis=0)
    x = torch.as_tensor((x_train - mean) / width, dtype=torch.float32)
    relative = np.ones(len(x)) if weight is None else weight / weight.mean()
    weights = torch.as_tensor(relative, dtype=torch.float32)
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # layers start from the global stream, the caller's
        torch.manual_seed(seed)
        couplings = [_coupling(torch, dim, flip=bool(layer % 2)) for layer in range(LAYERS)]
    parameters = [p for net, _ in couplings for p in net.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)

    for _ in range(STEPS):
        batch = torch.randint(len(x), (BATCH,), generator=random)
        z, log_det = x[batch], torch.zeros(BATCH)
        for net, fixed in couplings:
            shift, log_scale = _affine(torch, net, fixed, z)
            z, log_det = (z - shift) * torch.exp(-log_scale), log_det - log_scale.sum(dim=1)
        loss = (weights[batch] * (z.square().sum(dim=1) / 2 - log_det)).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        schedule.step()

    @torch.no_grad()
    def sample(n: int, seed: int) -> np.ndarray:
        z = torch.randn((n, dim), generator=torch.Generator().manual_seed(seed))
        for net, fixed in reversed(couplings):
            shift, log_scale = _affine(torch, net, fixed, z)
            z = z * torch.exp(log_scale) + shift
        return mean + width * z.numpy()

    return sample


def _coupling(torch: Any, dim: int, *, flip: bool) -> tuple[Any, Any]:
    """A network, and which columns it leaves as they are: every second one, the others in the next
    layer.
    """
    net = torch.nn.Sequential(
        torch.nn.Linear(dim, HIDDEN),
        torch.nn.SiLU(),
        torch.nn.Linear(HIDDEN, HIDDEN),
        torch.nn.SiLU(),
        torch.nn.Linear(HIDDEN, 2 * dim),
    )
    torch.nn.init.zeros_(net[-1].weight)  # the flow starts as the identity
    torch.nn.init.zeros_(net[-1].bias)
    return net, (torch.arange(dim) % 2 == int(flip)).float()


def _affine(torch: Any, net: Any, fixed: Any, z: Any) -> tuple[Any, Any]:
    """Shift and log scale of the other columns, from the fixed ones; scales between e^-2 and e^2
    keep the inverse sound.
    """
    shift, log_scale = net(z * fixed).chunk(2, dim=1)
    return shift * (1 - fixed), 2 * torch.tanh(log_scale / 2) * (1 - fixed)
