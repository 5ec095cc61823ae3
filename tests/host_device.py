"""The CPU as a device: the CUDA sources of `fusionkit.engines.gpu` compiled by the C++ compiler, thread by
thread.

The kernels share no memory within a block and exchange nothing, so a loop over blocks and threads does what a GPU does,
in one of its orders.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from fusionkit.engines.gpu.device import Launch

COMPILER = shutil.which("g++") or shutil.which("clang++")
NO_COMPILER = "the CUDA sources are checked on the processor by a C++ compiler (g++ or clang++), and there is none"
_FLAGS = ("-std=c++14", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")
_HEADER = """
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#define __global__
#define __device__
#define __forceinline__ inline
struct Index { unsigned x, y; };
static thread_local Index blockIdx, threadIdx, blockDim, gridDim;
static inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
static inline int __float_as_int(float x) { int bits; std::memcpy(&bits, &x, 4); return bits; }
static inline float __int_as_float(int bits) { float x; std::memcpy(&x, &bits, 4); return x; }
"""
# arguments as the CUDA driver takes them: a pointer to each value
_LAUNCHER = """
template <class... A, std::size_t... I>
static void launch(void (*kernel)(A...), void** a, const unsigned* size, bool backwards, std::index_sequence<I...>) {
    gridDim = {size[0], size[1]};
    blockDim = {size[2], size[3]};
    const std::uint64_t across = std::uint64_t(size[0]) * size[2], count = across * size[1] * size[3];
    for (std::uint64_t step = 0; step < count; ++step) {
        const std::uint64_t thread = backwards ? count - 1 - step : step;
        const std::uint64_t column = thread % across, row = thread / across;
        blockIdx = {unsigned(column / size[2]), unsigned(row / size[3])};
        threadIdx = {unsigned(column % size[2]), unsigned(row % size[3])};
        kernel(*static_cast<typename std::remove_const<A>::type*>(a[I])...);
    }
}
template <class... A>
static void launch(void (*kernel)(A...), void** a, const unsigned* size, bool backwards) {
    launch(kernel, a, size, backwards, std::index_sequence_for<A...>());
}
"""
_ENTRY = 'extern "C" void launch_{0}(void** a, const unsigned* n, bool b) {{ launch({0}, a, n, b); }}\n'


class HostDevice:
    """See `fusionkit.engines.gpu.device.Device`.

    Parameters
    ----------
    backwards : whether the last thread runs first.
    """

    name, xp = "host", np

    def __init__(self, backwards: bool = False) -> None:
        self.backwards = backwards

    def compile(self, source: str, names: tuple[str, ...]) -> dict[str, Launch]:
        library = _library(_HEADER + source + _LAUNCHER + "".join(_ENTRY.format(name) for name in names))
        return {name: self._launcher(getattr(library, f"launch_{name}")) for name in names}

    def synchronize(self) -> None:
        """Nothing to wait for: a launch returns when it is done."""

    def _launcher(self, entry: Any) -> Launch:
        def run(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
            values = [_value(argument) for argument in arguments]
            pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
            size = (ctypes.c_uint * 4)(*(*grid, 1)[:2], *(*block, 1)[:2])
            entry(pointers, size, ctypes.c_bool(self.backwards))

        return run


def _value(argument: Any) -> np.ndarray[Any, Any]:
    """The bytes of a kernel argument: the address of an array, or a scalar or structure itself."""
    if isinstance(argument, np.ndarray) and argument.dtype.names is None:
        assert argument.flags.c_contiguous
        return np.array(argument.ctypes.data, np.uintp)
    return np.asarray(argument)


@cache
def _folder() -> Path:
    folder = mkdtemp(prefix="fusionkit_gpu_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def _library(text: str) -> ctypes.CDLL:
    assert COMPILER is not None, NO_COMPILER
    stem = _folder() / hashlib.sha256(text.encode()).hexdigest()[:16]
    stem.with_suffix(".cpp").write_text(text)
    command = [COMPILER, *_FLAGS, "-o", str(stem.with_suffix(".so")), str(stem.with_suffix(".cpp"))]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(stem.with_suffix(".so")))
