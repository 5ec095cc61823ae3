"""Kernels for the processor, compiled by Numba: joint prox, iterations and checks with TV and TGV.

Nothing here is imported unless a problem runs compiled.
"""
