r"""Davis-Yin three-operator splitting: a gradient, a prox and the bounds, with a backtracked step.

For :math:`f(x) + g(x)` within bounds C, f smooth and g proximable:

.. math::
    y &= \mathrm{prox}_{t g}(x - t (\nabla f(x) + u)), \qquad x^+ = P_C(y + t u), \qquad u^+ = u + (y - x^+) / t

u is a normal of C at x, and :math:`p = (x - y) / t - \nabla f(x) - u` is a subgradient of g at y, the dual variable of
the certificate. t is halved until :math:`f(y) \le f(x) + \langle \nabla f(x), y - x \rangle + \|y - x\|^2 / 2t`.

Sources: D. Davis, W. Yin, Set-Valued Var. Anal. 25, 829 (2017); this form and its line search: F. Pedregosa, G. Gidel,
Proc. Mach. Learn. Res. 80, 4085 (2018).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fusionkit.certificate import Certificate
from fusionkit.machine import Held
from fusionkit.options import Positive
from fusionkit.problem import Slots, Split
from fusionkit.solver import Solver, SolverOptions, State
from fusionkit.solvers.forward_step import curvature_between, descends, gradient_of, value_of
from fusionkit.solvers.steps import StallRule, check_step, is_convex
from fusionkit.terms import Array


class DavisYinOptions(SolverOptions):
    """Options of `DavisYin`.

    Parameters
    ----------
    step : fixed step t; None finds it by backtracking. No fixed step is safe with a HAADF term.
    """

    step: Positive | None = None


@dataclass(frozen=True)
class DavisYinState(State):
    """x, the normal u of the bounds and the curvature L = 1/t."""

    normal: Array
    lipschitz: float
    rule: StallRule = StallRule()


class DavisYin(Solver[DavisYinState]):
    """Davis-Yin: a gradient step on smooth terms, one proximable term, and the bounds."""

    name = "davis_yin"
    slots = Slots(smooth=True, composed=False, bounds=True)
    held = Held(8, 3)
    options: DavisYinOptions

    def init(self, split: Split, x0: Array) -> DavisYinState:
        """The normal at zero; L from the curvature along the first gradient step."""
        guess = curvature_between(split, x0, gradient_of(split.smooth, x0))
        step = self.options.step
        check_step(self.name, step, guess)
        lipschitz = guess if step is None else 1.0 / step
        return DavisYinState(*split.coupling.start(x0), np.zeros_like(x0), lipschitz)

    def warmed(self, split: Split, state: DavisYinState, steps: Mapping[str, float]) -> DavisYinState:
        """The normal of the bounds that goes with the dual variable at a solution, and the former step t."""
        normal = -sum(state.duals, gradient_of(split.smooth, state.x))
        bounds = split.bounds
        normal[(state.x > bounds.lower) & (state.x < bounds.upper)] = 0.0
        own = self.options.step is not None or "step" not in steps
        return replace(state, normal=normal, lipschitz=state.lipschitz if own else 1.0 / steps["step"])

    def step(self, split: Split, state: DavisYinState) -> DavisYinState:
        """One step of the three operators, with L doubled until f satisfies the descent lemma."""
        x, number = state.x, state.x.dtype.type
        value, gradient = value_of(split.smooth, x), gradient_of(split.smooth, x)
        lipschitz = state.lipschitz
        while True:
            step = 1.0 / lipschitz
            v = x - number(step) * (gradient + state.normal)
            y = v if split.proximable is None else split.proximable.prox(v, step)
            fixed = self.options.step is not None
            if fixed or descends(x, value, gradient, y, value_of(split.smooth, y), lipschitz):
                break
            lipschitz *= 2.0
        new = split.bounds.prox(y + number(step) * state.normal, step)
        normal = state.normal + (y - new) * number(lipschitz)
        duals = ((v - y) * number(lipschitz),) if split.coupling.terms else ()
        return replace(state, x=new, duals=duals, normal=normal, lipschitz=lipschitz)

    def adapt(self, split: Split, state: DavisYinState, certificate: Certificate) -> DavisYinState:
        """Shorten the step if the certificate of a nonconvex problem stalls."""
        if self.options.step is not None or is_convex(split):
            return state
        rule = state.rule.update(certificate.optimality)
        return replace(state, rule=rule, lipschitz=state.lipschitz * state.rule.shrink / rule.shrink)

    def steps(self, state: DavisYinState) -> dict[str, float]:
        """The step t."""
        return {"step": 1.0 / state.lipschitz}
