"""From a trained network to a model file that other programs run, and the manifest that tells them how."""
