"""HRNetV2-W48 + OCR on Cityscapes, the authors' recipe.

Paper: Object-Contextual Representations for Semantic Segmentation, arXiv 1909.11065, section 4.
Expected: 81.6 mIoU, Cityscapes val, single scale, from ImageNet weights (reported by the authors; not run here).
Device and time: 4 GPUs, batch 12 in all (reported by the authors; not run here).
Command: python train.py --config hrnetv2_w48_official --data_path DATA --checkpoint_path BACKBONE --output_path OUT
"""

from src.config.hrnet import HRNET_W48

PRESET = {
    "lr": 0.01,
    "lr_power": 0.9,
    "total_epoch": 484,
    "batchsize": 3,
    "train": {
        "image_size": [512, 1024],
        "base_size": 2048,
        "scale_range": [0.5, 2.1],
        "scale_step": 0.1,
        "param_initializer": "Normal",
        "schedule": "poly",
        "wd": 0.0005,
    },
    "eval": {"image_size": [1024, 2048], "fusion": "exp"},
    "model": {"name": "seg_hrnet_ocr", "align_corners": True, "extra": HRNET_W48},
    "loss": {"loss_scale": 1024.0, "use_weights": True, "balance_weights": [0.4, 1.0]},
}
