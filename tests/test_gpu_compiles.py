"""The CUDA sources in NVIDIA's compilers: no warnings and no register spills."""

from __future__ import annotations

import ctypes
import ctypes.util
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fast_cases import RECIPES, fast_case, tv

from fusionkit.engines.gpu.device import OPTIONS
from fusionkit.engines.gpu.source import KERNELS, macros, source

# recipe, elements, dtype, joint and guided
VARIANTS = [("fused", 3, np.float32, False), ("fused", 8, np.float32, True), ("everything", 3, np.float64, True)]
ARCHITECTURES = [75, 80, 90]
NVCC = shutil.which("nvcc")


def text(recipe: str, n: int, dtype: Any, coupled: bool) -> str:
    case = fast_case(RECIPES[recipe], (n, 4, 4), dtype)
    kernel: Any = tv(case.x.shape, 0.1, case.x.dtype, coupled, coupled).kernel
    return source(macros(case.spec, kernel, n, case.x.dtype, 1))


@pytest.mark.skipif(NVCC is None, reason="nvcc is not installed")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_nvcc_keeps_everything_in_registers(variant: Any, architecture: int, tmp_path: Path) -> None:
    (tmp_path / "kernels.cu").write_text(text(*variant))
    options = [option.replace("--prec", "-prec").replace("--std", "-std") for option in OPTIONS]
    command = ["nvcc", *options, f"-arch=sm_{architecture}", "-Xptxas", "-v", "-Werror", "all-warnings"]
    done = subprocess.run(
        [*command, "-cubin", "-o", str(tmp_path / "out"), str(tmp_path / "kernels.cu")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    actual = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
    assert len(actual) >= len(KERNELS)
    assert all(numbers == ("0", "0", "0") for numbers in actual), done.stderr


def nvrtc() -> ctypes.CDLL:
    """CuPy's run-time compiler, from a wheel or from the system."""
    spec = find_spec("nvidia")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    wheels = [str(path) for folder in folders for path in folder.glob("*/lib/libnvrtc.so.*")]
    for name in (*wheels, ctypes.util.find_library("nvrtc")):
        if name is not None:
            return ctypes.CDLL(name)
    pytest.skip("the run-time compiler (nvidia-cuda-nvrtc-cu12) is not installed")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_run_time_compiler_has_nothing_to_say(variant: Any, architecture: int) -> None:
    library, program = nvrtc(), ctypes.c_void_p()
    code = text(*variant).encode()
    assert library.nvrtcCreateProgram(ctypes.byref(program), code, b"kernels.cu", 0, None, None) == 0
    words = [option.encode() for option in (*OPTIONS, f"--gpu-architecture=compute_{architecture}")]
    failed = library.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    assert (failed, log.value.decode()) == (0, "")
    library.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    library.nvrtcGetPTX(program, ptx)
    assert all(f".entry {name}(" in ptx.value.decode() for name in KERNELS)
