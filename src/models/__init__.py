"""HRNetV2 segmentation networks with and without the OCR head."""
