"""HRNetV2-W48 + OCR on Cityscapes, the recipe in the MindSpore model zoo's table. The default.

Paper: Object-Contextual Representations for Semantic Segmentation, arXiv 1909.11065.
Expected: 80.67 mIoU, Cityscapes val, single scale, from ImageNet weights (reported by the model zoo; not run here).
Device and time: 4 x Ascend 910, batch 3, 279 ms per step (reported by the model zoo; not run here).
Command: msrun --worker_num=4 --local_worker_num=4 --join=True train.py --config hrnetv2_w48 --run_distribute True --batchsize 3
    --data_path DATA --checkpoint_path BACKBONE --output_path OUT
Differs from the model zoo: weight decay is 5e-4 as its table says (its script passed it as dampening, so decay was 0), gradients are
divided by the loss scale (its script did not, so its lr of 0.0013 worked as 0.013), resizing is true align_corners. To repeat what that
script did rather than what its table says: lr=0.013 train.wd=0.
"""

from src.config.hrnet import HRNET_W48

PRESET = {
    "lr": 0.0013,
    "lr_power": 4e-10,
    "total_epoch": 1000,
    "batchsize": 4,
    "train": {
        "image_size": [512, 1024],
        "base_size": 2048,
        "scale_range": [0.5, 2.1],
        "scale_step": 0.1,
        "param_initializer": "TruncatedNormal",
        "schedule": "exp",
        "wd": 0.0005,
    },
    "eval": {"image_size": [1024, 2048]},
    "model": {"name": "seg_hrnet_ocr", "align_corners": True, "extra": HRNET_W48},
    "loss": {"loss_scale": 10.0, "use_weights": True, "balance_weights": [0.4, 1.0]},
}
