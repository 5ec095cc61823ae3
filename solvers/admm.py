r"""ADMM with an exact linear solve: every prox acts on a copy, a cosine transform solves for x.

For :math:`G(u) + \sum_j g_j(z_j)` subject to :math:`u = x,\; z_j = K_j x`, with scaled multipliers a and b_j:

.. math::
    (I + \sum_j K_j^\top K_j)\, x &= u - a + \sum_j K_j^\top (z_j - b_j) \\
    u &= \mathrm{prox}_{G/\rho}(x + a), \qquad z_j = \mathrm{prox}_{g_j/\rho}(K_j x + b_j) \\
    a &\leftarrow a + x - u, \qquad b_j \leftarrow b_j + K_j x - z_j

The dual variables are p_j = rho b_j. The reported iterate is u, which is feasible. A HAADF term is only weakly convex:
below some rho the copies never agree, so rho is derived from the curvature and raised when the certificate stalls.

Sources: M. Figueiredo, J. Bioucas-Dias, IEEE Trans. Image Process. 19, 3133 (2010) (PIDAL); S. Boyd et al., Found.
Trends Mach. Learn. 3, 1 (2011).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.fft

from fusionkit.certificate import Certificate
from fusionkit.engines.choose import direct_prox
from fusionkit.machine import Held
from fusionkit.options import Positive
from fusionkit.problem import Problem, Slots, Split, Unfit
from fusionkit.solver import NewtonSteps, Solver, SolverOptions, State
from fusionkit.solvers.steps import Balance, StallRule, adapt_steps, primal_step
from fusionkit.terms import Array, Arrays, CosineDiagonal


class ADMMOptions(SolverOptions):
    """Options of `ADMM`.

    Parameters
    ----------
    rho : penalty parameter; None derives and adapts it.
    newton_steps : Newton steps of the joint pixelwise prox in each iteration.
    """

    rho: Positive | None = None
    newton_steps: NewtonSteps = 2


@dataclass(frozen=True)
class ADMMState(State):
    """The copies u (as ``x``) and z, the scaled multipliers a and b, and the penalty."""

    copies: Arrays
    multiplier: Array
    multipliers: Arrays
    rho: float
    rule: StallRule = StallRule()
    balance: Balance = field(default_factory=Balance)


class ADMM(Solver[ADMMState]):
    """ADMM with an exact linear solve by cosine transform; for penalties of the gradient or of x itself."""

    name = "admm"
    slots = Slots(pixelwise=True)
    held = Held(10, 8)
    options: ADMMOptions

    @classmethod
    def accepts(cls, problem: Problem) -> Split:
        """The split; every linear map must be diagonal in the cosine basis."""
        split = super().accepts(problem)
        require_cosine_maps(split)
        return split

    def init(self, split: Split, x0: Array) -> ADMMState:
        """Copies that agree, multipliers at zero."""
        coupling = split.coupling
        return ADMMState(
            *coupling.start(x0),
            copies=coupling.apply(x0),
            multiplier=np.zeros_like(x0),
            multipliers=coupling.zeros(x0.dtype),
            # ADMM allows longer steps than primal-dual methods since it solves the linear part
            rho=self.options.rho or 0.25 / primal_step(split, x0),
        )

    def warmed(self, split: Split, state: ADMMState, steps: Mapping[str, float]) -> ADMMState:
        """The multipliers of these duals at a solution, where a = -sum_j K_j' b_j."""
        rho = self.options.rho or steps.get("rho", state.rho)
        multipliers = tuple(p * p.dtype.type(1.0 / rho) for p in state.duals)
        multiplier = -split.coupling.adjoint(multipliers, np.empty_like(state.x))
        return replace(state, rho=rho, multiplier=multiplier, multipliers=multipliers)

    def step(self, split: Split, state: ADMMState) -> ADMMState:
        """One linear solve, one prox of each copy, one multiplier step."""
        coupling = split.coupling
        rest = tuple(z - b for z, b in zip(state.copies, state.multipliers, strict=True))
        right = coupling.adjoint(rest, np.empty_like(state.x))
        right += state.x
        right -= state.multiplier
        x = solve_normal(split, right)
        v = x + state.multiplier
        u = direct_prox(split, v, 1.0 / state.rho, state.x, self.options.newton_steps)
        images = coupling.apply(x, state.auxiliary)
        copies, multipliers, duals = [], [], []
        for index, (image, b) in enumerate(zip(images, state.multipliers, strict=True)):
            image += b
            copies.append(coupling.prox(index, image, 1.0 / state.rho))
            multipliers.append(image - copies[-1])
            duals.append(multipliers[-1] * image.dtype.type(state.rho))
        return replace(
            state,
            x=u,
            duals=tuple(duals),
            copies=tuple(copies),
            multiplier=np.subtract(v, u, out=v),
            multipliers=tuple(multipliers),
        )

    def adapt(self, split: Split, state: ADMMState, certificate: Certificate) -> ADMMState:
        """Balance a derived rho; raise it if the certificate of a nonconvex problem stalls. The duals rho b stay."""
        if self.options.rho is not None:
            return state
        rule, balance, factor = adapt_steps(split, state.rule, state.balance, certificate)
        scale = state.x.dtype.type(factor)
        return replace(
            state,
            rho=state.rho / factor,
            multiplier=state.multiplier * scale,
            multipliers=tuple(b * scale for b in state.multipliers),
            rule=rule,
            balance=balance,
        )

    def steps(self, state: ADMMState) -> dict[str, float]:
        """The penalty parameter."""
        return {"rho": state.rho}


def require_cosine_maps(split: Split) -> None:
    """Raise `Unfit` if the cosine transform does not diagonalise K'K of a composed term."""
    common: tuple[int, ...] = ()
    for term in split.coupling.terms:
        if not isinstance(term.operator, CosineDiagonal):
            raise Unfit(
                term, "the cosine transform does not diagonalise its linear map, so no exact linear solve exists"
            )
        axes = term.operator.cosine_axes()
        if axes and common and axes != common:
            raise Unfit(term, f"its cosine transform is along axes {axes}, that of another term along {common}")
        common = common or axes


def solve_normal(split: Split, right: Array) -> Array:
    """The x with (I + sum_j K_j'K_j) x = right, by cosine transform."""
    eigenvalues, axes = np.ones((1,) * right.ndim), ()
    for term in split.coupling.terms:
        assert isinstance(term.operator, CosineDiagonal)
        eigenvalues = eigenvalues + term.operator.normal_eigenvalues()
        axes = axes or term.operator.cosine_axes()
    if not axes:
        return right / eigenvalues.astype(right.dtype)
    spectrum = np.asarray(scipy.fft.dctn(right, axes=axes, norm="ortho"))
    spectrum /= eigenvalues.astype(right.dtype)
    return np.asarray(scipy.fft.idctn(spectrum, axes=axes, norm="ortho", overwrite_x=True))
