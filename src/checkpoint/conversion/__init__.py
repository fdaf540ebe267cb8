"""From another framework's weight file to a .ckpt with its meaning beside it, and back."""
