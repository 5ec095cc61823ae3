"""Checkpoints: what an unfinished run needs to go on, as arrays and plain values beside its output."""
