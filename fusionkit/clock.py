"""The clock of a solve, which stands still while kernels are compiled, since that happens once on a machine."""

from __future__ import annotations

import sys
import time


def solving_seconds() -> float:
    """Seconds since some moment, less those in which this process compiled kernels."""
    jit = sys.modules.get("fusionkit.engines.cpu.compile")  # which NumPy's engine does not import
    return time.perf_counter() - (0.0 if jit is None else jit.compile_seconds())
