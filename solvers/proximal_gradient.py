r"""Proximal gradient with backtracking, plain or accelerated with restart; an inner dual solver for composed terms.

For :math:`f(x) + h(x)` with f smooth and :math:`h(x) = G(x) + \sum_j g_j(K_j x)`:

.. math::
    x^+ = \mathrm{prox}_{t h}(y - t \nabla f(y)), \qquad y^+ = x^+ + \beta (x^+ - x)

with beta = 0 in the plain method and Nesterov's sequence, restarted when it points uphill, in the accelerated one. t is
halved until f satisfies the descent lemma, and lengthened by 5 % after each step. Fast gradient projection on the dual,
warm-started, computes the prox of h until the duality gap is a small share of the outer step.

Sources: A. Beck, M. Teboulle, SIAM J. Imaging Sci. 2, 183 (2009) and IEEE Trans. Image Process. 18, 2419 (2009);
restart: B. O'Donoghue, E. Candes, Found. Comput. Math. 15, 715 (2015).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fusionkit.certificate import Certificate, inner
from fusionkit.machine import Held
from fusionkit.options import Positive
from fusionkit.problem import Slots, Split
from fusionkit.solver import Count, Solver, SolverOptions, State
from fusionkit.solvers.forward_step import curvature_between, descends, gradient_of, value_of
from fusionkit.solvers.inner_tv import dual_prox
from fusionkit.solvers.steps import StallRule, check_step
from fusionkit.terms import Array, Arrays


class ProximalGradientOptions(SolverOptions):
    """Options of `ProximalGradient`.

    Parameters
    ----------
    accelerated : Nesterov's extrapolation with restart.
    step : fixed step t; None finds it by backtracking. No fixed step is safe with a HAADF term.
    inner_iterations : limit of the inner iterations in one step.
    inner_tolerance : the inner solver stops when its duality gap is below this share of ||x+ - y||^2 / (2 t).
    """

    accelerated: bool = True
    step: Positive | None = None
    inner_iterations: Count = 100
    inner_tolerance: Positive = 0.1


@dataclass(frozen=True)
class ProximalGradientState(State):
    """x, the extrapolated point y, Nesterov's number and the curvature L = 1/t."""

    y: Array
    nesterov: float
    lipschitz: float
    rule: StallRule = StallRule()


class ProximalGradient(Solver[ProximalGradientState]):
    """Proximal gradient, plain or accelerated; composed terms through a warm-started inner dual solver."""

    name = "proximal_gradient"
    slots = Slots(smooth=True)
    held = Held(11, 8)
    options: ProximalGradientOptions

    def init(self, split: Split, x0: Array) -> ProximalGradientState:
        """Inner duals at zero; L from the curvature along the first gradient step."""
        guess = curvature_between(split, x0, gradient_of(split.smooth, x0))
        check_step(self.name, self.options.step, guess)
        lipschitz = 1.0 / self.options.step if self.options.step else guess
        return ProximalGradientState(*split.coupling.start(x0), y=x0, nesterov=1.0, lipschitz=lipschitz)

    def warmed(self, split: Split, state: ProximalGradientState, steps: Mapping[str, float]) -> ProximalGradientState:
        """The former step t, unless the options name one."""
        own = self.options.step is not None or "step" not in steps
        return state if own else replace(state, lipschitz=1.0 / steps["step"])

    def step(self, split: Split, state: ProximalGradientState) -> ProximalGradientState:
        """One outer step with backtracking."""
        y, duals = state.y, state.duals
        value, gradient = value_of(split.smooth, y), gradient_of(split.smooth, y)
        lipschitz = state.lipschitz
        while True:
            v = y - y.dtype.type(1.0 / lipschitz) * gradient
            new, duals = self._prox(split, v, y, 1.0 / lipschitz, duals, state.rule.shrink**4)
            if self.options.step is not None or descends(
                y, value, gradient, new, value_of(split.smooth, new), lipschitz
            ):
                break
            lipschitz *= 2.0
        y_next, nesterov = self._extrapolate(split, state, new)
        relaxed = lipschitz if self.options.step is not None else lipschitz / 1.05
        return replace(state, x=new, duals=duals, y=y_next, nesterov=nesterov, lipschitz=relaxed)

    def _extrapolate(self, split: Split, state: ProximalGradientState, new: Array) -> tuple[Array, float]:
        move = new - state.x
        if not self.options.accelerated or inner(state.y - new, move) > 0.0:
            return new, 1.0
        nesterov = (1.0 + (1.0 + 4.0 * state.nesterov**2) ** 0.5) / 2.0
        ahead = new + new.dtype.type((state.nesterov - 1.0) / nesterov) * move
        return split.bounds.prox(ahead, 1.0), nesterov  # the power law is undefined outside the bounds

    def _prox(
        self, split: Split, v: Array, y: Array, step: float, duals: Arrays, tightness: float
    ) -> tuple[Array, Arrays]:
        return dual_prox(
            split,
            v,
            step,
            duals,
            gap_allowed=lambda x: self.options.inner_tolerance * tightness * _half_square(x - y) / step,
            iterations=self.options.inner_iterations,
        )

    def adapt(self, split: Split, state: ProximalGradientState, certificate: Certificate) -> ProximalGradientState:
        """Tighten the inner tolerance if the certificate stalls."""
        return replace(state, rule=state.rule.update(certificate.optimality))

    def steps(self, state: ProximalGradientState) -> dict[str, float]:
        """The step t."""
        return {"step": 1.0 / state.lipschitz}


def _half_square(move: Array) -> float:
    return 0.5 * float(np.maximum(inner(move, move), np.finfo(np.float64).tiny))
