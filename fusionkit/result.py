"""The result of a solve, with its status and its trace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fusionkit.calibration import Parameter
from fusionkit.certificate import Certificate
from fusionkit.problem import Problem
from fusionkit.terms import Array


class Status(StrEnum):
    """How a solve ended."""

    CONVERGED = "converged"
    MAX_ITERATIONS = "max_iterations"
    STALLED = "stalled"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Result:
    """The outcome of one solve.

    Parameters
    ----------
    x : the unknown, (n, ny, nx) for maps, in the units of the maps.
    labels : of the first axis: elements in the config's order.
    status : how it ended.
    message : the same in one sentence.
    iterations : solver steps taken.
    objective : F(x), float64.
    terms : value of each term by its name.
    certificate : the optimality certificate of ``x``.
    trace : columns by name, one entry per check: ``iteration``, ``seconds``, ``objective``, ``optimality``,
        ``stationarity``, ``alignment``, ``feasibility`` and ``term.<name>``.
    looks : estimates of the same columns, one entry per look; empty if every look was a check.
    steps : the step sizes used last, by name.
    seconds : time of the solve without the compilation of kernels.
    notes : for the user: which term was smoothed, which step overridden, which term fell back to NumPy and why.
    duals : the dual variable of each composed term by its name.
    auxiliary : the auxiliary unknown of each composed term that has one (TGV), by its name.
    parameters : fitted parameters by the names of term and parameter; empty if nothing was fitted.
    problem : the objective with these parameters; None if nothing was fitted.
    engine : ``cupy`` on a GPU, ``numba`` if compiled kernels took part, else ``numpy``.
    device : name of the GPU; empty without one.
    """

    x: Array
    labels: tuple[str, ...]
    status: Status
    message: str
    iterations: int
    objective: float
    terms: Mapping[str, float]
    certificate: Certificate
    trace: Mapping[str, Array]
    steps: Mapping[str, float]
    seconds: float
    notes: tuple[str, ...] = ()
    duals: Mapping[str, Array] = field(default_factory=dict)
    auxiliary: Mapping[str, Array] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Parameter]] = field(default_factory=dict)
    problem: Problem | None = field(default=None, repr=False)
    looks: Mapping[str, Array] = field(default_factory=dict)
    engine: str = "numpy"
    device: str = ""

    @property
    def optimality(self) -> float:
        """The relative optimality of the certificate."""
        return self.certificate.optimality

    @property
    def maps(self) -> dict[str, Array]:
        """The unknown by label: fused map (ny, nx) of each element."""
        return dict(zip(self.labels, self.x, strict=True))
