"""Problems for tests of compiled kernels: the terms as operators (the definition) and as a kernel description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from fusionkit.certificate import certify
from fusionkit.engines.kernel_terms import LeastSquaresMaps, PixelwiseSpec, PoissonMaps, PowerSumLeastSquares
from fusionkit.engines.local_steps import local_steps
from fusionkit.engines.sums import Evaluation
from fusionkit.operators.fidelity import fidelity
from fusionkit.operators.fidelity.least_squares import LeastSquaresLoss
from fusionkit.operators.fidelity.poisson import FLOOR, PoissonLoss
from fusionkit.operators.forward.identity import Identity
from fusionkit.operators.forward.power_sum import PowerSum
from fusionkit.operators.functional.huber import GroupHuber
from fusionkit.operators.functional.norms import L1, L21, WeightedL21
from fusionkit.operators.linear.gradient import gradient_map
from fusionkit.operators.linear.guided_gradient import GuidedGradientMap
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.pixelwise import PixelwiseProx
from fusionkit.problem import Box, Problem, Slots, Split
from fusionkit.terms import Array, Pixelwise, Term


@dataclass(frozen=True)
class Recipe:
    """The terms of a case; a weight of None omits the term."""

    coupled: float | None = 1.0
    gamma: float = 1.6
    poisson: float | None = 0.24
    epsilon: float = 0.1
    squares: float | None = None
    lower: float = 0.0
    upper: float = np.inf
    masked: bool = False


RECIPES = {
    "fused": Recipe(),
    "fused_linear": Recipe(gamma=1.0),
    "square_law": Recipe(gamma=2.0, upper=0.6),
    "maps": Recipe(coupled=None),
    "denoising": Recipe(coupled=None, poisson=None, squares=1.0, lower=-np.inf),
    "image_alone": Recipe(poisson=None, gamma=1.5),
    "everything": Recipe(squares=0.3, gamma=3.0, lower=0.05),
    "no_background": Recipe(epsilon=0.0),
    "masked": Recipe(squares=0.3, gamma=1.7, masked=True),
    "masked_steep": Recipe(gamma=3.0, epsilon=0.0, masked=True),
    "nothing": Recipe(coupled=None, poisson=None),
}


# whether the maps share a length, whether a field guides, whether each map has a weight of its own, no sum of lengths
KINDS: dict[str, Any] = {
    "tv": (False, False, False),
    "joint": (True, False, False),
    "guided": (False, True, False),
    "both": (True, True, False),
    "each": (False, False, True),
    "guided_each": (False, True, True),
    "anisotropic": (False, True, False, "l1"),
    "huber": (False, False, False, "huber"),
}


@dataclass(frozen=True)
class FastCase:
    """A case in both forms, with a point, its extrapolation and a dual variable."""

    terms: tuple[Pixelwise, ...]
    bounds: Box
    spec: PixelwiseSpec
    x: Array
    v: Array
    p: Array

    def split(
        self, weight: float, joint: bool = False, guided: bool = False, each: bool = False, other: str = ""
    ) -> Split:
        """The terms with total variation, as the primal-dual solver sorts them."""
        shape, dtype = self.x.shape, self.x.dtype
        penalty = tv(shape, weight, dtype, joint, guided, each, other)
        penalty.silent = False  # the check of TGV calls the kernels with weight zero too
        terms: tuple[Term, ...] = (*self.terms, penalty, self.bounds)
        return Problem(terms, shape, (), dtype).sort(Slots(pixelwise=True, auxiliary=True))


def tv(
    shape: tuple[int, ...],
    weight: float,
    dtype: np.dtype[Any],
    joint: bool = False,
    guided: bool = False,
    each: bool = False,
    other: str = "",
) -> ComposedPenalty:
    """Total variation: per map or coupled, plain or guided by a random field, with one weight or one per element."""
    operator = gradient_map(shape)
    if guided:
        angle, length = np.random.default_rng(1).uniform(0, 7, shape[1:]), np.random.default_rng(2).random(shape[1:])
        operator = GuidedGradientMap(operator, (length * np.stack([np.cos(angle), np.sin(angle)])).astype(dtype))
    if each:
        return ComposedPenalty(WeightedL21(2, np.linspace(0.5, 1.5, shape[0]), weight), operator, "tv")
    if other:
        return ComposedPenalty(L1(weight) if other == "l1" else GroupHuber(2, 0.2, weight), operator, "tv")
    return ComposedPenalty(L21(2 * shape[0] if joint else 2, weight), operator, "tv")


def fast_case(recipe: Recipe, shape: tuple[int, int, int], dtype: Any, seed: int = 0) -> FastCase:
    """Random piecewise values, with zeros among them, and noisy data."""
    random = np.random.default_rng(seed)
    n, ny, nx = shape
    z = random.uniform(0.2, 2.0, n)
    truth = random.uniform(0, 1, shape) * (random.random(shape) > 0.3)
    image = ((z[:, None, None] * truth) ** recipe.gamma).sum(0) + 0.05 * random.standard_normal((ny, nx))
    image, maps = image.astype(dtype), (random.poisson(20 * truth) / 20).astype(dtype)
    if recipe.masked:  # pixels of the image, of one map and of all maps were not measured
        image[random.random((ny, nx)) < 0.2] = np.nan
        maps[random.random(shape) < 0.1] = np.nan
        maps[:, random.random((ny, nx)) < 0.5] = np.nan
    masked: dict[str, Any] = {"masked": recipe.masked}
    terms: list[Any] = []
    coupled = poisson = squares = None
    if recipe.coupled is not None:
        model = PowerSum(recipe.gamma, z, (ny, nx))
        terms.append(fidelity("haadf", recipe.coupled, LeastSquaresLoss(), model, image, **masked))
        coupled = PowerSumLeastSquares(z, recipe.gamma, model.floor, recipe.coupled, image)
    if recipe.poisson is not None:
        terms.append(fidelity("poisson", recipe.poisson, PoissonLoss(recipe.epsilon), Identity(shape), maps, **masked))
        poisson = PoissonMaps(recipe.poisson, recipe.epsilon, FLOOR, maps)
    if recipe.squares is not None:
        terms.append(fidelity("squares", recipe.squares, LeastSquaresLoss(), Identity(shape), maps, **masked))
        squares = LeastSquaresMaps(recipe.squares, maps)
    x = np.clip(truth + 0.2 * random.standard_normal(shape), recipe.lower, recipe.upper).astype(dtype)
    v = (x + 0.2 * random.standard_normal(shape)).astype(dtype)
    p = (0.1 * random.standard_normal((2, *shape))).astype(dtype)
    box = Box(recipe.lower, recipe.upper)
    return FastCase(tuple(terms), box, PixelwiseSpec(coupled, poisson, squares, recipe.lower, recipe.upper), x, v, p)


def iterated(
    case: FastCase,
    x: Array,
    tau: float,
    sigma: float,
    rho: float,
    term: ComposedPenalty | None,
    steps: int = 1,
    boost: Array | None = None,
) -> tuple[Array, Array]:
    """One iteration of solvers/chambolle_pock.py from ``x``, by the operators."""
    number, p, pulled = x.dtype.type, case.p, np.zeros_like(x)
    zeros = np.zeros(x.shape, np.uint8)
    step, factor = local_steps(zeros if boost is None else boost, tau, x.dtype)
    if term is not None:
        moved = case.p + number(sigma) * factor * term.operator.apply(x)
        p = term.functional.proxdual(moved.ravel(), sigma).reshape(moved.shape)
        pulled = term.operator.adjoint(2 * p - case.p)
    v = x - step * pulled
    new = PixelwiseProx(case.terms, case.bounds)(v, step, case.bounds.prox(x, tau), steps)
    return x + number(rho) * (new - x), case.p + number(rho) * (p - case.p)


def agrees(check: Evaluation, case: FastCase, split: Split, recipe: str) -> None:
    """Assert that a check by kernels equals that of the definitions."""
    nothing = (np.zeros(0, case.x.dtype),)
    values = split.values(case.x, nothing)
    for name, actual in zip(("haadf", "poisson", "squares", "tv"), (*check.values, *check.penalties), strict=True):
        assert actual == pytest.approx(values.get(name, 0.0), rel=1e-6)
    expected = certify(split, case.x, nothing, (case.p,))
    assert check.certificate is not None or recipe == "nothing"
    if check.certificate is not None:
        for name in ("stationarity", "alignment", "feasibility"):
            assert getattr(check.certificate, name) == pytest.approx(getattr(expected, name), rel=2e-5, abs=1e-7)
