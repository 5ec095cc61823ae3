r"""Total-variation denoising alone: min_x 1/2 ||x - b||^2 + lambda ||x||_TV, at equal accuracy.

Each program runs the fewest iterations that reach (F - F*) / (F0 - F*) <= 1e-4, with F0 the objective of the noisy
image; finding that number is not timed. All have the same objective: isotropic, forward differences, none across the
border. SCICO's step sizes are the best of those tried (tau 0.015 to 3, rho 0.1 to 16).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from benchmarks.harness import Timer, composed
from fusionkit.compose_problem import make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.loop import solve
from fusionkit.terms import Array

SIZES = {"full": [512], "quick": [128]}
_WEIGHT, _GAP = 0.1, 1e-4
_MAX_ITERATIONS = 20_000
_TERMS = ({"type": "least_squares", "data": "maps"}, {"type": "tv", "weight": _WEIGHT})
Denoise = Callable[[Array, int], Array]


@cache
def noisy(size: int) -> Array:
    """A rectangle and a disc with edges of 1 and 0.5, and noise of standard deviation 0.1; shape (size, size)."""
    y, x = np.mgrid[:size, :size] / size
    clean = 1.0 * ((y >= 0.25) & (y < 0.5) & (x >= 0.125) & (x < 0.75))
    clean += 0.5 * ((y - 0.65) ** 2 + (x - 0.6) ** 2 < 0.2**2)
    return (clean + 0.1 * np.random.default_rng(0).standard_normal(clean.shape)).astype(np.float32)


@cache
def measure(size: int) -> Callable[[Array], float]:
    """The gap of an image, with F* from 3000 iterations in double precision."""
    image = noisy(size)[None].astype(np.float64)
    problem = composed(Dataset({"maps": image}, ("O",)), _TERMS, precision="double")
    solver = make_solver("chambolle_pock", tau=0.05, tolerance=0.0, max_iterations=3000, check_every=100)
    best, first = solve(problem, solver, image).objective, problem.value(image)
    return lambda x: (problem.value(np.asarray(x, dtype=np.float64).reshape(image.shape)) - best) / (first - best)


def fusionkit_(engine: str) -> Denoise:
    """The default solver, from array to array."""

    def denoise(image: Array, iterations: int) -> Array:
        problem = composed(Dataset({"maps": image[None]}, ("O",)), _TERMS, engine)
        solver = make_solver("chambolle_pock", tolerance=0.0, max_iterations=iterations)
        return solve(problem, solver, image[None]).x[0]

    return denoise


def skimage() -> Denoise:
    """Chambolle's dual iteration (2004)."""
    restoration = pytest.importorskip("skimage.restoration", reason="scikit-image is not installed: '.[bench]'")
    return lambda image, count: restoration.denoise_tv_chambolle(image, weight=_WEIGHT, eps=0.0, max_num_iter=count)


def pyproximal() -> Denoise:
    """Fast gradient projection, in the prox of TV."""
    proximal: Any = pytest.importorskip("pyproximal")

    def denoise(image: Array, iterations: int) -> Array:
        tv = proximal.TV(image.shape, sigma=_WEIGHT, niter=iterations, rtol=0.0)
        return tv.prox(image.ravel(), 1.0).reshape(image.shape)

    return denoise


def scico_(make: Callable[[Any, Any, Any, Any], Any]) -> Denoise:
    """One of SCICO's optimisers, without its statistics."""
    pytest.importorskip("scico", reason="scico is not installed: '.[bench]'")
    functional, linop, loss = (pytest.importorskip(f"scico.{name}") for name in ("functional", "linop", "loss"))
    arrays: Any = pytest.importorskip("scico.numpy")

    def denoise(image: Array, iterations: int) -> Array:
        b = arrays.array(image)
        gradient = linop.FiniteDifference(input_shape=b.shape, input_dtype=b.dtype, append=0)
        optimiser = make(loss.SquaredL2Loss(y=b), _WEIGHT * functional.L21Norm(), gradient, b)
        for _ in range(iterations):
            optimiser.step()
        return np.asarray(optimiser.minimizer())

    return denoise


def scico_pdhg() -> Denoise:
    """SCICO's primal-dual hybrid gradient."""
    optimize: Any = pytest.importorskip("scico.optimize")
    tau = 0.05
    return scico_(lambda f, g, c, b: optimize.PDHG(f=f, g=g, C=c, tau=tau, sigma=0.99 / (8 * tau), x0=b))


def scico_admm() -> Denoise:
    """SCICO's ADMM with conjugate gradients, as in its examples of TV denoising."""
    admm: Any = pytest.importorskip("scico.optimize.admm")
    solver = {"cg_kwargs": {"tol": 1e-3, "maxiter": 20}}
    return scico_(
        lambda f, g, c, b: admm.ADMM(
            f=f,
            g_list=[g],
            C_list=[c],
            rho_list=[6.0],
            x0=b,
            subproblem_solver=admm.LinearSubproblemSolver(**solver),
        )
    )


OTHERS = {"scikit-image": skimage, "pyproximal": pyproximal, "SCICO PDHG": scico_pdhg, "SCICO ADMM": scico_admm}


def fewest(denoise: Denoise, size: int) -> int:
    """The fewest iterations that reach the gap, to within 5 %: by doubling, then by interpolation of logarithms."""
    image, gap = noisy(size), measure(size)
    low, high = 0, 25
    at_low, at_high = 1.0, gap(denoise(image, high))
    while at_high > _GAP:
        assert high < _MAX_ITERATIONS, f"the gap is {at_high:.1e} after {high} iterations"
        low, at_low, high = high, at_high, 2 * high
        at_high = gap(denoise(image, high))
    while high - low > max(1, high // 20) and at_high < 0.9 * _GAP:
        share = math.log(at_low / _GAP) / math.log(at_low / max(at_high, 1e-9 * _GAP))
        middle = round(max(low, 1) * (high / max(low, 1)) ** share)
        middle = min(max(middle, low + 1), high - 1)
        found = gap(denoise(image, middle))
        low, at_low, high, at_high = (middle, found, high, at_high) if found > _GAP else (low, at_low, middle, found)
    return high


def timed(benchmark: Timer, denoise: Denoise, size: int, program: str) -> None:
    """Time ``denoise`` with the fewest iterations."""
    count = fewest(denoise, size)
    x = benchmark.pedantic(denoise, (noisy(size), count), rounds=3)
    benchmark.extra_info.update(program=program, size=size, iterations=count, gap=measure(size)(x))


@pytest.mark.benchmark(group="denoising")
def test_fusionkit(benchmark: Timer, engine: str, size: int) -> None:
    timed(benchmark, fusionkit_(engine), size, f"fusionkit {engine}")


@pytest.mark.benchmark(group="denoising")
@pytest.mark.parametrize("program", OTHERS)
def test_others(benchmark: Timer, program: str, size: int) -> None:
    timed(benchmark, OTHERS[program](), size, program)
