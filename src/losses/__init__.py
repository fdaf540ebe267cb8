"""Segmentation losses: weighted cross entropy, OHEM, focal, Dice, Lovasz-softmax and RMI, and their sum over a network's outputs."""
