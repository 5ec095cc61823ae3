"""The data of a reconstruction: reading or simulation, preparation, normalisation, conversion to counts."""
