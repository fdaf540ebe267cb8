"""Segmentation networks: HRNetV2 or a dilated ResNet with one of six heads."""
