"""What torch counts in mmsegmentation's OCRNet, on the "meta" device, which computes nothing. Run in a process of its own.

    python -m tests.parity.references.mmseg_flops hr18s|hr18|hr48 HEIGHT WIDTH

prints the operations of its convolutions and matrix products, each multiplication and each addition for one, and its parameters.
"""

import sys

import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.parity.references.mmseg_ocrnet import build


@torch.no_grad()
def main(name: str, height: int, width: int) -> None:
    model = build(name).eval().to("meta")
    with FlopCounterMode(display=False) as counter:
        features = model.backbone(torch.empty(1, 3, height, width, device="meta"))
        model.decode_head[1](features, model.decode_head[0](features))
    print(counter.get_total_flops(), sum(parameter.numel() for parameter in model.parameters()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
