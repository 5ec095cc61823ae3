"""How much memory a run needs, and a refusal before the first allocation where the machine has less."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from fusionkit.errors import UserError

# arrays of the unknown's shape that a run holds at once: input as read and as normalised, starting point, best iterate,
# iterate and its extrapolation, gradient, residual, prediction, curvature, coupling and two of scratch
_OF_UNKNOWN = 13
# for each composed term and component of its operator (2 for a gradient): dual variable, its image, two of scratch
_OF_DUAL = 4
# limit of a container: cgroups version 2, then version 1
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_GIB = 2**30


def estimate(shape: tuple[int, ...], dtype: npt.DTypeLike, n_composed: int, components: int = 2) -> int:
    """Bytes that a run needs, to within a factor of two.

    Parameters
    ----------
    shape : of the unknown, (n, ny, nx) for maps.
    dtype : of the unknown.
    n_composed : number of terms with a dual variable.
    components : arrays of the unknown's shape in one dual variable: 2 for a gradient.
    """
    size: Any = np.dtype(dtype).itemsize * prod(int(length) for length in shape)
    return int(size) * (_OF_UNKNOWN + _OF_DUAL * components * n_composed)


def require(bytes_needed: int, where: str) -> None:
    """Refuse what needs more memory than the machine has to give.

    Parameters
    ----------
    bytes_needed : see `estimate`.
    where : config key that asks for so much, for the message.

    Raises
    ------
    UserError : names both figures, in GiB.
    """
    there = available()
    if bytes_needed > there:
        raise UserError(
            where,
            f"the run needs about {_gib(bytes_needed)} GiB of memory, but {_gib(there)} GiB are available",
            "take a smaller image, fewer elements or 'precision: single'",
        )


def available() -> int:
    """Bytes of memory that this process may still take: of the machine, or of its container where that has less."""
    there = int(psutil.virtual_memory().available)
    for file in _LIMITS:
        limit = file.read_text().strip() if file.is_file() else "max"
        if limit.isdecimal():  # "max" where there is no limit
            there = min(there, int(limit))
    return there


def _gib(size: int) -> str:
    return f"{size / _GIB:.3g}" if size < 1000 * _GIB else f"{float(size / _GIB):,.4g}"
