"""The device of the GPU engine: its protocol, and this machine's CUDA device through CuPy."""

from functools import cache
from importlib import import_module
from typing import Any, Protocol

from fusionkit.errors import UserError

_INSTEAD = "or use 'auto' for the processor"
# divisions and square roots with an error of two units in the last place, for a third of the instructions
OPTIONS = ("--std=c++14", "--prec-div=false", "--prec-sqrt=false")


class Launch(Protocol):
    """A compiled kernel."""

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        """Run it.

        Parameters
        ----------
        grid, block : number of blocks, and of threads in a block.
        arguments : arrays of the device, NumPy scalars, and structures as NumPy arrays of one element.
        """
        ...


class Device(Protocol):
    """A device with arrays and kernels.

    Attributes
    ----------
    name : the manufacturer's name of it.
    xp : array module with NumPy's interface.
    """

    name: str
    xp: Any

    def compile(self, source: str, names: tuple[str, ...]) -> dict[str, Launch]:
        """The kernels ``names`` of a CUDA C++ source."""
        ...

    def synchronize(self) -> None:
        """Wait for all launched work."""
        ...


class CudaDevice:
    """The current CUDA device; see `Device`. `UserError` if CuPy is not installed, or there is no device."""

    def __init__(self) -> None:
        try:
            self.xp: Any = import_module("cupy")
        except ImportError as error:  # missing, or without the libraries that it needs
            problem = f"CuPy cannot be imported ({error})"
            raise UserError("engine", problem, f"pip install 'cupy-cuda12x[ctk]', {_INSTEAD}") from None
        runtime = self.xp.cuda.runtime
        try:
            index = self.xp.cuda.Device().id
            properties = runtime.getDeviceProperties(index)
        except runtime.CUDARuntimeError as error:
            problem = f"CuPy finds no CUDA device ({error})"
            raise UserError("engine", problem, f"use a machine with a GPU and its driver, {_INSTEAD}") from None
        self.name: str = properties["name"].decode()

    def compile(self, source: str, names: tuple[str, ...]) -> dict[str, Launch]:
        """The kernels, compiled for this device by CuPy, which caches them on disk."""
        module = self.xp.RawModule(code=source, options=OPTIONS)
        try:
            return {name: module.get_function(name) for name in names}
        except RuntimeError as error:  # no run-time compiler, or one that the driver does not support
            problem = f"CuPy cannot compile kernels ({str(error).splitlines()[0]})"
            raise UserError("engine", problem, f"pip install 'cupy-cuda12x[ctk]', {_INSTEAD}") from None

    def synchronize(self) -> None:
        """Wait for all launched work."""
        self.xp.cuda.get_current_stream().synchronize()


@cache
def find_device() -> Device:
    """The current CUDA device, by CuPy. `UserError` if CuPy is not installed, or there is no device."""
    return CudaDevice()
