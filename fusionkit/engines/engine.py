"""The protocol of engines, which run whole iterations and checks of a solve in kernels."""

from collections.abc import Sequence
from typing import Protocol

from fusionkit.engines.kernel_terms import PixelwiseSpec
from fusionkit.engines.sums import Evaluation, Sample
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

    def boost(self, x: Array, scale: float, former: Array | None) -> Array | None:
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
