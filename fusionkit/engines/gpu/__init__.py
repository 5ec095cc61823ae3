"""Iterations and checks on a GPU: kernels in CUDA C++ behind the same terms, solvers and certificate.

Nothing here is imported unless a configuration says ``engine: cupy``.
"""
