"""What the GPU engine asks of a device."""

from __future__ import annotations

from typing import Any, Protocol


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
