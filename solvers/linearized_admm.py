r"""Linearised ADMM with the joint pixelwise prox: copies as in ADMM, but no linear solve.

For :math:`G(x) + \sum_j g_j(z_j)` subject to :math:`z_j = K_j x + A_j w_j`, G being all pixelwise terms with the bounds
(or one proximable term), with the multipliers :math:`p_j = \rho_j b_j`:

.. math::
    x^+ &= \mathrm{prox}_{\mu G}(x - \mu \sum_j K_j^\top s_j), \qquad w_j^+ = w_j - \mu A_j^\top s_j, \qquad
        s_j = p_j + \rho_j (K_j x + A_j w_j - z_j) \\
    y_j &= \alpha (K_j x^+ + A_j w_j^+) + (1 - \alpha) z_j, \qquad z_j^+ = \mathrm{prox}_{g_j/\rho_j}(y_j + p_j /
    \rho_j) \\
    p_j^+ &= p_j + \rho_j (y_j - z_j^+)

Step condition: :math:`\mu \sum_j \rho_j \|(K_j, A_j)\|^2 \le 1`. mu is derived as for `ChambollePock`, balanced against
rho by the certificate, and shortened if the certificate of a nonconvex problem stalls.

Sources: N. Parikh, S. Boyd, Found. Trends Optim. 1, 127 (2014), section 4.4.2; E. Esser, X. Zhang, T. F. Chan, SIAM J.
Imaging Sci. 3, 1015 (2010), the split inexact Uzawa method; over-relaxation: E. X. Fang, B. He, H. Liu, X. Yuan, Math.
Program. Comput. 7, 149 (2015).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fusionkit.certificate import Certificate
from fusionkit.checkpoint.encode import SCRATCH
from fusionkit.engines.choose import direct_prox
from fusionkit.machine import Held
from fusionkit.options import Positive
from fusionkit.problem import Slots, Split
from fusionkit.solver import NewtonSteps, Relaxation, Solver, SolverOptions, State
from fusionkit.solvers.steps import Balance, StallRule, adapt_steps, dual_steps, primal_step
from fusionkit.terms import Array, Arrays


class LinearizedADMMOptions(SolverOptions):
    """Options of `LinearizedADMM`.

    Parameters
    ----------
    mu : primal step; None derives it, and adapts it if rho is None too.
    rho : penalty parameter of every composed term; None takes the largest that the step condition allows.
    relaxation : alpha in (0, 2); 1 is the plain method. On DyScO3 1, 1.7 and 1.8 took 510, 430 and 390 iterations.
    newton_steps : Newton steps of the joint pixelwise prox in each iteration.
    """

    mu: Positive | None = None
    rho: Positive | None = None
    relaxation: Relaxation = 1.8
    newton_steps: NewtonSteps = 1


@dataclass(frozen=True)
class LinearizedADMMState(State):
    """x with its images K x + A w, their copies z, and the steps."""

    images: Arrays
    copies: Arrays
    buffer: Array = field(metadata=SCRATCH)
    mu: float
    rhos: tuple[float, ...]
    rule: StallRule = StallRule()
    balance: Balance = field(default_factory=Balance)


class LinearizedADMM(Solver[LinearizedADMMState]):
    """Linearised ADMM; all pixelwise terms in one joint prox, a copy and a multiplier for every other term."""

    name = "linearized_admm"
    slots = Slots(pixelwise=True, auxiliary=True)
    held = Held(9, 3.6)
    options: LinearizedADMMOptions

    def init(self, split: Split, x0: Array) -> LinearizedADMMState:
        """Copies that agree, multipliers at zero."""
        coupling = split.coupling
        mu = self.options.mu or primal_step(split, x0)
        return LinearizedADMMState(
            *coupling.start(x0),
            images=coupling.apply(x0),
            copies=coupling.apply(x0),
            buffer=np.empty_like(x0),
            mu=mu,
            rhos=self._rhos(split, mu),
        )

    def warmed(self, split: Split, state: LinearizedADMMState, steps: Mapping[str, float]) -> LinearizedADMMState:
        """Images of the former auxiliary unknowns, copies that agree with them, and the former steps."""
        images, copies = (split.coupling.apply(state.x, state.auxiliary) for _ in range(2))
        own = self.options.mu is not None or self.options.rho is not None
        mu = state.mu if own else steps.get("mu", state.mu)
        return replace(state, images=images, copies=copies, mu=mu, rhos=self._rhos(split, mu))

    def _rhos(self, split: Split, mu: float) -> tuple[float, ...]:
        return dual_steps(split, self.name, ("mu", mu), ("rho", self.options.rho))

    def step(self, split: Split, state: LinearizedADMMState) -> LinearizedADMMState:
        """One linearised step in x, one prox of each copy, one multiplier step."""
        coupling = split.coupling
        slopes = []
        for image, z, p, rho in zip(state.images, state.copies, state.duals, state.rhos, strict=True):
            image -= z
            image *= image.dtype.type(rho)
            image += p
            slopes.append(image)
        prox_input = coupling.adjoint(slopes, state.buffer)
        prox_input *= -prox_input.dtype.type(state.mu)
        prox_input += state.x
        x = direct_prox(split, prox_input, state.mu, state.x, self.options.newton_steps)
        auxiliary = tuple(
            w - w.dtype.type(state.mu) * slope
            for w, slope in zip(state.auxiliary, coupling.auxiliary_adjoint(slopes), strict=True)
        )
        images = coupling.apply(x, auxiliary, out=slopes)
        copies, duals = [], []
        for index, (image, p, rho) in enumerate(zip(images, state.duals, state.rhos, strict=True)):
            v = state.copies[index]
            v *= v.dtype.type(1.0 - self.options.relaxation)
            v += image * image.dtype.type(self.options.relaxation)
            v += p * p.dtype.type(1.0 / rho)
            copies.append(coupling.prox(index, v, 1.0 / rho))
            v -= copies[-1]
            v *= v.dtype.type(rho)
            duals.append(v)
        return replace(
            state, x=x, auxiliary=auxiliary, duals=tuple(duals), images=images, copies=tuple(copies), buffer=prox_input
        )

    def adapt(self, split: Split, state: LinearizedADMMState, certificate: Certificate) -> LinearizedADMMState:
        """Balance derived steps; shorten mu if the certificate of a nonconvex problem stalls."""
        if self.options.mu is not None or self.options.rho is not None:
            return state
        rule, balance, factor = adapt_steps(split, state.rule, state.balance, certificate)
        mu = state.mu * factor
        return replace(state, mu=mu, rhos=self._rhos(split, mu), rule=rule, balance=balance)

    def steps(self, state: LinearizedADMMState) -> dict[str, float]:
        """mu and the rho of each composed term."""
        return {"mu": state.mu, **{f"rho_{i}": rho for i, rho in enumerate(state.rhos)}}
