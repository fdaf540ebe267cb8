"""A small HRNetV2 + OCR on synthetic street scenes, for a laptop's CPU: what `bash scripts/quickstart.sh` trains."""

from src.config.hrnet import HRNET_W18_SMALL_V1

PRESET = {
    "device_target": "CPU",
    "workers": 2,
    "lr": 0.05,
    "lr_power": 0.9,
    "total_epoch": 10,
    "batchsize": 4,
    "save_checkpoint_epochs": 5,
    "keep_checkpoint_max": 2,
    "eval_callback": True,
    "eval_interval": 5,
    "train": {
        "image_size": [128, 256],
        "base_size": 0,
        "scale_range": [0.75, 1.25],
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
    "loss": {"loss_scale": 1.0, "use_weights": True, "balance_weights": [0.4, 1.0]},
}
