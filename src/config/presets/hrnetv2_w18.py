"""HRNetV2-W18 + OCR on Cityscapes, the 40k-iteration recipe of mmsegmentation.

Paper: arXiv 1909.11065; recipe: mmsegmentation, ocrnet_hr18_4xb2-40k_cityscapes-512x1024.
Expected: 77.7 mIoU at 40k and 79.47 at 160k iterations, Cityscapes val, single scale, ImageNet weights (reported by mmseg; not run here).
Device and time: 4 GPUs, batch 8 in all; 108 epochs of 371 steps are 40k steps (reported by mmseg; not run here).
Command: python train.py --config hrnetv2_w18 --data_path DATA --checkpoint_path BACKBONE --output_path OUT
Network and resizing are mmseg's; its hue delta of 18 counts OpenCV's half degrees: 36 degrees here.
"""

from src.config.hrnet import HRNET_W18

PRESET = {
    "lr": 0.01,
    "lr_power": 0.9,
    "total_epoch": 108,
    "batchsize": 2,
    "train": {
        "image_size": [512, 1024],
        "base_size": 2048,
        "scale_range": [0.5, 2.0],
        "scale_step": 0.0,
        "crop_max_class_ratio": 0.75,
        "color": {"probability": 0.5, "brightness_delta": 32.0, "contrast": 0.5, "saturation": 0.5, "hue": 36.0},
        "param_initializer": "Normal",
        "schedule": "poly",
        "min_lr": 0.0001,
        "wd": 0.0005,
    },
    "eval": {"image_size": [1024, 2048], "fusion": "softmax"},
    "model": {
        "name": "seg_hrnet_ocr",
        "align_corners": False,
        "fuse_resize": "stepwise",
        "head_bias": False,
        "extra": HRNET_W18,
        "ocr": {"dropout": 0.0},
    },
    "loss": {"loss_scale": 1024.0, "use_weights": False, "balance_weights": [0.4, 1.0]},
}
