"""Primal-dual iterations on a device as a solver takes them."""

from __future__ import annotations

from typing import Any

from fusionkit.engines.gpu import current
from fusionkit.engines.gpu.engine import DeviceEngine
from fusionkit.engines.gpu.split import DeviceSplit
from fusionkit.engines.sums import FastCheck, Sample
from fusionkit.problem import Split
from fusionkit.solver import State
from fusionkit.terms import Arrays


class DeviceIterations:
    """Whole iterations and checks by kernels; see `fusionkit.engines.choose.OnePass`.

    Parameters
    ----------
    split : the problem, all of whose terms the kernels know.
    newton_steps : of the joint prox in each iteration.
    former : of the same problem with other parameters, whose memory is used on.
    """

    def __init__(self, split: DeviceSplit, newton_steps: int, former: DeviceIterations | None = None) -> None:
        problem, found = split.problem, current.find_device()
        kept = None if former is None else former._engine
        self._engine = DeviceEngine(split.spec, split.tv, problem.shape, problem.dtype, newton_steps, found, kept)
        self._none = found.xp.empty(0, problem.dtype)  # the dual variable of no penalty

    def __call__(
        self, x: Any, auxiliary: Arrays, duals: Arrays, steps: tuple[float, ...], relaxation: float
    ) -> tuple[Any, Arrays]:
        """One iteration with the steps tau and sigma: the new x and duals; the arrays given are used again."""
        sigma = steps[1] if duals else 0.0
        x, p = self._engine.step(x, self._p(duals), steps[0], sigma, relaxation)
        return x, (p,) if duals else ()

    def check_on_device(self, state: State, sample: Sample | None) -> FastCheck:
        """Values of the terms and the certificate; only sums leave the device."""
        return self._engine.check(state.x, self._p(state.duals), sample)

    def change(self) -> float:
        """||x+ - x|| of the last iteration."""
        return self._engine.change()

    def _p(self, duals: Arrays) -> Any:
        return duals[0] if duals else self._none


def device_iterations(split: Split, newton_steps: int, former: object) -> DeviceIterations | None:
    """Whole iterations by kernels; None where a penalty has none and runs by the array module."""
    assert isinstance(split, DeviceSplit)
    if not split.fused:
        return None
    return DeviceIterations(split, newton_steps, former if isinstance(former, DeviceIterations) else None)
