"""How the compiled kernels are compiled: SIMD, threads, and a cache on disk that follows all of their sources."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit as _njit
from numba import types
from numba.core import cgutils, event
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from fusionkit.engines.kernel_terms import MOST_ELEMENTS

njit: Any = _njit  # its annotations know only some of its options

# Floating-point contraction (a * b + c in one rounding) keeps NaN, infinities and the order of sums. Reordering would
# let sums vectorise, but it is allowed only where a sum is all that a function does (`dot`, `total`, `apart`).
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}

# A call that is left in a loop keeps it from being vectorised, so that whatever runs inside one is inlined.
_INSIDE: dict[str, Any] = {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inlined = njit(**OPTIONS, **_INSIDE)
merged = njit(**OPTIONS, inline="always")
summing = njit(error_model="numpy", fastmath={"reassoc", "contract"}, **_INSIDE)

ELEMENTS = MOST_ELEMENTS
CHUNK = 128  # pixels that go through all steps together; their intermediate values stay in the first-level cache
ROW = CHUNK + 16  # length of a row of scratch: a chunk and its neighbours


def source_stamp() -> int:
    """A checksum of the sources of all kernels.

    Numba's cache looks at the file of the function alone and would run stale code after a change in a function of
    another file that is inlined. Cached kernels are therefore closures over this number: it is in the cache's key.
    """
    stamp = 0
    for path in sorted([*Path(__file__).parent.glob("*.py"), *Path(__file__).parents[1].glob("*.py")]):
        stamp = crc32(path.read_bytes(), stamp)
    return stamp


STAMP = source_stamp()
_COMPILED = event.TimingListener()
event.register("numba:compile", _COMPILED)


def compile_seconds() -> float:
    """How long this process has compiled so far, kernels or whatever else Numba was given; never less than before."""
    return _COMPILED.duration if _COMPILED.done else 0.0


class Versions(NamedTuple):
    """A kernel, compiled anew in every process, and kept on disk."""

    anew: Any
    kept: Any


def kernel(function: Callable[..., Any]) -> Versions:
    """Compile ``function`` on its first call; kept where some place is writable (``NUMBA_CACHE_DIR`` first)."""
    anew, kept = (njit(**OPTIONS, nogil=True, no_cfunc_wrapper=True)(function) for _ in Versions._fields)
    try:
        kept.enable_caching()
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        # neither the package's folder nor the user's cache can be written: compiled anew in every process
    return Versions(anew, kept)


def announce_compilation(compiled: Any, dtype: npt.DTypeLike) -> None:
    """Log that the kernels are about to be compiled, once for each version of their sources and each dtype.

    Parameters
    ----------
    compiled : one of them, whose cache folder holds the mark that they have been compiled.
    dtype : of the arrays that they are compiled for.
    """
    folder = compiled.stats.cache_path
    mark = Path(folder) / f"fast_{STAMP:08x}_{numba.__version__}_{np.dtype(dtype)}.compiled" if folder else None
    if mark is not None and mark.exists():
        return
    logging.getLogger("fusionkit").info("compiling the kernels for %s; this happens once", np.dtype(dtype))
    if mark is not None:
        with suppress(OSError):  # a cache that cannot be written is announced every time, since it compiles every time
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


@intrinsic
def _stack(typingctx: Any, like: Any) -> Any:  # pyright: ignore[reportUnusedParameter] numba's interface
    """A pointer to ELEMENTS * ROW values of the dtype of the array ``like`` on the stack of the caller."""
    dtype = like.dtype

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = context.get_data_type(dtype)
        memory = cgutils.alloca_once(builder, ir.ArrayType(value, ELEMENTS * ROW))
        memory.align = 64
        return builder.bitcast(memory, value.as_pointer())

    return types.CPointer(dtype)(like), codegen


@inlined
def scratch(like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An uninitialised array (ELEMENTS, ROW) of the dtype of ``like`` on the stack.

    The compiler knows that it overlaps nothing else, so that loops that write to it vectorise without checks.
    """
    pointer: Any = _stack(like)  # pyright: ignore[reportCallIssue] the compiler gives the typing context
    return carray(pointer, (ELEMENTS, ROW))


@inlined
def copy(source: npt.NDArray[Any], target: npt.NDArray[Any], m: int) -> None:
    """Copy the first m values of a row; on slices, since indices of several axes are checked one by one."""
    for k in range(m):
        target[k] = source[k]


@summing
def dot(a: Any, b: Any, m: int) -> float:
    """Inner product of the first m values in float64; sums of several lanes, in the same order always."""
    total = 0.0
    for k in range(m):
        total += np.float64(a[k]) * np.float64(b[k])
    return total


@summing
def total(a: Any, m: int) -> float:
    """Sum of the first m values in float64."""
    total = 0.0
    for k in range(m):
        total += np.float64(a[k])
    return total


@summing
def apart(a: Any, b: Any, m: int) -> float:
    """Squared distance of the first m values, of a chunk at most: it is summed in their own precision."""
    total = a[0] - a[0]
    for k in range(m):
        total += (a[k] - b[k]) * (a[k] - b[k])
    return np.float64(total)


def read_only(array: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A contiguous read-only view, a copy where layout or dtype differ: one type for the kernels, whatever comes."""
    view = np.ascontiguousarray(array, dtype=dtype).view()
    view.flags.writeable = False
    return view
