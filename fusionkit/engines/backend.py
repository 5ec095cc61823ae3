"""Where a problem is solved: the operations that differ between NumPy, the processor's kernels and a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fusionkit.engines.engine import Engine
from fusionkit.pixelwise import PixelwiseProx
from fusionkit.problem import Split
from fusionkit.terms import Array, Arrays


class JointProx(Protocol):
    """The joint prox of the pixelwise terms within the bounds; see `fusionkit.pixelwise.PixelwiseProx`."""

    def __call__(
        self, v: Array, step: float, start: Array, newton_steps: int = 1, out: Array | None = None
    ) -> Array: ...


class Backend:
    """Where a problem is solved; here in NumPy."""

    def require(self) -> None:
        """Raise a `UserError` where it is not installed, or lacks its device."""

    def place(self, split: Split, solver: str, runs_on_device: bool) -> Split:
        """The problem where it is solved; `RefusalError` where solver or terms cannot be there."""
        return split

    def original(self, split: Split) -> Split:
        """The problem for arrays of NumPy that `place` was given."""
        return split

    def put(self, arrays: Sequence[Array]) -> Arrays:
        """Arrays where the iterations want them: as they are, or copies on a device."""
        return tuple(arrays)

    def joint_prox(self, split: Split) -> JointProx:
        """The joint prox of the pixelwise terms within the bounds."""
        return PixelwiseProx(split.pixelwise, split.bounds)

    def fuses(self, split: Split) -> bool:
        """Whether kernels take whole iterations, in which case a solve holds little more than x and p."""
        return False

    def engine(self, split: Split, newton_steps: int, former: Engine | None = None) -> Engine | None:
        """Whole iterations and checks by kernels; None where NumPy, or the array module, has to do them.

        Parameters
        ----------
        split : the problem, sorted.
        newton_steps : of the joint prox in each iteration.
        former : an engine of the same problem with other parameters, whose memory is used.
        """
        return None

    def used(self, split: Split) -> str:
        """``cupy`` on a GPU, ``numba`` where a compiled kernel takes part, else ``numpy``."""
        return "numpy"

    def device(self) -> str:
        """The name of the GPU; empty where there is none."""
        return ""

    def notes(self, split: Split) -> tuple[str, ...]:
        """Which terms fall back to slower code, and why."""
        return ()

    def announce(self, split: Split) -> None:
        """Log that kernels are about to be compiled, where this solve is the first to need them."""
