"""Kernels for a GPU in CUDA C++: joint prox, iterations and checks with TV.

These modules are imported only for ``engine: cupy``.
"""
