"""ResNet-101 + ASP-OC on Cityscapes, OCNet's recipe.

Paper: OCNet: Object Context Network for Scene Parsing, arXiv 1809.00916, sections 3 and 4.
Expected: 79.5 mIoU, Cityscapes val, whole picture, single scale, from ImageNet weights (reported by OCNet.pytorch; not run here).
    loss.use_ohem=True keeps what is under 0.7 and at least 100,000 pixels.
Device and time: 4 GPUs (P100), batch 8 in all, 40k steps (reported; not run here).
Command: python train.py --config resnet101_asp_oc --data_path DATA --checkpoint_path BACKBONE --output_path OUT
"""

from src.config.ocnet import ocnet_recipe

PRESET = ocnet_recipe({"name": "seg_resnet_asp_oc", "oc": {"dropout": 0.1}, "ocr": {"negative_slope": 0.01}})
