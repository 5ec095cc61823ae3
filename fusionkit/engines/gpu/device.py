"""What the GPU engine needs of a device, a CUDA device by CuPy, and the one of this machine."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Protocol

from fusionkit.errors import UserError

_INSTEAD = "or use 'auto' for the processor"
# divisions and square roots to two units in the last place instead of the last one, at a third of the instructions
OPTIONS = ("--std=c++14", "--prec-div=false", "--prec-sqrt=false")


class Launch(Protocol):
    """A kernel that is compiled."""

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        """Run it.

        Parameters
        ----------
        grid, block : blocks and threads a block.
        arguments : arrays of the device, NumPy scalars, and structures as NumPy arrays of one element.
        """
        ...


class Device(Protocol):
    """Where arrays live and kernels run.

    Attributes
    ----------
    name : as its maker calls it.
    xp : the module of its arrays, with the names of NumPy.
    """

    name: str
    xp: Any

    def compile(self, source: str, names: tuple[str, ...]) -> dict[str, Launch]:
        """The kernels ``names`` of a CUDA C++ source."""
        ...

    def synchronize(self) -> None:
        """Wait until everything that was launched is done."""
        ...


class CudaDevice:
    """The current CUDA device; see `Device`.

    Raises
    ------
    UserError : CuPy is not installed, or there is no device.
    """

    def __init__(self) -> None:
        try:
            self.xp: Any = import_module("cupy")
        except ImportError as error:  # not there, or there without the libraries that it needs
            problem = f"CuPy cannot be imported ({error})"
            raise UserError("engine", problem, f"pip install 'fusionkit-em[gpu]', {_INSTEAD}") from None
        runtime = self.xp.cuda.runtime
        try:
            index = self.xp.cuda.Device().id
            properties = runtime.getDeviceProperties(index)
        except runtime.CUDARuntimeError as error:
            problem = f"CuPy finds no CUDA device ({error})"
            raise UserError("engine", problem, f"run where there is one with its driver, {_INSTEAD}") from None
        self.name: str = properties["name"].decode()

    def compile(self, source: str, names: tuple[str, ...]) -> dict[str, Launch]:
        """Compiled for this device by CuPy, which keeps the binary on disk."""
        module = self.xp.RawModule(code=source, options=OPTIONS)
        try:
            return {name: module.get_function(name) for name in names}
        except RuntimeError as error:  # no run-time compiler, or one that the device's driver does not take
            problem = f"CuPy cannot compile kernels ({str(error).splitlines()[0]})"
            raise UserError("engine", problem, f"pip install 'cupy-cuda12x[ctk]', {_INSTEAD}") from None

    def synchronize(self) -> None:
        """Wait until everything that was launched is done."""
        self.xp.cuda.get_current_stream().synchronize()


@cache
def find_device() -> Device:
    """The current CUDA device, by CuPy.

    Raises
    ------
    UserError : CuPy is not installed, or there is no device.
    """
    return CudaDevice()
