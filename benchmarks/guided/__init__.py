"""Penalties that a guide image steers beside those that it does not: how near to the truth, and when it misleads."""
