"""Engines: NumPy, which defines every result, compiled kernels for the processor, and kernels for GPUs.

`kernel_terms` describes the terms that kernels take, `choose` picks an engine, `evaluate` gives values and certificate.
"""
