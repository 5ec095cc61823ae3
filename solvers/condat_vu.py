r"""Condat-Vu primal-dual splitting: gradient steps on the smooth terms, with backtracking.

For :math:`f(x) + G(x) + \sum_j g_j(K_j x + A_j w_j)`, f smooth:

.. math::
    x^+ &= \mathrm{prox}_{\tau G}(x - \tau (\nabla f(x) + \sum_j K_j^\top p_j)), \qquad w_j^+ = w_j - \tau A_j^\top p_j
    \\ p_j^+ &= \mathrm{prox}_{\sigma_j g_j^*}(p_j + \sigma_j (K_j (2 x^+ - x) + A_j (2 w_j^+ - w_j)))

Step condition: :math:`1/\tau - \sum_j \sigma_j \|(K_j, A_j)\|^2 \ge L / 2`. The gradient of a HAADF term is not
Lipschitz, so L is raised until :math:`f(x^+) \le f(x) + \langle \nabla f(x), x^+ - x\rangle + L/2 \|x^+ -
x\|^2`.

Sources: L. Condat, J. Optim. Theory Appl. 158, 460 (2013); B. C. Vu, Adv. Comput. Math. 38, 667 (2013).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fusionkit.certificate import Certificate
from fusionkit.machine import Held
from fusionkit.options import Positive
from fusionkit.problem import Slots, Split
from fusionkit.solver import Solver, SolverOptions, State
from fusionkit.solvers.forward_step import curvature_between, descends, gradient_of, value_of
from fusionkit.solvers.steps import Balance, StallRule, adapt_steps, is_convex, warn_broken
from fusionkit.terms import Array, Arrays


class CondatVuOptions(SolverOptions):
    """Options of `CondatVu`.

    Parameters
    ----------
    tau : primal step; None finds it by backtracking. No fixed step is safe with a HAADF term.
    sigma : dual step of every composed term; None takes sum_j sigma_j ||K_j||^2 = 1 / (2 tau) and adapts it.
    """

    tau: Positive | None = None
    sigma: Positive | None = None


@dataclass(frozen=True)
class CondatVuState(State):
    """x with f and its gradient there, L, and the share of the duals in 1/tau."""

    value: float
    gradient: Array
    lipschitz: float
    share: float = 1.0
    rule: StallRule = StallRule(least=0.15)
    balance: Balance = field(default_factory=Balance)


class CondatVu(Solver[CondatVuState]):
    """Condat-Vu: gradient steps on smooth terms with backtracking, a dual variable for every composed term."""

    name = "condat_vu"
    slots = Slots(smooth=True, auxiliary=True)
    held = Held(12, 3)
    options: CondatVuOptions

    def init(self, split: Split, x0: Array) -> CondatVuState:
        """Duals at zero; L from the curvature along the first gradient step."""
        gradient = gradient_of(split.smooth, x0)
        lipschitz = 1.0 / self.options.tau if self.options.tau else curvature_between(split, x0, gradient)
        state = CondatVuState(*split.coupling.start(x0), value_of(split.smooth, x0), gradient, lipschitz)
        self._warn(split, state)
        return state

    def warmed(self, split: Split, state: CondatVuState, steps: Mapping[str, float]) -> CondatVuState:
        """The former L and share of the duals, unless the options name a step."""
        if self.options.tau is not None or self.options.sigma is not None or not {"tau", "lipschitz"} <= steps.keys():
            return state
        lipschitz = steps["lipschitz"]
        return replace(state, lipschitz=lipschitz, share=max(1.0 / (steps["tau"] * lipschitz) - 1.0, 1e-3))

    def _tau(self, lipschitz: float, share: float) -> float:
        # 1/tau = L (1 + share): L bounds the smooth terms (L/2 suffices), the rest the duals
        return self.options.tau or 1.0 / (lipschitz * (1.0 + share))

    def _sigmas(self, split: Split, tau: float, share: float) -> tuple[float, ...]:
        squares = split.coupling.squared_norms()
        if self.options.sigma is not None:
            return (self.options.sigma,) * len(squares)
        total = share / ((1.0 + share) * tau)
        return tuple(total / (len(squares) * square) if square else 1.0 / tau for square in squares)

    def _warn(self, split: Split, state: CondatVuState) -> None:
        if self.options.tau is None and self.options.sigma is None:
            return
        tau = self._tau(state.lipschitz, state.share)
        sigmas = self._sigmas(split, tau, state.share)
        used = sum(s * q for s, q in zip(sigmas, split.coupling.squared_norms(), strict=True))
        needed = curvature_between(split, state.x, state.gradient) / 2
        if 1.0 / tau - used < needed * (1 - 1e-6):
            warn_broken(
                self.name,
                f"tau {tau:g} breaks 1/tau - sum sigma ||K||^2 >= L/2 (start: {1 / tau - used:.3g} < {needed:.3g})",
                f"use tau <= {1 / (needed + used):.3g}",
            )

    def step(self, split: Split, state: CondatVuState) -> CondatVuState:
        """One primal step, with L doubled until f satisfies the descent lemma, and one dual step."""
        coupling = split.coupling
        slope = state.gradient + coupling.adjoint(state.duals, np.empty_like(state.x))
        lipschitz = state.lipschitz
        while True:
            tau = self._tau(lipschitz, state.share)
            v = state.x - state.x.dtype.type(tau) * slope
            new = split.direct.prox(v, tau)
            value = value_of(split.smooth, new)
            fixed = self.options.tau is not None
            if fixed or descends(state.x, state.value, state.gradient, new, value, lipschitz):
                break
            lipschitz *= 2.0
        auxiliary, extrapolated = [], []
        for w, pull in zip(state.auxiliary, coupling.auxiliary_adjoint(state.duals), strict=True):
            auxiliary.append(w - w.dtype.type(tau) * pull)
            extrapolated.append(2 * auxiliary[-1] - w)
        duals: Arrays = ()
        images = coupling.apply(2 * new - state.x, extrapolated)
        for index, (sigma, image) in enumerate(zip(self._sigmas(split, tau, state.share), images, strict=True)):
            image *= image.dtype.type(sigma)
            image += state.duals[index]
            duals = (*duals, coupling.proxdual(index, image, sigma))
        return replace(
            state,
            x=new,
            auxiliary=tuple(auxiliary),
            duals=duals,
            value=value,
            gradient=gradient_of(split.smooth, new),
            lipschitz=lipschitz,
        )

    def rebind(self, split: Split, state: CondatVuState) -> CondatVuState:
        """The state with f and its gradient for the new parameters."""
        value, gradient = value_of(split.smooth, state.x), gradient_of(split.smooth, state.x)
        return replace(state, value=value, gradient=gradient)

    def adapt(self, split: Split, state: CondatVuState, certificate: Certificate) -> CondatVuState:
        """Balance derived steps; raise L if the certificate of a nonconvex problem stalls."""
        if self.options.tau is not None or self.options.sigma is not None:
            return state
        rule, balance, factor = adapt_steps(split, state.rule, state.balance, certificate, backtracks=True)
        if not is_convex(split):  # a longer step means a lower L, which backtracking raises if it is too low
            return replace(state, rule=rule, balance=balance, lipschitz=state.lipschitz / factor)
        return replace(state, balance=balance, share=state.share / factor)

    def steps(self, state: CondatVuState) -> dict[str, float]:
        """tau and L."""
        return {"tau": self._tau(state.lipschitz, state.share), "lipschitz": state.lipschitz}
