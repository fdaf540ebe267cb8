"""ResNet-101 + Base-OC on Cityscapes, OCNet's recipe.

Paper: OCNet: Object Context Network for Scene Parsing, arXiv 1809.00916, sections 3 and 4.
Expected: 79.3 mIoU, Cityscapes val, whole picture, single scale, from ImageNet weights (reported by OCNet.pytorch; not run here); 80.4 with
    loss.use_ohem=True, which then keeps what is under 0.7 and at least 100,000 pixels.
Device and time: 4 GPUs (P100), batch 8 in all, 40k steps (reported; not run here). The attention looks from each of
    97x97 positions of a crop to all: model.oc.block=1024 saves memory there and takes longer (docs/PERFORMANCE.md). Evaluation
    attends from 1024 positions at once anyway.
Command: python train.py --config resnet101_base_oc --data_path DATA --checkpoint_path BACKBONE --output_path OUT
OCNet evaluates scale 1.25 of its multi-scale protocol by windows of 1024x2048; here pictures stay whole at every scale.
"""

from src.config.ocnet import ocnet_recipe

PRESET = ocnet_recipe({"name": "seg_resnet_base_oc", "ocr": {"negative_slope": 0.01}})
