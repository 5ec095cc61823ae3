r"""Primal-dual hybrid gradient (Chambolle & Pock, 2011) with the joint pixelwise prox.

For :math:`G(x) + \sum_j g_j(K_j x + A_j w_j)`, G being all pixelwise terms with the bounds (or one proximable term):

.. math::
    p_j &\leftarrow \mathrm{prox}_{\sigma_j g_j^*}(p_j + \sigma_j (K_j \bar x + A_j \bar w_j)) \\
    x^+ &= \mathrm{prox}_{\tau G}(x - \tau \sum_j K_j^\top p_j), \qquad w_j^+ = w_j - \tau A_j^\top p_j \\
    \bar x &= 2 x^+ - x, \qquad \bar w_j = 2 w_j^+ - w_j

Step condition: :math:`\tau \sum_j \sigma_j \|(K_j, A_j)\|^2 \le 1`. The HAADF term is weakly convex, so tau must also
stay below the inverse of its negative curvature: tau is derived from the curvature at the start and shortened when the
certificate stops improving, and balanced against sigma.

Source: A. Chambolle, T. Pock, J. Math. Imaging Vis. 40, 120 (2011), algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from fusionkit.acceleration import compiled_engine, joint_prox
from fusionkit.certificate import Certificate
from fusionkit.coupling import Arrays
from fusionkit.options import Positive
from fusionkit.problem import Slots, Split
from fusionkit.solver import Solver, SolverOptions, State
from fusionkit.solvers.steps import Balance, StallRule, adapt_steps, dual_steps, primal_step
from fusionkit.terms import Array

if TYPE_CHECKING:
    from fusionkit.fast_engine import Engine


class ChambollePockOptions(SolverOptions):
    """Options of `ChambollePock`.

    Parameters
    ----------
    tau : primal step; None derives it from the curvature of the terms; adapted where sigma is None too.
    sigma : dual step of every composed term; None takes the longest that the step condition allows.
    newton_steps : Newton steps of the joint pixelwise prox in each iteration.
    """

    tau: Positive | None = None
    sigma: Positive | None = None
    newton_steps: Annotated[int, Field(ge=1, le=100)] = 1


@dataclass(frozen=True)
class PrimalDualState(State):
    """x and w, their extrapolations, steps, the record of the step rule and, where it fits, the compiled engine."""

    x_bar: Array
    auxiliary_bar: Arrays
    buffer: Array
    tau: float
    sigmas: tuple[float, ...]
    rule: StallRule = StallRule()
    engine: Engine | None = None
    balance: Balance = field(default_factory=Balance)


class ChambollePock(Solver[PrimalDualState]):
    """Primal-dual hybrid gradient; all pixelwise terms in one joint prox, a dual variable for every other term."""

    name = "chambolle_pock"
    slots = Slots(pixelwise=True, auxiliary=True)

    def __init__(self, options: ChambollePockOptions) -> None:
        super().__init__(options)
        self.options: ChambollePockOptions = options

    def init(self, split: Split, x0: Array) -> PrimalDualState:
        """Duals and auxiliary unknowns at zero."""
        coupling = split.coupling
        tau = self.options.tau or primal_step(split, x0)
        auxiliary = coupling.auxiliary_zeros(x0.dtype)
        sigmas = self._sigmas(split, tau)
        return PrimalDualState(
            x=x0,
            auxiliary=auxiliary,
            duals=coupling.zeros(x0.dtype),
            x_bar=x0.copy(),
            auxiliary_bar=auxiliary,
            buffer=np.empty_like(x0),
            tau=tau,
            sigmas=sigmas,
            engine=compiled_engine(split, self.options.newton_steps),
        )

    def _sigmas(self, split: Split, tau: float) -> tuple[float, ...]:
        return dual_steps(split, self.name, ("tau", tau), ("sigma", self.options.sigma))

    def step(self, split: Split, state: PrimalDualState) -> PrimalDualState:
        """One dual and one primal step; in place and in one pass over memory where the compiled engine fits."""
        if state.engine is not None:
            state.engine.step(state.x, state.x_bar, state.duals[0], state.tau, state.sigmas[0])
            return state
        coupling = split.coupling
        duals = []
        for index, image in enumerate(coupling.apply(state.x_bar, state.auxiliary_bar)):
            image *= image.dtype.type(state.sigmas[index])
            image += state.duals[index]
            duals.append(coupling.proxdual(index, image, state.sigmas[index]))
        pulled = coupling.adjoint(duals, state.buffer)
        pulled *= -pulled.dtype.type(state.tau)
        pulled += state.x
        new = self._prox(split, pulled, state)
        x_bar = np.multiply(new, 2, out=pulled)
        x_bar -= state.x
        auxiliary, auxiliary_bar = [], []
        for w, slope in zip(state.auxiliary, coupling.auxiliary_adjoint(duals), strict=True):
            auxiliary.append(w - w.dtype.type(state.tau) * slope)
            auxiliary_bar.append(2 * auxiliary[-1] - w)
        return replace(
            state,
            x=new,
            auxiliary=tuple(auxiliary),
            duals=tuple(duals),
            x_bar=x_bar,
            auxiliary_bar=tuple(auxiliary_bar),
            buffer=state.x,
        )

    def _prox(self, split: Split, v: Array, state: PrimalDualState) -> Array:
        if split.proximable is not None:
            return split.proximable.prox(v, state.tau, out=state.x_bar)
        joint = joint_prox(split)
        return joint(v, state.tau, state.x, self.options.newton_steps, out=state.x_bar)

    def adapt(self, split: Split, state: PrimalDualState, certificate: Certificate) -> PrimalDualState:
        """Balance derived steps; shorten tau where the certificate of a nonconvex problem has not improved."""
        if self.options.tau is not None or self.options.sigma is not None:
            return state
        rule, balance, factor = adapt_steps(split, state.rule, state.balance, certificate)
        tau = state.tau * factor
        return replace(state, tau=tau, sigmas=self._sigmas(split, tau), rule=rule, balance=balance)

    def steps(self, state: PrimalDualState) -> dict[str, float]:
        """tau and the sigma of each composed term."""
        return {"tau": state.tau, **{f"sigma_{i}": sigma for i, sigma in enumerate(state.sigmas)}}
