"""Compilation of the kernels: SIMD options, and a cache on disk that depends on all kernel sources."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple
from zlib import crc32

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit as _njit
from numba import types
from numba.core import event
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.typed_passes import AnnotateTypes
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from fusionkit.engines.kernel_terms import MOST_ELEMENTS, MOST_IMAGES

njit: Any = _njit  # its annotations lack some of its options

# Floating-point contraction (a * b + c in one rounding) keeps NaN, infinities and the order of sums. Reordering lets
# sums vectorise; only functions that do nothing but sum allow it (`dot`, `total`, `apart`).
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}


class _Part(JITCodeLibrary):
    """The code of a function that is inlined: its callers optimise it, so that it need not be optimised before."""

    def _optimize_final_module(self) -> None:
        pass


@register_pass(mutates_CFG=False, analysis_only=True)
class _LowerToPart(LoweringPass):
    """Let lowering write into a `_Part`."""

    _name = "fusionkit_lower_to_part"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> Any:
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        return False  # the code of the function stays


class _PartCompiler(CompilerBase):
    """Numba's compiler for functions that are inlined; a kernel compiles in three quarters of the time."""

    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_LowerToPart, AnnotateTypes)
        passes.finalize()
        return [passes]


# A call in a loop prevents vectorisation, so everything that runs inside a loop is inlined.
INSIDE: dict[str, Any] = {
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _PartCompiler,
}
inlined = njit(**OPTIONS, **INSIDE)
# for what runs once in a while: in one function with all that it calls, LLVM takes several times as long
called = njit(**OPTIONS, **{**INSIDE, "forceinline": False})
merged = njit(**OPTIONS, inline="always")
summing = njit(error_model="numpy", fastmath={"reassoc", "contract"}, **INSIDE)

ELEMENTS = MOST_ELEMENTS
CHUNK = 128  # pixels processed together, so that intermediate values stay in the first-level cache
ROW = CHUNK + 16  # length of a row of scratch: a chunk and its neighbours


def source_stamp() -> int:
    """A checksum of the sources of all kernels."""
    stamp = 0
    for path in sorted([*Path(__file__).parent.glob("*.py"), *Path(__file__).parents[1].glob("*.py")]):
        stamp = crc32(path.read_bytes(), stamp)
    return stamp


STAMP = source_stamp()
# what damaged pickles raise
_DAMAGED = (UnpicklingError, AttributeError, EOFError, ImportError, IndexError, KeyError, TypeError, ValueError)
_COMPILED = event.TimingListener()
event.register("numba:compile", _COMPILED)


def compile_seconds() -> float:
    """The time that Numba has spent compiling in this process so far; it never decreases."""
    return _COMPILED.duration if _COMPILED.done else 0.0


class _Cache(FunctionCache):
    """Numba's cache for all kernel sources: Numba checks the function's own file only, not those that it inlines."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return (*super()._index_key(sig, codegen), STAMP)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled code; None, for which Numba compiles, if its files are damaged or cannot be read."""
        try:
            return super().load_overload(sig, target_context)
        except (OSError, *_DAMAGED):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code, with a new index in place of a damaged one; a full disk costs the next process time."""
        with suppress(OSError):
            try:
                super().save_overload(sig, data)
            except _DAMAGED:
                self.flush()
                super().save_overload(sig, data)


class Versions(NamedTuple):
    """A kernel that every process compiles anew, and the same kernel cached on disk."""

    anew: Any
    kept: Any


def kernel(function: Callable[..., Any]) -> Versions:
    """Compile ``function`` on its first call; ``kept`` uses the first writable cache (``NUMBA_CACHE_DIR`` first)."""
    anew, kept = (njit(**OPTIONS, nogil=True, no_cfunc_wrapper=True)(function) for _ in Versions._fields)
    try:
        if hasattr(kept, "_cache"):  # with NUMBA_DISABLE_JIT it is the function itself
            kept._cache = _Cache(function)
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        # no cache can be written: every process compiles anew
    return Versions(anew, kept)


def announce_compilation(compiled: Any, dtype: npt.DTypeLike) -> None:
    """Log that the kernels are about to be compiled, once for each version of their sources and each dtype.

    Parameters
    ----------
    compiled : one of the kernels; a marker file in its cache folder records the compilation.
    dtype : of the arrays.
    """
    if not hasattr(compiled, "stats"):  # a plain function: nothing is compiled with NUMBA_DISABLE_JIT
        return
    folder = compiled.stats.cache_path
    mark = Path(folder) / f"fast_{STAMP:08x}_{numba.__version__}_{np.dtype(dtype)}.compiled" if folder else None
    if mark is not None and mark.exists():
        return
    logging.getLogger("fusionkit").info("compiling the kernels for %s; this happens once", np.dtype(dtype))
    if mark is not None:
        with suppress(OSError):  # without a writable cache every process compiles, and says so
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def _stack(rows: int) -> Any:
    """A compiled function of an array: a pointer to rows * ROW values of its dtype on the caller's stack."""

    @intrinsic
    def pointer(typingctx: Any, like: Any) -> Any:  # pyright: ignore[reportUnusedParameter] numba's interface
        dtype = like.dtype

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value = context.get_data_type(dtype)
            with builder.goto_entry_block():  # `cgutils.alloca_once` stores zeros one by one: LLVM takes 10 s for them
                memory = builder.alloca(ir.ArrayType(value, rows * ROW))
            memory.align = 64
            return builder.bitcast(memory, value.as_pointer())

        return types.CPointer(dtype)(like), codegen

    return pointer


_WIDE = (MOST_IMAGES + 1) * ELEMENTS
_narrow_stack, _wide_stack = _stack(ELEMENTS), _stack(_WIDE)


@inlined
def scratch(like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An uninitialised array (ELEMENTS, ROW) of the dtype of ``like`` on the stack.

    The compiler knows that it overlaps no other array, so loops that write to it vectorise without checks.
    """
    return carray(_narrow_stack(like), (ELEMENTS, ROW))


@inlined
def couplings(like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """As `scratch`, with rows for each element and image, and one more for each element."""
    return carray(_wide_stack(like), (_WIDE, ROW))


@inlined
def copy(source: npt.NDArray[Any], target: npt.NDArray[Any], m: int) -> None:
    """Copy the first m values of a row. Pass slices: indices of several axes are checked one by one."""
    for k in range(m):
        target[k] = source[k]


@inlined
def add(source: npt.NDArray[Any], target: npt.NDArray[Any], m: int) -> None:
    """Add the first m values of a row."""
    for k in range(m):
        target[k] += source[k]


@summing
def dot(a: Any, b: Any, m: int) -> float:
    """Inner product of the first m values in float64, summed in lanes whose order is fixed."""
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
def apart(a: Any, b: Any, weight: Any, m: int) -> float:
    """Squared weighted distance of the first m <= CHUNK values, summed in their own precision."""
    total = a[0] - a[0]
    for k in range(m):
        total += (weight[k] * (a[k] - b[k])) * (weight[k] * (a[k] - b[k]))
    return np.float64(total)


def read_only(array: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A contiguous read-only view, or a copy if layout or dtype differ, so that kernels see one array type."""
    view = np.ascontiguousarray(array, dtype=dtype).view()
    view.flags.writeable = False
    return view
