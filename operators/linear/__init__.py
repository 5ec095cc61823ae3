"""Linear maps of the unknown: gradients, Laplacian, guided gradient, any operator of pylops."""
