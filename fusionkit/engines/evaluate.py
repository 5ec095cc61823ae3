"""Values and certificate of an iterate: in kernels if they take every term, otherwise by the definitions."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

from fusionkit.arrays import on_host
from fusionkit.certificate import Certificate, certify
from fusionkit.engines.choose import backend_of
from fusionkit.engines.engine import Engine
from fusionkit.engines.sums import Evaluation, Sample
from fusionkit.problem import Split
from fusionkit.terms import Array, Arrays

_STRIDE = 32  # greatest distance between the rows of a sample
_LEAST_ROWS = 8  # of a sample


class Iterate(Protocol):
    """The state of a solve; a `fusionkit.solver.State` is one.

    Attributes
    ----------
    x, auxiliary, duals : the unknown, the auxiliary unknowns and the dual variables.
    change : ||x+ - x|| / tau of the last iteration; None if the solver does not measure it.
    fused : the engine that runs the iterations; None without one.
    """

    @property
    def x(self) -> Array: ...
    @property
    def auxiliary(self) -> Arrays: ...
    @property
    def duals(self) -> Arrays: ...
    @property
    def change(self) -> float | None: ...
    @property
    def fused(self) -> Engine | None: ...


class Evaluator:
    """Computes the value of each term and the certificate at the iterates of one solve.

    Parameters
    ----------
    split : the problem, sorted.
    former : evaluator of the same problem with other parameters, whose memory is reused.
    """

    def __init__(self, split: Split, former: Evaluator | None = None) -> None:
        self.split = split
        self._former = None if former is None else former.__dict__.get("_own_engine")

    def __call__(self, iterate: Iterate) -> tuple[dict[str, float], Certificate]:
        """Values and certificate of x, the auxiliary unknowns and the dual variables."""
        split, result = self.split, self._in_kernels(iterate, None)
        if result is None:
            certificate = certify(split, iterate.x, iterate.auxiliary, iterate.duals)
            return split.values(iterate.x, iterate.auxiliary), certificate
        if result.certificate is not None:
            return self.named(result), result.certificate
        original, duals = backend_of(split).original(split), tuple(on_host(p) for p in iterate.duals)
        return self.named(result), certify(original, on_host(iterate.x), iterate.auxiliary, duals)

    def estimate(self, iterate: Iterate) -> tuple[Certificate, Evaluation] | None:
        """A cheap estimate of certificate and values, from a sample of the rows; None without `Iterate.change`."""
        if iterate.change is None:
            return None
        stride = min(_STRIDE, self.split.problem.shape[1] // _LEAST_ROWS)
        result = self._in_kernels(iterate, Sample(stride, iterate.change)) if stride > 1 else None
        return None if result is None or result.certificate is None else (result.certificate, result)

    def named(self, result: Evaluation) -> dict[str, float]:
        """The value of each term by its name."""
        values = {term.name: value for term, value in zip(self.split.coupling.terms, result.penalties, strict=False)}
        # on a device the pixelwise terms are among the smooth ones
        pixelwise = (*self.split.smooth, *self.split.pixelwise)
        values.update((term.name, result.values[place]) for term, place in zip(pixelwise, result.order, strict=True))
        return self.split.ordered(values)

    @cached_property
    def _own_engine(self) -> Engine | None:
        """The engine that checks the iterates of a solver without one."""
        return backend_of(self.split).engine(self.split, 1, self._former)

    def _in_kernels(self, iterate: Iterate, sample: Sample | None) -> Evaluation | None:
        """The evaluation in kernels; None if they do not take the terms."""
        engine = iterate.fused or self._own_engine
        return None if engine is None else engine.check(iterate.x, iterate.auxiliary, iterate.duals, sample)
