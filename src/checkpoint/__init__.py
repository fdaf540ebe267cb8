"""Names, reading and writing of weights and training state."""
