"""From a network and pictures to labels, masks and overlays."""
