"""Drawing of synthetic street scenes: polygons in perspective, objects, light and noise."""
