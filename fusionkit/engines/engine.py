"""The protocol of engines, which run whole iterations, and the operations that differ between NumPy and kernels."""

from collections.abc import Sequence
from typing import Any, Protocol

from fusionkit.engines.kernel_terms import PixelwiseSpec
from fusionkit.engines.sums import Evaluation, Sample
from fusionkit.pixelwise import PixelwiseProx
from fusionkit.problem import Split
from fusionkit.terms import Array, Arrays


class Engine(Protocol):
    """Primal-dual iterations of one problem in kernels. `fusionkit.engines.kernel_terms.ENGINES` lists the classes.

    The constructor takes (spec, penalty, shape, dtype, newton_steps, former=None): the pixelwise terms with the bounds,
    the kernel of the penalty, shape and dtype of the unknown, the Newton steps of the joint prox in each iteration, and
    an engine of the same class with other parameters of the terms, whose memory is reused.
    """

    @property
    def spec(self) -> PixelwiseSpec:
        """The pixelwise terms with the bounds."""
        ...

    def step(
        self,
        x: Array,
        auxiliary: Sequence[Array],
        duals: Sequence[Array],
        steps: Sequence[float],
        relaxation: float,
        boost: Array | None = None,
    ) -> tuple[Array, Arrays]:
        """One iteration.

        Parameters
        ----------
        x : the unknown, shape (n, ny, nx), C-contiguous; its memory is reused.
        auxiliary, duals : auxiliary unknowns and dual variables, updated in place.
        steps : tau and sigma.
        relaxation : rho; with rho = 1, x ends within the bounds and the duals in their balls.
        boost : local steps, see `fusionkit.engines.local_steps`; None for tau and sigma everywhere.

        Returns
        -------
        The new x and duals.
        """
        ...

    def boost(self, x: Array, scale: float, former: Any) -> Any:
        """As `fusionkit.engines.local_steps.local_boost`; None if the engine has no local steps."""
        ...

    def change(self) -> float:
        """||(x+ - x) / tau|| of the last iteration, which must have had rho = 1."""
        ...

    def check(
        self, x: Array, auxiliary: Sequence[Array], duals: Sequence[Array], sample: Sample | None = None
    ) -> Evaluation:
        """Values of the terms and the certificate, or estimates of both from a sample of the rows."""
        ...


class JointProx(Protocol):
    """The joint prox of the pixelwise terms within the bounds; see `fusionkit.pixelwise.PixelwiseProx`."""

    def __call__(self, v: Array, step: Any, start: Array, newton_steps: int = 1, out: Array | None = None) -> Array: ...


class Backend:
    """The operations of an engine; this base class computes in NumPy."""

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
