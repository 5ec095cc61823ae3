"""Where a problem is computed: NumPy is the definition, and kernels for the processor and for GPUs take what they know.

`kernel` says what a term is to the kernels, `choose` picks them, `evaluate` gives values and certificate of an iterate.
"""
