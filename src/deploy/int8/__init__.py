"""Post-training quantisation: which pictures, the quantisation itself, and what it gains and costs."""
