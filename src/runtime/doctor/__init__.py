"""Which devices can be used here, and what is missing for the others."""
