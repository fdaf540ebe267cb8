"""ResNet-101 + OCR on Cityscapes, OCNet's recipe.

Paper: Object-Contextual Representations for Semantic Segmentation, arXiv 1909.11065, section 4.
Expected: 79.63 mIoU single scale, 80.68 multi-scale + flip, Cityscapes val, from ImageNet weights (reported by openseg.pytorch for the same
    crop, batch and number of steps; not run here). loss.use_ohem=True keeps what is under 0.7 and at least 100,000 pixels.
Device and time: 4 GPUs, batch 8 in all, 40k steps (reported; not run here).
Command: python train.py --config resnet101_ocr --data_path DATA --checkpoint_path BACKBONE --output_path OUT
The network is openseg's: half the dilation in the first block of a dilated stage, plain ReLUs, biases in the object context block.
    Pictures are normalised as in OCNet, Caffe's mean in BGR order taken from RGB; openseg takes it from BGR (dataset.color_order=BGR).
"""

from src.config.ocnet import ocnet_recipe

PRESET = ocnet_recipe({"name": "seg_resnet_ocr", "resnet": {"first_dilation": "half"}, "ocr": {"transform_bias": True}})
