"""Kernels for a GPU in CUDA C++: joint prox, iterations and checks with TV.

Nothing here is imported unless a configuration says ``engine: cupy``.
"""
