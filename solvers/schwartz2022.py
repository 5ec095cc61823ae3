r"""The published iteration: proximal gradient with a fixed step and a fixed number of inner TV iterations.

With f the HAADF and the Poisson term and t = 1/n for n elements:

.. math::
    v = \max(0,\ x - t \nabla f(x)), \qquad
    x^+ \approx \arg\min_{x \ge 0} \ \tfrac12 \|x - v\|^2 + t \lambda_2 \sum_i \|x_i\|_{TV}

The publication calls the weights of the two updates lambda_chem and lambda_TV; with t = 1/n they correspond to
lambda_1 = n lambda_chem and lambda_2 = n lambda_TV of the objective. The TV problem is solved on its dual from p = 0:

.. math:: x(q) = \max(0, v - t \nabla^\top q), \qquad p^+ = \mathrm{proj}(q + \tfrac{1}{8t} \nabla x(q))

The paper's inner solver (``fgp``) takes Nesterov's extrapolation of p for q. The package multimodal-fusion 0.6.0
(``package``) takes q = p and returns the x of the last but one dual variable. On DyScO3 their maps differ by 1 to 3 %;
docs/schwartz2022.md lists this and every other difference. Neither has a convergence theory, since the gradient of the
HAADF term is not Lipschitz. It is meant for comparison.

Sources: J. Schwartz et al., npj Comput. Mater. 8, 16 (2022); A. Beck, M. Teboulle, IEEE Trans. Image Process. 18, 2419
(2009).
"""

from dataclasses import dataclass, replace
from typing import Literal

from fusionkit.machine import Held
from fusionkit.operators.fidelity import Fidelity
from fusionkit.operators.fidelity.least_squares import LeastSquaresLoss
from fusionkit.operators.fidelity.poisson import PoissonLoss
from fusionkit.operators.forward.identity import Identity
from fusionkit.operators.forward.power_sum import PowerSum
from fusionkit.operators.functional.norms import L21
from fusionkit.operators.linear.gradient import GradientMap
from fusionkit.options import Positive
from fusionkit.problem import Problem, Slots, Split, Unfit
from fusionkit.solver import Count, Solver, SolverOptions, State
from fusionkit.solvers.forward_step import curvature_between, gradient_of
from fusionkit.solvers.steps import check_step
from fusionkit.terms import Array, Arrays, Composed, Term

_TAKES = "the published iteration takes one HAADF term, one Poisson term and one isotropic TV term"
_SQUARED_NORM = 8.0  # the bound of ||grad||^2 in the publication


class Schwartz2022Options(SolverOptions):
    """Options of `Schwartz2022`.

    Parameters
    ----------
    max_iterations : 50, as in the package, which has no other stopping rule.
    step : t; None takes 1/n for n elements, as published. No fixed step is safe with a HAADF term.
    inner_iterations : of the TV problem in each step, counted as in the package, whose default is 15.
    inner : ``package`` as in multimodal-fusion 0.6.0, ``fgp`` as in the paper.
    """

    max_iterations: Count = 50
    step: Positive | None = None
    inner_iterations: Count = 15
    inner: Literal["package", "fgp"] = "package"


@dataclass(frozen=True)
class Schwartz2022State(State):
    """The iterate and the fixed step."""

    step: float


class Schwartz2022(Solver[Schwartz2022State]):
    """The published fixed-step proximal gradient, for the published objective."""

    name = "schwartz2022"
    slots = Slots(smooth=True)
    held = Held(8, 6)
    options: Schwartz2022Options

    @classmethod
    def accepts(cls, problem: Problem) -> Split:
        """The split; the terms must be those of the publication."""
        split = super().accepts(problem)
        direct: list[Term] = [*split.smooth, *split.coupling.terms]
        if split.proximable is not None:
            direct.append(split.proximable)
        kinds: dict[str, Term] = {}
        for term in direct:
            kind = kind_of(term)
            if kind is None or kind in kinds:
                raise Unfit(term, _TAKES)
            kinds[kind] = term
        if len(kinds) < 3:
            missing = next(kind for kind in ("HAADF", "Poisson", "TV") if kind not in kinds)
            raise Unfit(problem.terms[0], f"{_TAKES}, and there is no {missing} term")
        return split

    def init(self, split: Split, x0: Array) -> Schwartz2022State:
        """The step 1/n, or that of the options."""
        step = self.options.step or 1.0 / x0.shape[0]
        check_step(self.name, self.options.step, curvature_between(split, x0, gradient_of(split.smooth, x0)), most=2)
        return Schwartz2022State(*split.coupling.start(x0), step)

    def step(self, split: Split, state: Schwartz2022State) -> Schwartz2022State:
        """One gradient step, clipped, and the inner TV problem."""
        gradient = gradient_of(split.smooth, state.x)
        v = split.bounds.prox(state.x - state.x.dtype.type(state.step) * gradient, state.step)
        x, duals = self._denoise(split, v, state.step)
        return replace(state, x=x, duals=duals)

    def _denoise(self, split: Split, v: Array, step: float) -> tuple[Array, Arrays]:
        coupling, sigma = split.coupling, 1.0 / (_SQUARED_NORM * step)

        def primal(q: Array) -> Array:
            return split.bounds.prox(v - v.dtype.type(step) * coupling.adjoint((q,), v.copy()), step)

        accelerated = self.options.inner == "fgp"
        (p,) = coupling.zeros(v.dtype)
        ahead, number = p, 1.0
        # the package returns the x before its last dual step
        for _ in range(self.options.inner_iterations if accelerated else self.options.inner_iterations - 1):
            (image,) = coupling.apply(primal(ahead))
            image *= image.dtype.type(sigma)
            image += ahead
            new = coupling.proxdual(0, image, sigma)
            following = (1.0 + (1.0 + 4.0 * number**2) ** 0.5) / 2.0 if accelerated else 1.0
            ahead = new + new.dtype.type((number - 1.0) / following) * (new - p)
            p, number = new, following
        return primal(p), (p,)

    def steps(self, state: Schwartz2022State) -> dict[str, float]:
        """The step t."""
        return {"step": state.step}


def kind_of(term: Term) -> str | None:
    """The kind of a published term, ``HAADF``, ``Poisson`` or ``TV``; None for any other term."""
    if isinstance(term, Fidelity):
        if isinstance(term.loss, LeastSquaresLoss) and isinstance(term.forward, PowerSum):
            return "HAADF"
        return "Poisson" if isinstance(term.loss, PoissonLoss) and isinstance(term.forward, Identity) else None
    if isinstance(term, Composed) and isinstance(term.operator, GradientMap) and isinstance(term.functional, L21):
        return "TV" if term.functional.ndim == len(term.operator.axes) else None
    return None
