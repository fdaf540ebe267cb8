"""OCRNet for MindSpore: semantic segmentation with HRNetV2 and Object-Contextual Representations."""
