"""Reference arrays for tests/nets/test_lloca.py from the PyTorch package lloca 2.0.0:
`OMP_NUM_THREADS=1 python tests/nets/references/make_lloca.py`.

Needs torch, torch_geometric, lgatr and lloca (the tests do not). Weights are rounded to single
precision for small files, everything is computed in double.
"""

from pathlib import Path

import numpy as np
import torch
from lloca.backbone.transformer import Transformer
from lloca.equivectors import MLPVectors
from lloca.framesnet import Frames, InverseFrames, LearnedPDFrames
from lloca.reps import TensorReps, TensorRepsTransform

torch.set_default_dtype(torch.float64)
LAB = np.array([[1.0, 0, 0, 0], [1, 0, 0, 1], [1, 0, 0, -1]])

# name: particles, scalars, references, hidden and layers of the frames' network, head, heads,
# blocks, mlp ratio, preserve_variance, out scalars and vectors
CASES = {
    "default": (6, 5, 3, 16, 2, "8x0n+1x1n", 2, 2, 4, True, 2, 1),
    "vectors": (4, 1, 1, 8, 1, "2x0n+3x1n", 3, 1, 2, False, 0, 2),
    "symmetric": (5, 0, 0, 12, 3, "4x0n+2x1n", 1, 3, 1, True, 3, 2),
    "scalars": (6, 2, 3, 8, 2, "6x0n", 4, 2, 2, False, 4, 0),
}


def main() -> None:
    """Writes one file per case beside this script."""
    torch.manual_seed(7)
    rng = np.random.default_rng(7)
    for name, case in CASES.items():
        n, n_scalars, n_references, hidden, layers, *of_transformer = case
        head, heads, blocks, mlp, preserve_variance, scalars_out, vectors_out = of_transformer
        momenta = rng.normal(size=(4, n, 3))
        mass = rng.uniform(0.1, 1, (4, n, 1))
        energy = np.sqrt(mass**2 + (momenta**2).sum(-1, keepdims=True))
        momenta = np.concatenate([energy, momenta], -1)
        scalars, references = rng.normal(size=(4, n, n_scalars)), LAB[:n_references]

        frames_net = LearnedPDFrames(
            lambda n_vectors, s=n_scalars, h=hidden, k=layers: MLPVectors(
                n_vectors, num_scalars=s, hidden_channels=h, num_layers_mlp=k
            )
        )
        net = Transformer(
            4 * (1 + n_references) + n_scalars,
            head,
            4 * vectors_out + scalars_out,
            blocks,
            heads,
            mlp_factor=mlp,
            preserve_variance=preserve_variance,
        )
        with torch.no_grad():
            block = frames_net.equivectors.block
            block.mlp.mlp[-1].weight *= 4  # fresh weights are all alike, their frames ill-defined
            for parameter in (*frames_net.parameters(), *net.parameters()):
                parameter.copy_(parameter.float())
            p, s = torch.tensor(momenta), torch.tensor(scalars)
            r = torch.tensor(references)[None].expand(4, -1, -1)
            everything = torch.cat([p, r], 1)
            frames_net.equivectors.init_standardization(everything)
            block.edge_mean = block.edge_mean.float().double()
            block.edge_std = block.edge_std.float().double()
            all_scalars = torch.cat([s, s.new_zeros(4, n_references, n_scalars)], 1)
            matrices = frames_net(everything, scalars=all_scalars).matrices[:, :n]
            frames = Frames(matrices)
            in_view = torch.cat([p[:, :, None], r[:, None].expand(-1, n, -1, -1)], 2)
            local = in_view @ matrices.transpose(-1, -2)
            compressed = [torch.log(local[..., :1]), local[..., 1:] / local[..., :1]]
            features = torch.cat(compressed, -1).reshape(4, n, -1)
            y = net(torch.cat([features, s], -1), frames, p_ref=p.sum(1))
            to_global = TensorRepsTransform(TensorReps("1x1n"))
            vectors = [
                to_global(y[..., 4 * i : 4 * i + 4].contiguous(), InverseFrames(frames))
                for i in range(vectors_out)
            ]
        arrays = {
            "momenta": momenta,
            "scalars": scalars,
            "references": references,
            "frames": matrices,
            "local": y,
            "features": features,
        }
        arrays |= {"vectors": np.stack(vectors, 2) if vectors else np.zeros((4, n, 0, 4))}
        weights = {
            f"{prefix}.{k}": v.float()
            for prefix, network in (("frames", frames_net), ("net", net))
            for k, v in network.state_dict().items()
        }
        with open(Path(__file__).with_name(f"lloca_{name}.npz"), "wb") as file:
            np.savez_compressed(file, **{k: np.asarray(v) for k, v in (arrays | weights).items()})


if __name__ == "__main__":
    main()
