"""Specimens that do not follow fusionkit's model, and the recordings made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.accuracy.independent.cathode import cathode
from benchmarks.accuracy.independent.core_shell import core_shell
from benchmarks.accuracy.independent.grain_boundary import grain_boundary
from benchmarks.accuracy.independent.layers import layers
from benchmarks.accuracy.independent.needles import needles
from benchmarks.accuracy.independent.scene import Scene

SCENES: dict[str, Callable[[np.random.Generator], Scene]] = {
    "gb": grain_boundary,
    "stack": layers,
    "cathode": cathode,
    "core_shell": core_shell,
    "needles": needles,
}
