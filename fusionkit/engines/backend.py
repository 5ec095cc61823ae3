"""The operations that differ between NumPy, compiled kernels and a GPU."""

from collections.abc import Sequence
from typing import Any, Protocol

from fusionkit.engines.engine import Engine
from fusionkit.pixelwise import PixelwiseProx
from fusionkit.problem import Split
from fusionkit.terms import Array, Arrays


class JointProx(Protocol):
    """The joint prox of the pixelwise terms within the bounds; see `fusionkit.pixelwise.PixelwiseProx`."""

    def __call__(self, v: Array, step: Any, start: Array, newton_steps: int = 1, out: Array | None = None) -> Array: ...


class Backend:
    """The base class, which computes in NumPy."""

    def require(self) -> None:
        """Raise a `UserError` if a library or the device is missing."""

    def place(self, split: Split, solver: str, runs_on_device: bool) -> Split:
        """Move the problem to the device; `RefusalError` if the solver or a term cannot run there."""
        return split

    def original(self, split: Split) -> Split:
        """The problem for NumPy arrays that `place` moved."""
        return split

    def put(self, arrays: Sequence[Array]) -> Arrays:
        """The arrays for the iterations: unchanged, or copies on a device."""
        return tuple(arrays)

    def joint_prox(self, split: Split) -> JointProx:
        """The joint prox of the pixelwise terms within the bounds."""
        return PixelwiseProx(split.pixelwise, split.bounds)

    def fuses(self, split: Split) -> bool:
        """Whether kernels run whole iterations; a solve then holds little more than x and p."""
        return False

    def engine(self, split: Split, newton_steps: int, former: Engine | None = None) -> Engine | None:
        """An engine that runs whole iterations and checks; None if NumPy or the array module must run them.

        Parameters
        ----------
        split : the problem, sorted.
        newton_steps : Newton steps of the joint prox in each iteration.
        former : engine of the same problem with other parameters, whose memory is reused.
        """
        return None

    def used(self, split: Split) -> str:
        """``cupy`` on a GPU, ``numba`` if a compiled kernel takes part, else ``numpy``."""
        return "numpy"

    def device(self) -> str:
        """The name of the GPU; empty without one."""
        return ""

    def notes(self, split: Split) -> tuple[str, ...]:
        """Which terms fall back to slower code, and why."""
        return ()

    def announce(self, split: Split) -> None:
        """Log that kernels are about to be compiled, if this solve is the first to need them."""
