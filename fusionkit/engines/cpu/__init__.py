"""Kernels for the processor, compiled by Numba: joint prox, iterations and checks with TV and TGV.

These modules are imported only if a problem runs compiled.
"""
