"""HRNetV2-W18 + OCR on Cityscapes, the 160k-iteration recipe of PaddleSeg.

Paper: arXiv 1909.11065; recipe: PaddleSeg, ocrnet_hrnetw18_cityscapes_1024x512_160k.
Expected: 80.67 mIoU single scale, 81.62 multi-scale + flip, Cityscapes val, ImageNet weights (reported by PaddleSeg; not run here).
Device and time: 4 GPUs, batch 8 in all; 431 epochs of 371 steps are 160k steps (reported by PaddleSeg; not run here).
Command: python train.py --config hrnetv2_w18_paddleseg --data_path DATA --checkpoint_path BACKBONE --output_path OUT
Network and resizing are PaddleSeg's; its hue range of 18 counts Pillow's 256 steps of the circle: 25.3125 degrees here.
Differs from PaddleSeg: saturation changes in HSV, where PaddleSeg blends with the grey picture.
"""

from src.config.hrnet import HRNET_W18

PRESET = {
    "lr": 0.01,
    "lr_power": 0.9,
    "total_epoch": 431,
    "batchsize": 2,
    "train": {
        "image_size": [512, 1024],
        "base_size": 2048,
        "scale_range": [0.5, 2.0],
        "scale_step": 0.25,
        "color": {"probability": 0.5, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 25.3125},
        "param_initializer": "Normal",
        "schedule": "poly",
        "wd": 4e-5,
    },
    "dataset": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    "eval": {"image_size": [1024, 2048], "fusion": "logits", "scale_list": [0.75, 1.0, 1.25]},
    "model": {
        "name": "seg_hrnet_ocr",
        "align_corners": False,
        "stride2_padding": "same",
        "extra": HRNET_W18,
        "ocr": {"dropout": 0.1, "transform_bias": True},
    },
    "loss": {"loss_scale": 1024.0, "use_weights": False, "balance_weights": [0.4, 1.0]},
}
