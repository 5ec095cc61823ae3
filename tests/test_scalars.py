"""Compiled losses and chains from scalar functions, against their definitions in NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from test_engine import FUSED, recording, run

from benchmarks.own_loss import OwnPoisson, rewritten
from fusionkit.compose_problem import compose, make_solver
from fusionkit.engines.cpu import tv, tv_check
from fusionkit.engines.kernel_terms import describe, kernel_of
from fusionkit.loop import solve
from fusionkit.operators.fidelity import fidelity
from fusionkit.operators.fidelity.loss import ScalarLoss
from fusionkit.operators.fidelity.poisson import FLOOR, PoissonLoss
from fusionkit.operators.forward.identity import Identity
from fusionkit.terms import Pixelwise

pytest.importorskip("numba", reason="the compiled kernels need Numba")

IMAGE = {"name": "image", "data": "haadf", "weight": 0.1}
ABSORPTION = {"type": "absorption", "mu": {"Co": 0.05, "O": 0.02}, "incident": 60.0}
SECOND = {"type": "least_squares", "data": "haadf", "name": "second image", "weight": 0.3, "forward": "sum"}
COUNTED = {"type": "poisson", "name": "counted", "data": "haadf", "forward": {"type": "power_sum", "gamma": 1.5}}
MIXTURE = {"type": "poisson", "weight": 0.7, "forward": "spectral"}  # every element contributes to every map
COUNTS = {
    "type": "poisson",
    "name": "one",
    "data": "one",
    "forward": {"type": "elements", "elements": {"O": 0.4}, "background": "one_background"},
}
# images with chains and powers, and a mixture, beside counts and an author's loss: one kernel
TERMS: tuple[Any, ...] = (
    {"type": "least_squares", **IMAGE, "forward": ABSORPTION},
    COUNTED,
    *({"type": "poisson", "name": name, "data": "other", "weight": 0.3} for name in ("own", "second")),
    COUNTS,
    SECOND,
    {"type": "least_squares", "data": "other"},
    MIXTURE,
    *FUSED[2:],
)


def test_losses_and_chains_run_compiled() -> None:
    """With the loss ``own`` as an author writes it."""
    data, random = recording(), np.random.default_rng(3)
    maps = data.arrays["maps"]
    more = {
        "maps_mixing": np.array([[0.7, 0.3], [0.0, 0.9]]),
        "maps_background": random.random(maps.shape),
        "other": maps,
        "one": random.poisson(2.0, (1, *maps.shape[1:])).astype(float),
        "one_background": random.random((1, *maps.shape[1:])),
    }
    data = replace(data, arrays={**data.arrays, **more})
    solver = make_solver("chambolle_pock", max_iterations=60, tolerance=0.0, check_every=10)
    engines: tuple[Any, ...] = ("numpy", "auto")
    in_numpy, compiled = (compose(data, TERMS, precision="double", engine=engine) for engine in engines)
    pairs = zip(compiled.terms, rewritten(compiled).terms, strict=True)
    compiled = replace(compiled, terms=tuple(own if own.name == "own" else built_in for built_in, own in pairs))
    plain, fast = (solve(problem, solver, np.full(problem.shape, 5.0)) for problem in (in_numpy, compiled))
    assert (plain.engine, fast.engine) == ("numpy", "numba")
    assert fast.notes == plain.notes
    np.testing.assert_allclose(fast.x, plain.x, rtol=1e-8, atol=1e-8)
    # a cache that names an author's class cannot be read where that class is not
    for versions in (tv._iteration, tv._concavity, tv_check._collect):
        assert "OwnPoisson" not in str(versions.kept.signatures)
    assert {f"term.{term.name}" for term in compiled.terms if isinstance(term, Pixelwise)} < set(plain.trace)
    for column in plain.trace.keys() - {"seconds", "memory"}:
        np.testing.assert_allclose(fast.trace[column], plain.trace[column], rtol=1e-8, atol=1e-10)


def test_the_note_says_which_term_falls_back_and_why() -> None:
    more = [{"type": "haadf", "gamma": 1.2, "name": name} for name in ("second", "third", "fourth")]
    result = run(compose(recording(), [*FUSED, *more]), max_iterations=2)
    reason = "fourth couples the elements after 3 other terms, the most in kernels"
    assert result.notes == (f"the pixelwise terms run in NumPy: {reason}; iterations take about 10 times as long",)


def test_the_description_knows_the_place_of_each_term() -> None:
    problem = compose(recording(), (*FUSED[:2], {"type": "poisson", "name": "second"}))
    terms = [term for term in problem.terms[2::-1] if isinstance(term, Pixelwise)]
    assert [term.name for term in terms] == ["second", "poisson", "haadf"]
    assert describe(terms, problem.bounds, problem.shape).order == (1, 3, 0)


class Neyman(NamedTuple):
    """(m - b)^2 / (2 b + 2)."""

    def value(self, m: Any, b: Any) -> Any:
        return (m - b) ** 2 / (2 * (b + 1))

    def slope(self, m: Any, b: Any) -> Any:
        return (m - b) / (b + 1)

    def curvature(self, m: Any, b: Any) -> Any:
        return 1 / (b + 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("step", [1e-3, 0.7, 1e3])
def test_the_prox_of_scalars_is_exact(dtype: Any, step: float) -> None:
    """Against closed forms: Neyman's chi^2, and Poisson, whose curvature varies by orders of magnitude."""
    random = np.random.default_rng(0)
    b = random.poisson(3.0, 2000).astype(dtype)
    v = random.uniform(-5.0, 20.0, 2000).astype(dtype)
    share = step / (b + 1)
    found = ScalarLoss(Neyman()).prox(v, b, step)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, (v + share * b) / (1 + share), rtol=1e-5, atol=1e-5)
    assert kernel_of(fidelity("neyman", 1.0, ScalarLoss(Neyman()), Identity(b.shape), b)) is not None
    built_in, own = PoissonLoss(0.1), ScalarLoss(OwnPoisson(0.1, FLOOR))
    found = own.prox(v, b, step)
    expected = built_in.prox(v, b, step)  # within m >= 0
    np.testing.assert_allclose(np.maximum(found, 0)[b > 0], expected[b > 0], rtol=1e-5, atol=1e-5)
