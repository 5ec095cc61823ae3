r"""pyproximal's ADMM with fusionkit's terms, one iteration at a time.

Its form is min f(X) + g(Z) subject to X = Z. With X = (u, y), the unknown and the images of all composed terms:

.. math::
    f(X) = G(u) + \sum_j g_j(y_j), \qquad g(Z) = 0 \text{ where } Z = (x, K x), \text{ else } \infty

.. math::
    X^+ = \mathrm{prox}_{\tau f}(Z - U), \qquad Z^+ = \mathrm{proj}(X^+ + U), \qquad U^+ = U + X^+ - Z^+

The prox of f is separable and the projection onto the graph of K is exact by cosine transform, so that it is the split
of `ADMM` with :math:`\rho = 1/\tau`. u, which is feasible, is the iterate that is reported, and the dual variables are
the subgradients :math:`p_j = (v_j - y_j)/\tau` that the prox at v = Z - U gives.

Sources: S. Boyd et al., Found. Trends Mach. Learn. 3, 1 (2011); N. Parikh, S. Boyd, Math. Program. Comput. 6, 77 (2014)
(graph form); M. Ravasi et al., PyProximal, J. Open Source Softw. 9, 6326 (2024), class
``pyproximal.optimization.cls_primal.ADMM``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyproximal
from pyproximal.optimization.cls_primal import ADMM

from fusionkit.certificate import Certificate
from fusionkit.checkpoint.encode import SCRATCH
from fusionkit.functional import Vector
from fusionkit.machine import Held
from fusionkit.options import Positive
from fusionkit.problem import Problem, Slots, Split
from fusionkit.solver import NewtonSteps, Solver, SolverOptions, State
from fusionkit.solvers.admm import require_cosine_maps
from fusionkit.solvers.pyproximal_parts import CoupledFunction, DirectFunction, Graph, stack, unstack
from fusionkit.solvers.steps import Balance, StallRule, adapt_steps, primal_step
from fusionkit.terms import Array


class PyproximalADMMOptions(SolverOptions):
    """Options of `PyproximalADMM`.

    Parameters
    ----------
    tau : step, the inverse of the penalty parameter; None derives and adapts it.
    newton_steps : Newton steps of the joint pixelwise prox in each iteration.
    """

    tau: Positive | None = None
    newton_steps: NewtonSteps = 2


@dataclass(frozen=True)
class PyproximalADMMState(State):
    """pyproximal's solver with its flat vectors Z and U, the scaled multiplier."""

    engine: ADMM = field(metadata=SCRATCH)
    z: Vector
    multiplier: Vector
    tau: float
    rule: StallRule = StallRule()
    balance: Balance = field(default_factory=Balance)


class PyproximalADMM(Solver[PyproximalADMMState]):
    """pyproximal's ``ADMM`` in graph form; for penalties of the gradient or of x itself."""

    name = "pyproximal_admm"
    slots = Slots(pixelwise=True)
    held = Held(13, 9.5)
    options: PyproximalADMMOptions

    @classmethod
    def accepts(cls, problem: Problem) -> Split:
        """The split; every linear map must be diagonal in the cosine basis."""
        split = super().accepts(problem)
        require_cosine_maps(split)
        return split

    def init(self, split: Split, x0: Array) -> PyproximalADMMState:
        """pyproximal's solver, set up with copies that agree and the multiplier at zero."""
        start = stack((x0, *split.coupling.apply(x0)), x0.dtype)
        tau = self.options.tau or 4.0 * primal_step(split, x0)  # as `ADMM`
        engine = ADMM()
        _, z = engine.setup(self._function(split, x0), Graph(split), start, tau, z0=start)
        return PyproximalADMMState(*split.coupling.start(x0), engine=engine, z=z, multiplier=engine.u, tau=tau)

    def warmed(self, split: Split, state: PyproximalADMMState, steps: Mapping[str, float]) -> PyproximalADMMState:
        """The multiplier of these duals at a solution, U = tau (sum_j K_j' p_j, -p)."""
        tau = self.options.tau or steps.get("tau", state.tau)
        slope = split.coupling.adjoint(state.duals, np.empty_like(state.x))
        multiplier = stack((slope, *(-p for p in state.duals)), slope.dtype) * slope.dtype.type(tau)
        return replace(state, multiplier=multiplier, tau=tau)

    def _function(self, split: Split, start: Array) -> pyproximal.ProxOperator:
        images = sum(int(np.prod(term.operator.range)) for term in split.coupling.terms)
        direct = DirectFunction(split, start, self.options.newton_steps)
        # its annotations differ from its code and its documentation
        parts: list[Any] = [direct, CoupledFunction(split)]
        sizes: list[Any] = [start.size, images]
        return pyproximal.VStack(parts, nn=sizes)

    def step(self, split: Split, state: PyproximalADMMState) -> PyproximalADMMState:
        """One step of pyproximal's solver, with the step in use and the joint prox started at the iterate."""
        engine, size = state.engine, state.x.size
        engine.proxf, engine.u, engine.tau = self._function(split, state.x), state.multiplier, state.tau
        v = (state.z - engine.u)[size:]
        copies, z = engine.step(state.z, state.z)
        v -= copies[size:]
        v *= v.dtype.type(1.0 / state.tau)
        x = copies[:size].reshape(state.x.shape)
        return replace(state, x=x, duals=unstack(split, v), z=z, multiplier=engine.u)

    def adapt(self, split: Split, state: PyproximalADMMState, certificate: Certificate) -> PyproximalADMMState:
        """Balance a derived tau, and shorten it if the certificate of a nonconvex problem stalls; the duals stay."""
        if self.options.tau is not None:
            return state
        rule, balance, factor = adapt_steps(split, state.rule, state.balance, certificate)
        multiplier = state.multiplier * state.x.dtype.type(factor)
        return replace(state, multiplier=multiplier, tau=state.tau * factor, rule=rule, balance=balance)

    def steps(self, state: PyproximalADMMState) -> dict[str, float]:
        """The step tau."""
        return {"tau": state.tau}
