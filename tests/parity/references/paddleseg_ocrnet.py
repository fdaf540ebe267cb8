"""PaddleSeg's OCRNet: random weights, its .pdparams file, its answers. Run in a process of its own.

    python -m tests.parity.references.paddleseg_ocrnet HRNet_W18 FOLDER PICTURE ...

writes FOLDER/weights.pdparams and, for each picture, FOLDER/STEM.npy: logits (K, H, W) float32 at the picture's size.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from tests.parity.references.random_state import bias, conv_weight, disturbed, norm_weight
from tests.parity.references.stand_ins import stand_in

# paddle: downloads and einsum; paddleseg: downloads, logging and metrics.
stand_in("httpx", "opt_einsum", "requests", "visualdl", "sklearn")

import paddle  # noqa: E402
from paddleseg.models import OCRNet, backbones  # noqa: E402
from paddleseg.transforms import Compose, Normalize  # noqa: E402

CLASSIFIERS = ("head.cls_head", "head.aux_head.1")


@paddle.no_grad()
def randomise(model: paddle.nn.Layer, images: paddle.Tensor, seed: int) -> None:
    """Do what `random_torch.randomise` does, with Paddle's layers."""
    rng = np.random.default_rng(seed)
    layers = dict(model.named_sublayers())
    for name, layer in layers.items():
        if isinstance(layer, paddle.nn.Conv2D):
            layer.weight.set_value(conv_weight(rng, layer.weight.shape, is_classifier=name in CLASSIFIERS))
            if layer.bias is not None:
                layer.bias.set_value(bias(rng, layer.bias.shape))
        elif isinstance(layer, paddle.nn.BatchNorm2D):
            layer.weight.set_value(norm_weight(rng, layer.weight.shape))
            layer.bias.set_value(bias(rng, layer.bias.shape))
            layer._momentum = 0.0  # of the old statistics: the new ones are those of one batch
    model.train()
    model(images)
    model.eval()
    for layer in layers.values():
        if isinstance(layer, paddle.nn.BatchNorm2D):
            mean, variance = disturbed(rng, layer._mean.numpy(), layer._variance.numpy())
            layer._mean.set_value(mean)
            layer._variance.set_value(variance)
    hooks = [layers[name].register_forward_post_hook(_centre) for name in CLASSIFIERS]
    model(images)
    for hook in hooks:
        hook.remove()


def _centre(layer: paddle.nn.Conv2D, _: tuple, logits: paddle.Tensor) -> None:
    layer.bias.set_value(layer.bias - logits.mean([0, 2, 3]))


@paddle.no_grad()
def main(name: str, folder: Path, pictures: list[str]) -> None:
    model = OCRNet(19, getattr(backbones, name)(), backbone_indices=[0])
    prepare = Compose([Normalize()])
    small = [prepare({"img": cv2.resize(cv2.imread(picture), (256, 128))})["img"] for picture in pictures]
    randomise(model, paddle.to_tensor(np.stack(small)), 7)
    paddle.save(model.state_dict(), str(folder / "weights.pdparams"))
    for picture in pictures:
        image = paddle.to_tensor(prepare({"img": picture})["img"][None])
        np.save(folder / f"{Path(picture).stem}.npy", model(image)[0][0].numpy())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
