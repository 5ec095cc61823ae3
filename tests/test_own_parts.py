"""Users' own parts in the Python interface: constraints, operators, wrong terms and their messages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusionkit as fk
from fusionkit.operators.functional.norms import L1
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.problem import Split
from fusionkit.reconstruct import prepare
from fusionkit.report.diagnostics.outcome import outcome
from fusionkit.result import Status
from fusionkit.solver import Solver, SolverOptions, State
from fusionkit.terms import Array, Smooth
from fusionkit.writer import write

MAPS = np.random.default_rng(0).poisson(5.0, (2, 16, 16)).astype(float)
DATA = fk.Dataset({"maps": MAPS}, elements=("Co", "O"))
FIT = {"type": "least_squares", "data": "maps"}
BOX = {"type": "pyproximal", "operator": "Box", "arguments": {"lower": 0.0, "upper": 7.0}}
SMALL = ("data.phantom.size=24",)


@pytest.mark.parametrize(
    "solver",
    ["chambolle_pock", "admm", "linearized_admm", "pyproximal_primal_dual", "condat_vu", "proximal_gradient"],
)
def test_a_constraint_that_holds_in_the_limit_is_no_divergence(solver: str) -> None:
    bound = {"type": "box", "lower": 0.0, "upper": 7.0}
    tv = {"type": "tv", "weight": 1.0}
    known = fk.solve(fk.compose(DATA, [FIT, tv, bound]), fk.make_solver("admm", tolerance=1e-5), MAPS)
    actual = fk.solve(
        fk.compose(DATA, [FIT, tv, BOX]), fk.make_solver(solver, tolerance=1e-4, max_iterations=5000), MAPS
    )
    assert actual.status is Status.CONVERGED
    assert actual.objective == pytest.approx(known.objective, rel=2e-3)


class Doubled:
    """2 x, with an adjoint that may be wrong."""

    def __init__(self, adjoint: float = 2.0, rows: int = 16, size: int = 16, norm: float = 2.0) -> None:
        self.domain, self.range = (2, 16, size), (2, rows, size)
        self.back, self.norm = adjoint, norm

    def apply(self, x: Array, out: Array | None = None) -> Array:
        return np.multiply(x, 2.0, out=out)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        return np.multiply(y, self.back, out=out)


def test_a_wrong_adjoint_is_refused() -> None:
    ComposedPenalty(L1(0.5), Doubled(), "own")
    with pytest.raises(
        fk.UserError, match=r"own: the adjoint of its operator is wrong: <K x, y> is .* and <x, K'y> is"
    ):
        ComposedPenalty(L1(0.5), Doubled(adjoint=-1.0), "own")
    with pytest.raises(fk.UserError, match=r"own: apply of its operator returns the shape \(2, 16, 16\) instead of"):
        ComposedPenalty(L1(0.5), Doubled(rows=8), "own")


@pytest.mark.parametrize("adjoint", [0.0, 1.0, 1.99, -2.0])
def test_a_wrong_adjoint_of_a_large_map_is_refused(adjoint: float) -> None:
    with pytest.raises(fk.UserError, match="own: the adjoint of its operator is wrong"):
        ComposedPenalty(L1(0.5), Doubled(adjoint, size=20_000), "own")


def test_a_norm_that_is_too_small_is_refused() -> None:
    with pytest.raises(fk.UserError, match="own: the norm of its operator is 1, but it stretches a vector 2 times"):
        ComposedPenalty(L1(0.5), Doubled(norm=1.0), "own")


def test_a_missing_bound_is_named() -> None:
    job = prepare("cos_nanoparticle", (*SMALL, "terms.nonnegative={type: box, lower: -100, name: nonnegative}"))
    config = {"terms": [{"type": "haadf"}, {"type": "poisson"}, {"type": "tv"}]}
    record = job.record(job.solve())
    diverged = replace(record, result=replace(record.result, status=Status.DIVERGED), resolved_config=config)
    (said,) = outcome(diverged)
    assert "There is no term nonnegative" in said.text


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: fk.compose(DATA, [FIT], engine="nmupy"), "engine: is 'nmupy'; write auto, numpy"),  # type: ignore[arg-type]
        (lambda: fk.compose(DATA, [FIT], precision="half"), "precision: is 'half'; write 'single' or"),  # type: ignore[arg-type]
        (lambda: fk.make_solver("admm", max_iterations=np.arange(2)), "max_iterations: must be"),
        (lambda: fk.Dataset({"maps": [[1.0]]}), "arrays.maps: is a list; give an array"),  # type: ignore[dict-item]
        (lambda: fk.read_result("nowhere/result.h5"), "there is no such file"),
    ],
)
def test_misuse_is_one_line(call: Any, said: str) -> None:
    with pytest.raises(fk.UserError) as caught:
        call()
    assert said in str(caught.value)


def test_paths_are_texts_or_paths(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\ndata: {phantom: {preset: cos_nanoparticle, size: 16}}\nterms: [poisson, nonnegative]\n"
    )
    for path in (tmp_path / "a.yaml", str(tmp_path / "a.yaml")):
        assert fk.prepare(path).solve().status is Status.CONVERGED


@pytest.mark.parametrize("solver", ["chambolle_pock", "admm", "condat_vu", "proximal_gradient"])
@pytest.mark.parametrize("precision", ["single", "double"])
def test_data_that_agree_are_certified(solver: str, precision: Any) -> None:
    """Without noise all gradients vanish at the solution, and so does their scale."""
    x, z = np.random.default_rng(0).uniform(1.0, 5.0, (2, 16, 16)), np.array([27.0, 8.0]) / 17.5
    image = ((z[:, None, None] * x) ** 1.7).sum(axis=0)
    data = fk.Dataset({"maps": x, "haadf": image}, elements=("Co", "O"))
    posed = fk.compose(data, [{"type": "haadf", "gamma": 1.7}, FIT, "nonnegative"], precision=precision)
    actual = fk.solve(posed, fk.make_solver(solver, max_iterations=2000), fk.starting_point("uniform", posed, data))
    assert actual.status is Status.CONVERGED
    np.testing.assert_allclose(actual.x, x, rtol=1e-3)


class Handing(Solver[State]):
    """A solver that returns its input, like an unfinished one."""

    name = "handing"

    def __init__(self, state: Any) -> None:
        super().__init__(SolverOptions())
        self.state = state

    def init(self, split: Split, x0: Array) -> State:
        return self.state

    def step(self, split: Split, state: State) -> State:
        return state


FIELD, EMPTY = np.zeros((2, 2, 16, 16)), np.zeros(0)
UNFINISHED = {
    "no state": ({"x": MAPS}, "solver handing: init returns a dict; return a fusionkit.solver.State"),
    "x": (State(MAPS[0], (EMPTY,), (FIELD,)), r"init returns x of the shape \(16, 16\) instead of \(2, 16, 16\)"),
    "no duals": (State(MAPS, (EMPTY,), ()), r"init returns 0 duals for 1 composed terms; give one for each .*\(tv\)"),
    "no auxiliary": (State(MAPS, (), (FIELD,)), "init returns 0 auxiliary for 1 composed terms"),
    "dual": (State(MAPS, (EMPTY,), (MAPS,)), r"a dual variable of tv of the shape \(2, 16, 16\) instead of"),
}


@pytest.mark.parametrize("what", UNFINISHED)
def test_what_a_solver_hands_on_is_checked(what: str) -> None:
    state, said = UNFINISHED[what]
    problem = fk.compose(DATA, [FIT, {"type": "tv", "weight": 1.0}])
    with pytest.raises(fk.UserError, match=said):
        fk.solve(problem, Handing(state), MAPS)


@pytest.mark.parametrize("solver", ["admm", "proximal_gradient"])
def test_a_penalty_that_vanishes_at_the_solution_is_certified(solver: str) -> None:
    """Strong total variation makes the maps constant, so the gradient in the quadratic penalty is 0."""
    terms = [FIT, {"type": "tv", "weight": 20.0}, {"type": "l2", "operator": "gradient", "weight": 1e-3}]
    posed = fk.compose(DATA, terms, precision="double")
    actual = fk.solve(posed, fk.make_solver(solver, max_iterations=3000), MAPS)
    assert actual.status is Status.CONVERGED
    np.testing.assert_allclose(actual.x, np.broadcast_to(MAPS.mean(axis=(1, 2), keepdims=True), MAPS.shape), rtol=1e-4)


def test_a_gradient_of_another_shape_is_refused() -> None:
    posed = fk.compose(DATA, [FIT, {"type": "tv", "weight": 1.0}])

    class Flat(Smooth):
        name, convex = "flat", True

        def value(self, x: Array) -> float:
            return 0.0

        def gradient(self, x: Array, out: Array | None = None) -> Array:
            return np.zeros(x.shape[1:])

    own = replace(posed, terms=(*posed.terms, Flat()))
    with pytest.raises(fk.UserError, match=r"flat: its gradient has the shape \(16, 16\), but the unknown has"):
        fk.solve(own, fk.make_solver("condat_vu"), MAPS)


def test_lbfgsb_lowers_the_smoothing_of_a_differentiable_term() -> None:
    posed = fk.compose(DATA, [{"type": "poisson", "epsilon": 0.0}, "nonnegative"])
    actual = fk.solve(posed, fk.make_solver("lbfgsb", max_iterations=200), fk.starting_point("auto", posed, DATA))
    assert actual.status is Status.CONVERGED


def test_a_solve_goes_on_from_a_saved_one(tmp_path: Path) -> None:
    job = prepare("cos_nanoparticle", (*SMALL, "engine=numpy"))
    write(job.record(job.solve()), tmp_path / "run", overwrite=False, figures=False, report=False)
    saved = fk.read_result(tmp_path / "run")
    again = fk.solve(job.problem, job.solver, saved.x, former=saved)
    assert saved.steps["tau"] > 0.0
    assert (again.status, again.iterations) == (Status.CONVERGED, 10)


@pytest.mark.parametrize(("level", "warned"), [(10.0, False), (1e5, True)])
def test_a_map_too_faint_for_the_certificate_is_named(level: float, warned: bool) -> None:
    job = prepare("cos_nanoparticle", (*SMALL, "engine=numpy", "data.maps={Co: Co, O: O}"))
    record = job.record(job.solve())
    x = record.result.x.copy()
    x[0] *= level
    sentences = [one.text for one in outcome(replace(record, result=replace(record.result, x=x)))]
    assert any(text.startswith("The map of O may be far from its optimum") for text in sentences) is warned
