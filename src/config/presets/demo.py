"""A small HRNetV2 + OCR on synthetic street scenes, for a laptop's CPU: what `bash scripts/quickstart.sh` trains.

Paper: arXiv 1909.11065; the network is HRNetV2-W18-small-v1 with an OCR head of 64 channels (1.5 million parameters).
Expected: at least 0.60 mIoU on held-out synthetic cities, whole picture (measured here: docs/RESULTS.md).
Device and time: 2 CPU cores, about 5 minutes.
Command: python train.py --config demo --data_path data/synthetic --output_path OUT
"""

from src.config.hrnet import HRNET_W18_SMALL_V1

PRESET = {
    "device_target": "CPU",
    "workers": 2,
    "lr": 0.05,
    "lr_power": 0.9,
    "total_epoch": 8,
    "batchsize": 4,
    "save_checkpoint_epochs": 4,
    "keep_checkpoint_max": 2,
    "eval_callback": True,
    "eval_interval": 4,
    "train": {
        "image_size": [128, 256],
        "base_size": 0,
        "scale_range": [0.6, 1.1],
        "scale_step": 0.0,
        "param_initializer": "HeNormal",
        "schedule": "poly",
        "warmup_steps": 20,
        "wd": 0.0001,
        "decay_norm_and_bias": False,
    },
    "eval": {"overlays": 6},
    "model": {
        "name": "seg_hrnet_ocr",
        "align_corners": False,
        "extra": HRNET_W18_SMALL_V1,
        "ocr": {"mid_channels": 64, "key_channels": 32},
    },
    "loss": {
        "loss_scale": 1.0,
        "use_weights": True,
        # About sqrt(median / frequency) of the synthetic classes; more for poles, which are thin; 1 for classes that never occur.
        "class_weights": [0.4, 0.9, 0.4, 1.3, 1.2, 2.0, 1.3, 1.2, 0.6, 0.9, 0.7, 1.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        "balance_weights": [0.4, 1.0],
    },
}
