r"""Primal-dual hybrid gradient (Chambolle & Pock, 2011), over-relaxed, with the joint pixelwise prox.

For :math:`G(x) + \sum_j g_j(K_j x + A_j w_j)`, with G all pixelwise terms and the bounds, or one proximable term:

.. math::
    \tilde p_j &= \mathrm{prox}_{\sigma_j g_j^*}(p_j + \sigma_j (K_j x + A_j w_j)), \qquad
    s_j = 2 \tilde p_j - p_j \\
    \tilde x &= \mathrm{prox}_{\tau G}(x - \tau \sum_j K_j^\top s_j), \qquad \tilde w_j = w_j - \tau A_j^\top s_j \\
    (x, w, p)^+ &= (x, w, p) + \rho (\tilde x - x, \tilde w - w, \tilde p - p)

Step condition: :math:`\tau \sum_j \sigma_j \|(K_j, A_j)\|^2 \le 1`, :math:`0 < \rho < 2`. A HAADF term is only weakly
convex. Where it is concave and TV or TGV is the only penalty, the steps of each pixel follow its curvature
(`fusionkit.engines.local_steps`, also for the diagonal steps of TGV); with other penalties tau is shortened when the
certificate stalls. Iterations before a check have rho = 1, so that x is within the bounds and p in the domain of g*.

Sources: A. Chambolle, T. Pock, J. Math. Imaging Vis. 40, 120 (2011), algorithm 1, the dual step first; relaxation:
L. Condat, J. Optim. Theory Appl. 158, 460 (2013), algorithm 3.2 without a smooth term.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fusionkit.certificate import Certificate, norm
from fusionkit.checkpoint.encode import SCRATCH
from fusionkit.engines.choose import backend_of, joint_prox, penalties_of
from fusionkit.engines.kernel_terms import ENGINES, LossOfSum, PowerSumLeastSquares, kernel_of, leading
from fusionkit.engines.local_steps import LocalRule, PixelSteps, diagonal_steps, local_boost, rule_of
from fusionkit.machine import Held
from fusionkit.options import Positive
from fusionkit.problem import Slots, Split
from fusionkit.solver import Former, NewtonSteps, Relaxation, Solver, SolverOptions, State, is_calibrated
from fusionkit.solvers.flat_start import flat_start
from fusionkit.solvers.steps import (
    SHARE,
    Balance,
    StallRule,
    adapt_local_steps,
    adapt_steps,
    dual_steps,
    is_convex,
    primal_step,
)
from fusionkit.terms import Array


class ChambollePockOptions(SolverOptions):
    """Options of `ChambollePock`.

    Parameters
    ----------
    tau : primal step; None derives it, and adapts it if sigma is None too.
    sigma : dual step of every composed term; None takes the longest that the step condition allows.
    relaxation : rho in (0, 2); 1 is the plain method. 1.6 saves a third of the iterations on phantoms and on DyScO3,
        where 1.8 takes more than 1.
    newton_steps : Newton steps of the joint pixelwise prox in each iteration; None takes 1, and 2 with several images,
        which save more than half of the iterations.
    """

    tau: Positive | None = None
    sigma: Positive | None = None
    relaxation: Relaxation = 1.6
    newton_steps: NewtonSteps | None = None


@dataclass(frozen=True)
class PrimalDualState(State):
    """x, w and p, the steps with their rules, and buffers of the shape of x unless an engine runs the iterations.

    ``local`` makes the steps local, see `fusionkit.engines.local_steps`; None before the first look, or without.
    """

    buffers: tuple[Array, ...] = field(metadata=SCRATCH)
    tau: float
    sigmas: tuple[float, ...]
    rule: StallRule = StallRule()
    balance: Balance = field(default_factory=Balance)
    local: PixelSteps | None = None

    @property
    def boost(self) -> Array | None:
        """By how much local steps differ; None without."""
        return None if self.local is None else self.local.boost


class ChambollePock(Solver[PrimalDualState]):
    """Primal-dual hybrid gradient; all pixelwise terms in one joint prox, a dual variable for every other term."""

    name = "chambolle_pock"
    slots = Slots(pixelwise=True, auxiliary=True)
    on_device = True
    held = Held(6, 3)
    options: ChambollePockOptions

    def init(self, split: Split, x0: Array) -> PrimalDualState:
        """Flat maps if the penalty is so strong that these are better than x0; else x0, duals and fields at zero."""
        return self._flattened(split, self.from_zero(split, x0))

    def resume(self, split: Split, x0: Array, former: Former) -> PrimalDualState:
        """The former duals, unless flat maps are better."""
        return self._flattened(split, super().resume(split, x0, former))

    def _flattened(self, split: Split, state: PrimalDualState) -> PrimalDualState:
        flat = flat_start(split, state.x, state.auxiliary, state.duals, state.fused)
        if flat is None:
            return state
        x, auxiliary, duals = flat
        length = norm(duals[0][:2]) * split.coupling.squared_norms()[0] ** 0.5
        tau = self.options.tau or (SHARE * norm(x) / length if length else state.tau)
        sigmas = state.sigmas if self.options.sigma is not None else self._sigmas(split, tau)
        return replace(state, x=x, auxiliary=auxiliary, duals=duals, tau=tau, sigmas=sigmas)

    def from_zero(self, split: Split, x0: Array) -> PrimalDualState:
        """Duals and auxiliary unknowns at zero."""
        tau = self.options.tau or primal_step(backend_of(split).original(split), x0)
        coupling = split.coupling
        auxiliary = coupling.auxiliary_zeros(x0.dtype)
        backend = backend_of(split)
        engine = backend.engine(split, self._newton_steps(split))
        (x,) = backend.put((x0.copy(),))  # iterations overwrite it
        return PrimalDualState(
            x=x,
            auxiliary=auxiliary,
            duals=coupling.zeros(x0.dtype),
            buffers=() if engine else (np.empty_like(x), np.empty_like(x)),
            tau=tau,
            sigmas=self._sigmas(split, tau),
            fused=engine,
        )

    def warmed(self, split: Split, state: PrimalDualState, steps: Mapping[str, float]) -> PrimalDualState:
        """The state with the former steps, unless the options name some."""
        if self.options.tau is not None or self.options.sigma is not None or "tau" not in steps:
            return state
        return replace(state, tau=steps["tau"], sigmas=self._sigmas(split, steps["tau"]))

    def memory(self, split: Split) -> Held:
        """Less for a compiled engine, which updates x and p in place but extrapolates (p, q) of TGV."""
        more = 0.0 if rule_of(split) is None or is_convex(split) else 1.5
        more += is_calibrated(split)  # the offsets of the problem before
        if not backend_of(split).fuses(split):
            return Held(self.held.unknowns + more, self.held.duals)
        return Held(4 + more + 5 * sum(term.auxiliary is not None for term in split.coupling.terms), 1)

    def _newton_steps(self, split: Split) -> int:
        return self.options.newton_steps or (2 if _images(split) > 1 else 1)

    def _sigmas(self, split: Split, tau: float) -> tuple[float, ...]:
        return dual_steps(split, self.name, ("tau", tau), ("sigma", self.options.sigma))

    def step(self, split: Split, state: PrimalDualState) -> PrimalDualState:
        """One dual and one primal step, over-relaxed."""
        return self._iterate(split, state, self.options.relaxation)

    def step_unrelaxed(self, split: Split, state: PrimalDualState) -> PrimalDualState:
        """One dual and one primal step."""
        new = self._iterate(split, state, 1.0)
        if state.fused is None:
            return new
        return replace(new, change=state.fused.change())

    def _iterate(self, split: Split, state: PrimalDualState, relaxation: float) -> PrimalDualState:
        """An iteration; in place and in one pass over memory with a compiled engine."""
        if state.fused is not None:
            steps = (state.tau, *state.sigmas)
            x, duals = state.fused.step(state.x, state.auxiliary, state.duals, steps, relaxation, state.boost)
            return replace(state, x=x, duals=duals)
        coupling = split.coupling
        first, second = state.buffers
        duals, slopes = [], []
        steps = diagonal_steps(split, state.tau, state.sigmas, state.boost, state.x.dtype)
        for index, image in enumerate(coupling.apply(state.x, state.auxiliary)):
            p = state.duals[index]
            for part, sigma in steps.duals[index]:
                image[part] *= sigma
            image += p
            new = coupling.proxdual(index, image, state.sigmas[index])
            slope = np.multiply(new, 2, out=None if np.may_share_memory(new, image) else image)
            slope -= p
            slopes.append(slope)
            duals.append(_relaxed(p, new, relaxation))
        prox_input = coupling.adjoint(slopes, first)
        prox_input *= -steps.x
        prox_input += state.x
        x = _relaxed(state.x, self._prox(split, prox_input, steps.x, state, out=second), relaxation)
        auxiliary = tuple(
            _relaxed(w, w - step * slope, relaxation)
            for w, step, slope in zip(state.auxiliary, steps.auxiliary, coupling.auxiliary_adjoint(slopes), strict=True)
        )
        # either the old x or the prox holds the new x; the other is free
        return replace(
            state, x=x, auxiliary=auxiliary, duals=tuple(duals), buffers=(first, second if x is state.x else state.x)
        )

    def _prox(self, split: Split, v: Array, tau: Array, state: PrimalDualState, out: Array) -> Array:
        if split.proximable is not None:
            return split.proximable.prox(v, state.tau, out=out)
        start = split.bounds.prox(state.x, state.tau, out=out)
        step = state.tau if state.boost is None else tau
        return joint_prox(split)(v, step, start, self._newton_steps(split), out=out)

    def rebind(self, split: Split, state: PrimalDualState) -> PrimalDualState:
        """The state with a new engine, since it holds the parameters of the terms."""
        return replace(state, fused=backend_of(split).engine(split, self._newton_steps(split), state.fused))

    def adapt(self, split: Split, state: PrimalDualState, certificate: Certificate) -> PrimalDualState:
        """Balance derived steps; if the certificate of a nonconvex problem stalls, make them more local or shorter."""
        if self.options.tau is not None or self.options.sigma is not None:
            return state
        local = rule_of(split)
        state = self._with_local(split, state, local)
        known = (state.rule, state.balance, certificate)
        if state.local is None or local is None:
            rule, balance, factor = adapt_steps(split, *known)
        else:
            rule, balance, factor = adapt_local_steps(local, *known, state.local.drift)
        if factor == 1.0:
            return replace(state, rule=rule, balance=balance)
        tau = state.tau * factor
        return replace(state, tau=tau, sigmas=self._sigmas(split, tau), rule=rule, balance=balance)

    def _with_local(self, split: Split, state: PrimalDualState, local: LocalRule | None) -> PrimalDualState:
        """The state with the local steps for its x, if the problem has any."""
        if local is None or is_convex(split):
            return state
        scale = max(_images(split), 1) * local.margin * (state.rule.shrink**-0.5 - local.later)
        scale /= state.sigmas[leading(penalties_of(split))]
        engine, known = state.fused, (state.x, scale, state.local)
        return replace(state, local=local_boost(split, *known) if engine is None else engine.boost(*known))

    def fallbacks(self, split: Split) -> tuple[str, ...]:
        """Also which penalties keep compiled terms from running whole iterations in kernels."""
        names = [term.name for term in split.coupling.terms if type(kernel_of(term)) not in ENGINES]
        if not names or backend_of(split).used(split) != "numba":
            return super().fallbacks(split)
        what = f"no kernel is compiled for {' and '.join(names)}"
        return (f"the iterations run in NumPy beside the compiled terms: {what}; they take about 4 times as long",)

    def steps(self, state: PrimalDualState) -> dict[str, float]:
        """tau and the sigma of each composed term."""
        return {"tau": state.tau, **{f"sigma_{i}": sigma for i, sigma in enumerate(state.sigmas)}}


def _images(split: Split) -> int:
    """The number of fits that couple the elements; each leaves fewer directions in which duals hold a concave pixel."""
    return sum(isinstance(kernel_of(term), PowerSumLeastSquares | LossOfSum) for term in split.pixelwise)


def _relaxed(old: Array, new: Array, relaxation: float) -> Array:
    """old + relaxation (new - old), written into ``old``, or ``new`` itself for 1; overwrites ``new``."""
    if relaxation == 1.0:
        return new
    old *= old.dtype.type(1.0 - relaxation)
    new *= old.dtype.type(relaxation)
    old += new
    return old
