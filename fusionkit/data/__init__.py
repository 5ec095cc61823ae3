"""The data of a reconstruction: read or simulate, prepare, normalise, convert to counts."""
