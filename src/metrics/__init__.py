"""What is measured on predictions."""
