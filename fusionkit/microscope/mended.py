"""What compiled loops of RosettaSciIO get wrong, mended while one of its readers runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from fusionkit.arrays import Array


@contextmanager
def mended() -> Iterator[None]:
    """The readers of Bruker's and JEOL's maps, where they are imported, without writing out of bounds."""
    with ExitStack() as stack:
        for name, replacements in (("rsciio.bruker._api", _bruker), ("rsciio.jeol._api", _jeol)):
            module = sys.modules.get(name)
            if module is not None:
                stack.enter_context(_replaced(module, replacements(module)))
        yield


@contextmanager
def _replaced(module: Any, new: dict[str, Any]) -> Iterator[None]:
    former = {name: getattr(module, name) for name in new}
    for name, value in new.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in former.items():
            setattr(module, name, value)


def _bruker(module: Any) -> dict[str, Any]:
    """The reader of maps in Python: the compiled one ends the process with a fault on damaged maps.

    It takes about 40 µs a pixel. Both give the same numbers.
    """
    return {"fast_unbcf": False, "warn_once": False}


def _jeol(module: Any) -> dict[str, Any]:
    """Loops over the events of a sweep that take a map for a square one, as large as its longer edge.

    They write the brightness of pixel (y, x) into an array (nx, ny), and the lazy one drops the rows of a map that is
    higher than wide beyond its width: 8 rows of 4 pixels kept 101 of 208 counts. What is outside of the map is sorted
    out afterwards.
    """

    def lazy(events: Array, sign: int, cube: Array, image: Array, nx: int, ny: int, *rest: Any) -> Any:
        side = max(nx, ny)
        return former_lazy(events, sign, cube, np.zeros((side, side), image.dtype), side, side, *rest)

    def dense(events: Array, sign: int, cube: Array, image: Array, nx: int, ny: int, *rest: Any) -> Any:
        side = max(nx, ny)
        return former_dense(events, sign, cube, np.zeros((side, side), image.dtype), nx, ny, *rest)

    former_lazy: Callable[..., Any] = module._readframe_lazy
    former_dense: Callable[..., Any] = module._readframe_dense
    return {"_readframe_lazy": lazy, "_readframe_dense": dense}
