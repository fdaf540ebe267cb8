"""ResNet-101 + Pyramid-OC on Cityscapes, OCNet's recipe.

Paper: OCNet: Object Context Network for Scene Parsing, arXiv 1809.00916, sections 3 and 4.
Expected: OCNet.pytorch reports no figure for it (79.3 for Base-OC, 79.5 for ASP-OC); not run here.
    loss.use_ohem=True keeps what is under 0.7 and at least 100,000 pixels.
Device and time: 4 GPUs (P100), batch 8 in all, 40k steps (OCNet's; not run here). Its grid of one cell attends as Base-OC does:
    model.oc.block=1024 saves memory in training, evaluation attends from 1024 positions at once anyway.
Command: python train.py --config resnet101_pyramid_oc --data_path DATA --checkpoint_path BACKBONE --output_path OUT
As in OCNet's code nothing is activated in front of the module and in the auxiliary head.
"""

from src.config.ocnet import ocnet_recipe

PRESET = ocnet_recipe({"name": "seg_resnet_pyramid_oc", "oc": {"entry_activation": False}, "ocr": {"negative_slope": 0.01}})
