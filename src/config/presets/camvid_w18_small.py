"""HRNetV2-W18-small-v1 + OCR on CamVid, from random weights, for up to one hour on a CPU.

Paper: arXiv 1909.11065; data: Brostow et al., CamVid, 11 classes, train 367 and val 101 pictures of 480x360.
Expected: at least 0.40 mIoU on val, single scale, no pre-training (measured here: docs/RESULTS.md).
Device and time: 2 CPU cores, about 50 minutes.
Command: python train.py --config camvid_w18_small --data_path CAMVID --output_path OUT
"""

from src.config.hrnet import HRNET_W18_SMALL_V1

PRESET = {
    "device_target": "CPU",
    "workers": 2,
    "lr": 0.05,
    "lr_power": 0.9,
    "total_epoch": 60,
    "batchsize": 4,
    "save_checkpoint_epochs": 10,
    "keep_checkpoint_max": 2,
    "eval_callback": True,
    "eval_interval": 10,
    "train": {
        "train_list": "train.txt",
        "image_size": [192, 256],
        "base_size": 0,
        "scale_range": [0.5, 1.0],
        "scale_step": 0.0,
        "color": {"probability": 0.5, "brightness_delta": 32.0, "contrast": 0.3, "saturation": 0.3, "hue": 10.0},
        "param_initializer": "HeNormal",
        "schedule": "poly",
        "warmup_steps": 100,
        "wd": 0.0005,
        "decay_norm_and_bias": False,
    },
    "dataset": {"name": "CamVid", "num_classes": 11},
    "eval": {"eval_list": "val.txt", "image_size": [288, 384], "overlays": 8},
    "model": {
        "name": "seg_hrnet_ocr",
        "align_corners": False,
        "extra": HRNET_W18_SMALL_V1,
        "ocr": {"mid_channels": 64, "key_channels": 32},
    },
    "loss": {
        "loss_scale": 1.0,
        "use_weights": True,
        # Square roots of the data set's median-frequency weights, which reach 9.6: undamped they paint signs and poles too broadly.
        "class_weights": [0.51, 0.43, 2.14, 0.38, 0.95, 0.62, 3.11, 1.36, 0.83, 2.5, 2.71],
        "balance_weights": [0.4, 1.0],
    },
}
