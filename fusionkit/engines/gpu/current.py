"""The device of this machine."""

from __future__ import annotations

from functools import cache

from fusionkit.engines.gpu.cuda import CudaDevice
from fusionkit.engines.gpu.device import Device


@cache
def find_device() -> Device:
    """The current CUDA device, by CuPy.

    Raises
    ------
    UserError : CuPy is not installed, or there is no device.
    """
    return CudaDevice()
