"""A solver refuses unsupported terms before the first iteration: the term, the reason, and solvers that support it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from problems import MAPS, NONNEGATIVE, POISSON, SECOND, TV, arrays, problem_of

from fusionkit.compose_problem import compose, make_solver
from fusionkit.convergence_checks import Check
from fusionkit.data.dataset import Dataset
from fusionkit.errors import RefusalError, UserError
from fusionkit.loop import solve
from fusionkit.problem import Problem
from fusionkit.registry import table
from fusionkit.terms import Array, Term

STEEP = {"type": "haadf", "gamma": 0.7}
BARE_SUM = {"type": "poisson", "epsilon": 0.0, "data": "counts", "forward": "sum", "name": "total"}
TGV = {"type": "tgv", "weight": 0.1}
L1 = {"type": "l1", "operator": SECOND, "weight": 0.1, "name": "ridges"}
BLUR = {"type": "least_squares", "data": "blurred", "forward": {"type": "blur", "sigma": 1.0}, "name": "probe"}
FIT = {"type": "haadf", "gamma": 1.6}

# solver, terms, text of the message
REFUSED: list[tuple[str, list[Mapping[str, Any]], tuple[str, ...]]] = [
    ("admm", [MAPS, L1], ("'ridges'", "cosine transform does not diagonalise", "chambolle_pock", "proximal_gradient")),
    ("admm", [MAPS, TV, BLUR], ("'probe'", "cosine transform", "condat_vu")),
    ("admm", [MAPS, TGV], ("'tgv'", "auxiliary unknown", "solvers that can: auto, chambolle_pock, condat_vu")),
    ("proximal_gradient", [MAPS, TGV], ("'tgv'", "auxiliary unknown", "the solver takes smooth terms")),
    ("pyproximal_admm", [MAPS, L1], ("'ridges'", "cosine transform")),
    ("pyproximal_admm", [MAPS, TGV], ("'tgv'", "auxiliary unknown")),
    ("pyproximal_primal_dual", [MAPS, TGV], ("'tgv'", "auxiliary unknown")),
    ("lbfgsb", [MAPS, TGV], ("'tgv'",)),
    ("condat_vu", [STEEP, POISSON, NONNEGATIVE], ("'haadf'", "differentiable inside its domain only", "pixelwise")),
    ("proximal_gradient", [STEEP, POISSON, NONNEGATIVE], ("'haadf'", "differentiable inside its domain only")),
    ("lbfgsb", [STEEP, POISSON, NONNEGATIVE], ("'haadf'", "solvers that can: auto, chambolle_pock, admm")),
    ("condat_vu", [BARE_SUM, TV, NONNEGATIVE], ("'total'", "differentiable inside its domain only")),
    ("schwartz2022", [MAPS, TV], ("'least_squares'", "published")),
    ("schwartz2022", [FIT, POISSON, TGV], ("'tgv'",)),
    ("schwartz2022", [FIT, POISSON, {"type": "huber_tv", "smoothing": 0.1}, NONNEGATIVE], ("'huber_tv'", "published")),
]


IDS = [f"{solver}-{words[0][1:-1]}" for solver, _, words in REFUSED]


@pytest.mark.parametrize(("solver", "terms", "words"), REFUSED, ids=IDS)
def test_refuses_and_says_why(solver: str, terms: list[Mapping[str, Any]], words: tuple[str, ...]) -> None:
    checks: list[Check] = []
    with pytest.raises(RefusalError) as caught:
        solve(problem_of(terms), make_solver(solver), arrays()["maps"], checks.append)
    text = str(caught.value)
    assert not checks
    assert text.startswith(f"solver {solver}: cannot take the term ")
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize(("solver", "terms", "words"), REFUSED, ids=IDS)
def test_the_solvers_that_it_names_do_take_the_problem(
    solver: str, terms: list[Mapping[str, Any]], words: tuple[str, ...]
) -> None:
    problem = replace(problem_of(terms), engine="numpy")  # nothing to compile
    with pytest.raises(RefusalError) as caught:
        solve(problem, make_solver(solver), arrays()["maps"])
    named = str(caught.value).split("solvers that can: ")[1].split(", ")
    assert solver not in named
    for other in named:
        result = solve(problem, make_solver(other, max_iterations=2), arrays()["maps"] + 0.1)
        assert result.iterations <= 2


class Opaque(Term):
    """A term with only a value."""

    name = "opaque"

    def value(self, x: Array) -> float:
        return 0.0


@pytest.mark.parametrize("solver", table("solvers"))
def test_a_term_that_nobody_can_take(solver: str) -> None:
    problem = Problem((Opaque(), *problem_of([MAPS, TV]).terms), (3, 12, 10))
    with pytest.raises(RefusalError, match="no registered solver takes all of its terms") as caught:
        solve(problem, make_solver(solver), arrays()["maps"])
    assert "'opaque'" in str(caught.value) or solver == "schwartz2022"


def test_a_problem_that_makes_no_sense() -> None:
    data = Dataset({name: array.copy() for name, array in arrays().items()}, ("Sc", "Dy", "O"))
    with pytest.raises(UserError, match="two terms are called 'tv'; give one of them another 'name'"):
        compose(data, [MAPS, TV, TV])
    with pytest.raises(UserError, match="the list is empty"):
        compose(data, [])
    problem = compose(data, [MAPS, NONNEGATIVE, {"type": "box", "upper": -1.0}])
    with pytest.raises(UserError, match="exclude"):
        solve(problem, make_solver("chambolle_pock"), arrays()["maps"])
