"""ResNet-101 + interlaced sparse self-attention on Cityscapes, OCNet's recipe.

Paper: Interlaced Sparse Self-Attention for Semantic Segmentation, arXiv 1907.12273, sections 3 and 4.
Expected: 79.55 mIoU single scale, 80.62 multi-scale + flip, Cityscapes val, from ImageNet weights (reported by openseg.pytorch for the same
    crop, batch and number of steps; not run here). loss.use_ohem=True keeps what is under 0.7 and at least 100,000 pixels.
Device and time: 4 GPUs, batch 8 in all, 40k steps (reported; not run here).
Command: python train.py --config resnet101_isa --data_path DATA --checkpoint_path BACKBONE --output_path OUT
The network is openseg's: half the dilation in the first block of a dilated stage, plain ReLUs.
    Pictures are normalised as in OCNet, Caffe's mean in BGR order taken from RGB; openseg takes it from BGR (dataset.color_order=BGR).
"""

from src.config.ocnet import ocnet_recipe

PRESET = ocnet_recipe({"name": "seg_resnet_isa", "resnet": {"first_dilation": "half"}})
