"""Compiled kernels behind the same terms and solvers: they agree with NumPy; a note names unsupported terms."""

from __future__ import annotations

import logging
import time
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusionkit.certificate import certify
from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.engines import choose
from fusionkit.engines.choose import backend_of, require_engine
from fusionkit.engines.evaluate import Evaluator
from fusionkit.errors import UserError
from fusionkit.loop import solve, solving_seconds
from fusionkit.machine import limit_threads
from fusionkit.problem import Problem
from fusionkit.reconstruct import starting_point
from fusionkit.result import Result
from fusionkit.solver import State, fit
from fusionkit.terms import Array, Expansion, Pixelwise

pytest.importorskip("numba", reason="the compiled kernels need numba")

from numba import njit

from fusionkit.engines.cpu.compile import announce_compilation, compile_seconds

FUSED = ({"type": "haadf", "weight": 0.1, "gamma": 1.7}, "poisson", {"type": "tv", "weight": 0.3}, "nonnegative")
# name: terms, whether a compiled kernel takes part
PROBLEMS: dict[str, tuple[tuple[Any, ...], bool]] = {
    "fused": (FUSED, True),
    "linear": (({"type": "haadf", "gamma": 1.0}, *FUSED[1:]), True),
    "denoising": (({"type": "least_squares", "data": "maps"}, {"type": "tv", "weight": 0.5}), True),
    "written out": (
        (
            {"type": "least_squares", "data": "haadf", "forward": {"type": "power_sum"}},
            "poisson",
            {"type": "penalty", "functional": "l21", "operator": "gradient", "weight": 0.3},
            {"type": "box", "lower": 0.0, "upper": 20.0},
        ),
        True,
    ),
    "tgv": ((*FUSED[:2], {"type": "tgv", "weight": 0.3}, "nonnegative"), True),
    "joint tgv": ((*FUSED[:2], {"type": "tgv", "weight": 0.3, "coupling": "joint"}, "nonnegative"), True),
    "joint prox only": ((*FUSED[:2], {"type": "vectorial_tv", "coupling": "nuclear"}, "nonnegative"), True),
    "curvature": ((*FUSED[:2], {"type": "l2", "operator": "laplacian", "weight": 0.3}, "nonnegative"), True),
    "tv and curvature": ((*FUSED, {"type": "l1", "operator": "laplacian", "weight": 0.2}), True),
    "tgv and huber": ((*FUSED[:2], {"type": "tgv"}, {"type": "huber_tv", "smoothing": 0.5}, "nonnegative"), True),
    "joint and anisotropic": ((*FUSED[:2], {"type": "vectorial_tv"}, {"type": "anisotropic_tv"}, "nonnegative"), True),
    "coupled": ((*FUSED[:2], {"type": "vectorial_tv", "weight": 0.5}, "nonnegative"), True),
    "each its own": ((*FUSED[:2], {"type": "tv", "weight": 0.3, "per_element": {"Co": 2.0}}, "nonnegative"), True),
    "guided": ((*FUSED[:2], {"type": "directional_tv", "weight": 0.3, "coupling": "none"}, "nonnegative"), True),
    "guided and coupled": ((*FUSED[:2], {"type": "structure_tensor_tv", "weight": 0.5}, "nonnegative"), True),
    "two detectors": ((*FUSED, {"type": "haadf", "gamma": 1.2, "name": "second"}), True),
}


def recording() -> Dataset:
    """Two elements, 24 x 19 pixels, 5 counts per pixel, with an edge: flat maps would be no solution."""
    rng = np.random.default_rng(3)
    right = np.arange(19) >= 9
    maps = rng.poisson(np.where(right, 8.0, 2.0), (2, 24, 19)).astype(float)
    image = np.where(right, 50.0, 10.0) + rng.standard_normal((24, 19))
    return Dataset({"haadf": image, "maps": maps}, elements=("Co", "O"))


def problem_of(name: str, engine: Any, precision: Any = "single") -> Problem:
    return compose(recording(), PROBLEMS[name][0], precision=precision, engine=engine)


def run(problem: Problem, solver: str = "chambolle_pock", **options: Any) -> Result:
    settings = {"max_iterations": 60, "tolerance": 0.0, **options}
    return solve(problem, make_solver(solver, **settings), starting_point("auto", problem, recording()))


@pytest.mark.parametrize(
    ("name", "precision"),
    # two images take longest to compile, and differ from one in nothing that depends on the type
    [pair for pair in product(PROBLEMS, ("single", "double")) if pair != ("two detectors", "single")],
)
def test_engines_agree(name: str, precision: str) -> None:
    plain, fast = (run(problem_of(name, engine, precision), check_every=10) for engine in ("numpy", "auto"))
    assert plain.engine == "numpy"
    assert fast.engine == ("numba" if PROBLEMS[name][1] else "numpy")
    assert bool(fast.notes) == (name == "joint prox only")
    near = 2e-5 if precision == "single" else 1e-12
    np.testing.assert_allclose(fast.x, plain.x, rtol=50 * near, atol=50 * near)
    assert fast.objective == pytest.approx(plain.objective, rel=near, abs=near)
    for column in ("objective", "stationarity", "alignment", "feasibility"):
        np.testing.assert_allclose(fast.trace[column][:3], plain.trace[column][:3], rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("solver", ["admm", "linearized_admm", "pyproximal_primal_dual", "pyproximal_admm"])
def test_other_solvers_share_the_compiled_prox(solver: str) -> None:
    plain, fast = (run(problem_of("fused", engine, "double"), solver) for engine in ("numpy", "numba"))
    assert fast.objective == pytest.approx(plain.objective, rel=1e-9)


@pytest.mark.parametrize("name", ["fused", "denoising", "tgv", "joint tgv"])
def test_check_agrees_with_its_definition(name: str) -> None:
    problem = problem_of(name, "numba")
    split = fit(make_solver("chambolle_pock"), problem)
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 9, problem.shape).astype(np.float32)
    field = tuple(rng.normal(0, 1, w.shape).astype(x.dtype) for w in split.coupling.auxiliary_zeros(x.dtype))
    # zero across the borders, as every dual variable is that starts at zero
    p = tuple(0.1 * image for image in split.coupling.apply(x, field))
    state = State(x, tuple(w[::-1].copy() for w in field), p)
    values, certificate = Evaluator(split)(state)
    definition = split.values(x, state.auxiliary)
    assert list(values) == list(definition)
    for term, value in values.items():
        assert value == pytest.approx(definition[term], rel=1e-5)
    defined = certify(split, x, state.auxiliary, state.duals)
    for part in ("stationarity", "alignment", "feasibility"):
        assert getattr(certificate, part) == pytest.approx(getattr(defined, part), rel=1e-4)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(threads: int) -> None:
    with limit_threads(threads):
        found = run(problem_of("fused", "numba"))
    np.testing.assert_array_equal(found.x, run(problem_of("fused", "numba")).x)


def test_compilation_is_announced_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kernel = SimpleNamespace(stats=SimpleNamespace(cache_path=str(tmp_path / "cache")))
    with caplog.at_level(logging.INFO, "fusionkit"):
        for _ in range(2):
            announce_compilation(kernel, np.float32)
        announce_compilation(kernel, np.float64)
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"compiling the kernels for {dtype}; this happens once" for dtype in ("float32", "float64")]


class OwnTerm(Pixelwise):
    """A user's pixelwise term, 1/2 ||x - 4||^2, without a kernel."""

    name = "own"

    def value(self, x: Array) -> float:
        return 0.5 * float(np.sum((x - 4) ** 2, dtype=np.float64))

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        return np.subtract(x, 4, out=out)

    def expand(self, x: Array, rows: slice) -> Expansion:
        return Expansion(x - 4, np.ones_like(x))

    def pixel_values(self, x: Array, rows: slice) -> Array:
        return 0.5 * np.sum((x - 4) ** 2, axis=0)


def test_own_term_runs_in_numpy_and_the_notes_say_so() -> None:
    result = run(compose(recording(), [*FUSED, OwnTerm()]))
    assert result.engine == "numpy"
    assert result.notes == (
        "the pixelwise terms run in NumPy: no kernel is compiled for own; iterations take about 10 times as long",
    )


def test_numpy_that_was_asked_for_needs_no_note() -> None:
    split = fit(make_solver("chambolle_pock"), problem_of("fused", "numpy"))
    assert backend_of(split).used(split) == "numpy"
    assert backend_of(split).notes(split) == ()


def test_without_numba_auto_falls_back_with_a_note_and_numba_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    result = run(problem_of("fused", "auto"), max_iterations=2)
    assert result.engine == "numpy"
    assert result.notes == (
        "the pixelwise terms run in NumPy: Numba is not installed; iterations take about 10 times as long",
    )
    with pytest.raises(UserError, match="engine: Numba is not installed"):
        require_engine("numba")


def test_the_clock_of_a_solve_stands_still_while_kernels_are_compiled() -> None:
    before = time.perf_counter(), solving_seconds(), compile_seconds()
    assert njit(lambda x: x + 1)(1) == 2
    wall, solving = time.perf_counter() - before[0], solving_seconds() - before[1]
    compiled = compile_seconds() - before[2]
    assert compiled > 0.0
    assert wall - solving == pytest.approx(compiled, abs=2e-3)
