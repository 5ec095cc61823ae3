r"""pyproximal's primal-dual solver with fusionkit's terms, one iteration at a time.

For :math:`f(x) + g(K x)`, f being all pixelwise terms with the bounds (or one proximable term) in one joint prox, g the
functionals of all composed terms and K their stacked maps:

.. math::
    y^+ = \mathrm{prox}_{\mu g^*}(y + \mu K \bar x), \qquad
    x^+ = \mathrm{prox}_{\tau f}(x - \tau K^\top y^+), \qquad \bar x^+ = 2 x^+ - x

Step condition: :math:`\tau \mu \|K\|^2 \le 1`. This is `ChambollePock` without relaxation, with x extrapolated in place
of p and one dual step for all terms. It is meant for comparison, and shows that the terms work in that library.

Sources: A. Chambolle, T. Pock, J. Math. Imaging Vis. 40, 120 (2011); M. Ravasi et al., PyProximal, J. Open Source
Softw. 9, 6326 (2024), class ``pyproximal.optimization.cls_primaldual.PrimalDual``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from pyproximal.optimization.cls_primaldual import PrimalDual

from fusionkit.certificate import Certificate
from fusionkit.checkpoint.encode import SCRATCH
from fusionkit.functional import Vector
from fusionkit.machine import Held
from fusionkit.options import Positive
from fusionkit.problem import Slots, Split
from fusionkit.solver import NewtonSteps, Solver, SolverOptions, State
from fusionkit.solvers.pyproximal_parts import CoupledFunction, DirectFunction, stack, stacked_map, unstack
from fusionkit.solvers.steps import Balance, StallRule, adapt_steps, dual_steps, primal_step
from fusionkit.terms import Array


class PyproximalPrimalDualOptions(SolverOptions):
    """Options of `PyproximalPrimalDual`.

    Parameters
    ----------
    tau : primal step; None derives it, and adapts it if mu is None too.
    mu : dual step; None takes the longest that the step condition allows.
    newton_steps : Newton steps of the joint pixelwise prox in each iteration.
    """

    tau: Positive | None = None
    mu: Positive | None = None
    newton_steps: NewtonSteps = 1


@dataclass(frozen=True)
class PyproximalPrimalDualState(State):
    """pyproximal's solver with its flat vectors: extrapolation and dual variable."""

    engine: PrimalDual = field(metadata=SCRATCH)
    x_bar: Vector
    dual: Vector
    tau: float
    mu: float
    rule: StallRule = StallRule()
    balance: Balance = field(default_factory=Balance)


class PyproximalPrimalDual(Solver[PyproximalPrimalDualState]):
    """pyproximal's ``PrimalDual``; all pixelwise terms in one joint prox, one stacked dual variable."""

    name = "pyproximal_primal_dual"
    slots = Slots(pixelwise=True)
    held = Held(9, 3.3)
    options: PyproximalPrimalDualOptions

    def init(self, split: Split, x0: Array) -> PyproximalPrimalDualState:
        """pyproximal's solver, set up with the dual at zero."""
        tau = self.options.tau or primal_step(split, x0)
        mu = self._mu(split, tau)
        engine = PrimalDual()
        _, x_bar, dual = engine.setup(
            DirectFunction(split, x0, self.options.newton_steps),
            CoupledFunction(split),
            stacked_map(split, x0.dtype),
            x0.ravel(),
            tau,
            mu,
        )
        return PyproximalPrimalDualState(
            x=x0,
            auxiliary=split.coupling.auxiliary_zeros(x0.dtype),
            duals=unstack(split, dual),
            engine=engine,
            x_bar=x_bar,
            dual=dual,
            tau=tau,
            mu=mu,
        )

    def warmed(
        self, split: Split, state: PyproximalPrimalDualState, steps: Mapping[str, float]
    ) -> PyproximalPrimalDualState:
        """The duals as pyproximal's vector, and the former steps."""
        own = self.options.tau is not None or self.options.mu is not None
        tau = state.tau if own else steps.get("tau", state.tau)
        return replace(state, dual=stack(state.duals, state.x.dtype), tau=tau, mu=self._mu(split, tau))

    def _mu(self, split: Split, tau: float) -> float:
        if self.options.mu is not None:
            dual_steps(split, self.name, ("tau", tau), ("mu", self.options.mu))  # warns
            return self.options.mu
        square = sum(split.coupling.squared_norms())
        return 1.0 / (tau * square) if square else 1.0 / tau

    def step(self, split: Split, state: PyproximalPrimalDualState) -> PyproximalPrimalDualState:
        """One step of pyproximal's solver, with the steps in use and the joint prox started at the iterate."""
        engine = state.engine
        engine.proxf = DirectFunction(split, state.x, self.options.newton_steps)
        engine.tau, engine.mu = np.asarray(state.tau), np.asarray(state.mu)
        flat, x_bar, dual = engine.step(state.x.ravel(), state.x_bar, state.dual)
        return replace(state, x=flat.reshape(state.x.shape), duals=unstack(split, dual), x_bar=x_bar, dual=dual)

    def adapt(
        self, split: Split, state: PyproximalPrimalDualState, certificate: Certificate
    ) -> PyproximalPrimalDualState:
        """Balance derived steps; shorten tau if the certificate of a nonconvex problem stalls."""
        if self.options.tau is not None or self.options.mu is not None:
            return state
        rule, balance, factor = adapt_steps(split, state.rule, state.balance, certificate)
        tau = state.tau * factor
        return replace(state, tau=tau, mu=self._mu(split, tau), rule=rule, balance=balance)

    def steps(self, state: PyproximalPrimalDualState) -> dict[str, float]:
        """tau and mu."""
        return {"tau": state.tau, "mu": state.mu}
