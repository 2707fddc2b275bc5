"""Reference arrays for tests/nets/test_lgatr.py from the PyTorch package lgatr 2.0.0:
`OMP_NUM_THREADS=1 python tests/nets/references/make_lgatr.py`.

Needs torch and lgatr (the tests do not). Weights are rounded to single precision for small files,
everything is computed in double.
"""

from pathlib import Path

import numpy as np
import torch
from lgatr import LGATr, MLPConfig, SelfAttentionConfig
from lgatr.layers import linear
from lgatr.primitives.config import PrimitivesConfig

torch.set_default_dtype(torch.float64)

PARITY = {
    "parity": True,
    "multi_query": True,
    "head_scale": True,
    "mlp_layers": 3,
    "reinsert": True,
}
PRODUCT_ONLY = {"mlp_layers": 1, "nonlinearity": "silu"}
# name: channels (in, out, hidden of multivectors; the same of scalars), blocks, heads, attention
# ratio, mlp ratio, affine norm, the rest
CASES = {
    "default": ((2, 1, 4, 3, 2, 8), 2, 2, 1, 4, True, {}),
    "published": ((1, 2, 4, 5, 3, 8), 1, 4, 2, 2, False, {}),
    "multivectors": ((2, 1, 4, 0, 0, 0), 1, 2, 1, 2, True, {}),
    "scalars_inside": ((3, 1, 4, 0, 2, 8), 2, 1, 1, 2, False, {}),
    "parity": ((2, 1, 4, 3, 0, 4), 1, 2, 1, 2, True, PARITY),
    "product_only": ((1, 1, 6, 2, 2, 6), 3, 3, 1, 1, True, PRODUCT_ONLY),
}


def main() -> None:
    """Writes one file per case beside this script."""
    torch.manual_seed(5)
    first = linear.EquiLinear.__init__

    def without_scalars(self, *args, **settings):
        # 2.0.0 asks for an initialisation that needs scalars even where there are none
        if settings.get("in_s_channels", 0) == 0 and "scalar" in settings.get("initialization", ""):
            settings["initialization"] = "default"
        first(self, *args, **settings)

    linear.EquiLinear.__init__ = without_scalars
    for name, (channels, blocks, heads, attention, mlp, affine, rest) in CASES.items():
        in_mv, out_mv, hidden_mv, in_s, out_s, hidden_s = channels
        again = rest.get("reinsert", False)
        net = LGATr(
            num_blocks=blocks,
            in_mv_channels=in_mv,
            out_mv_channels=out_mv,
            hidden_mv_channels=hidden_mv,
            in_s_channels=in_s,
            out_s_channels=out_s,
            hidden_s_channels=hidden_s,
            norm_elementwise_affine=affine,
            reinsert_mv_channels=(1,) if again else None,
            reinsert_s_channels=(0, 2) if again else None,
            primitives=PrimitivesConfig(subgroup=not rest.get("parity", False), sparse_gp=False),
            attention=SelfAttentionConfig(
                num_heads=heads,
                attn_ratio=attention,
                multi_query=rest.get("multi_query", False),
                head_scale=rest.get("head_scale", False),
            ),
            mlp=MLPConfig(
                nonlinearity=rest.get("nonlinearity", "gelu"),
                mlp_ratio=mlp,
                num_layers_mlp=rest.get("mlp_layers", 2),
            ),
        )
        with torch.no_grad():
            for parameter in net.parameters():
                if parameter.dim() <= 2:  # gains and biases start at one and zero
                    parameter += 0.1 * torch.randn_like(parameter)
                parameter.copy_(parameter.float())
            multivectors = torch.randn(3, 5, in_mv, 16)
            scalars = torch.randn(3, 5, in_s) if in_s else None
            out = net(multivectors, scalars)
        arrays = {"multivectors": multivectors, "out_multivectors": out[0]}
        arrays |= {"scalars": scalars} if in_s else {}
        arrays |= {"out_scalars": out[1]} if out_s else {}
        weights = {f"net.{k}": v.float() for k, v in net.state_dict().items()}
        np.savez_compressed(
            Path(__file__).parent / f"lgatr_{name}.npz",
            **{k: np.asarray(v) for k, v in (arrays | weights).items()},
        )


if __name__ == "__main__":
    main()
