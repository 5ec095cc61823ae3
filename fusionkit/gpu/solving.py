"""Which problems the kernels solve, and their iterations as a solver takes them."""

from __future__ import annotations

from typing import Any

from fusionkit.coupling import Arrays
from fusionkit.errors import RefusalError
from fusionkit.fast_spec import HasKernel, PixelwiseSpec, TotalVariation, supported
from fusionkit.fast_sums import FastCheck
from fusionkit.gpu import device
from fusionkit.gpu.engine import DeviceEngine
from fusionkit.problem import Split
from fusionkit.solver import State

_INSTEAD = "'engine: auto' runs it on the processor"


class DeviceIterations:
    """Primal-dual iterations and checks on the device; see `fusionkit.acceleration.OnePass`.

    Parameters
    ----------
    split : the problem, sorted.
    newton_steps : of the joint prox in each iteration.
    former : of the same problem with other parameters, whose memory is used on.
    """

    def __init__(self, split: Split, newton_steps: int, former: DeviceIterations | None = None) -> None:
        spec, tv = described(split)
        problem, found = split.problem, device.find_device()
        kept = None if former is None else former._engine
        self._engine = DeviceEngine(spec, tv, problem.shape, problem.dtype, newton_steps, found, kept)
        self._none = found.xp.empty(0, problem.dtype)  # the dual variable of no penalty

    def __call__(
        self, x: Any, auxiliary: Arrays, duals: Arrays, steps: tuple[float, ...], relaxation: float
    ) -> tuple[Any, Arrays]:
        """One iteration with the steps tau and sigma: the new x and duals; the arrays given are used again."""
        sigma = steps[1] if duals else 0.0
        x, p = self._engine.step(x, self._p(duals), steps[0], sigma, relaxation)
        return x, (p,) if duals else ()

    def check_on_device(self, state: State) -> FastCheck:
        """Values of the terms and the certificate; only sums leave the device."""
        return self._engine.check(state.x, self._p(state.duals))

    def _p(self, duals: Arrays) -> Any:
        return duals[0] if duals else self._none


def described(split: Split) -> tuple[PixelwiseSpec, TotalVariation | None]:
    """The terms as the kernels take them: pixelwise terms with bounds, and one total variation or none.

    Raises
    ------
    RefusalError : there is a term that no kernel is written for.
    """
    for term in (*split.smooth, *(() if split.proximable is None else (split.proximable,))):
        raise _refusal(term.name)
    for term in split.pixelwise:
        if not isinstance(term, HasKernel) or term.kernel is None:
            raise _refusal(term.name)
    tv = None
    for term in split.coupling.terms:
        kernel = term.kernel if isinstance(term, HasKernel) else None
        if tv is not None or not isinstance(kernel, TotalVariation):
            raise _refusal(term.name)
        tv = kernel
    spec = supported(split.pixelwise, split.bounds, split.problem.shape)
    if spec is None:
        what = "the combination of " + ", ".join(term.name for term in (*split.pixelwise, split.bounds))
        raise RefusalError("engine", f"no GPU kernel is written for {what}", _INSTEAD)
    return spec, tv


def require_kernels(solver: str, on_device: bool, split: Split) -> None:
    """Raise a `RefusalError` where the solver or a term of the problem has no kernels."""
    if not on_device:
        raise RefusalError("engine", f"cupy runs the solver chambolle_pock, not {solver}", _INSTEAD)
    described(split)


def _refusal(name: str) -> RefusalError:
    return RefusalError("engine", f"no GPU kernel is written for the term '{name}'", _INSTEAD)
