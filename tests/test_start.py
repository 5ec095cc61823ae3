"""Starting points: positive, consistent with the image, and better than the maps where counts are sparse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.loop import solve
from fusionkit.problem import Problem
from fusionkit.reconstruct import prepare, starting_point
from fusionkit.terms import Fitted
from fusionkit.writer import write


def sparse(seed: int = 0) -> tuple[Dataset, Problem]:
    """Two elements at 0.1 counts per pixel: most pixels of the maps are empty, the image (2 % noise) is not."""
    rng = np.random.default_rng(seed)
    truth = np.full((2, 24, 24), 0.1)
    truth[0, :, 12:] = 0.2
    z = np.array([27.0, 8.0])
    image = (((z / z.mean())[:, None, None] * truth) ** 1.7).sum(axis=0)
    noise = 0.02 * image.max()
    image += noise * rng.standard_normal(image.shape)
    dataset = Dataset({"haadf": image, "maps": rng.poisson(truth).astype(float)}, elements=("Co", "O"))
    haadf = {"type": "haadf", "weight": float(noise**-2), "gamma": 1.7}
    terms = [haadf, "poisson", {"type": "tv", "weight": 0.02}, "nonnegative"]
    return dataset, compose(dataset, terms, precision="double")


@pytest.mark.parametrize("solver", ["chambolle_pock", "proximal_gradient"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_auto_ends_lower_than_maps_on_sparse_counts(seed: int, solver: str) -> None:
    """x = 0 is a stationary point where a map has no counts, as in most of this one; auto starts elsewhere."""
    dataset, problem = sparse(seed)
    ends = {}
    for init in ("auto", "maps"):
        start = starting_point(init, problem, dataset)
        ends[init] = solve(problem, make_solver(solver, max_iterations=200), start).objective
    assert ends["auto"] < 0.1 * ends["maps"]


@pytest.mark.parametrize("init", ["auto", "uniform"])
def test_start_is_positive_and_reproduces_the_image(init: str) -> None:
    dataset, problem = sparse()
    x = starting_point(init, problem, dataset)
    image = dataset.arrays["haadf"]
    model = next(term for term in problem.terms if isinstance(term, Fitted))
    assert np.all(x > 0)
    np.testing.assert_allclose(model.predict(x)[image > 0], image[image > 0], rtol=1e-9)


def test_a_power_near_zero_leaves_the_start_finite() -> None:
    """The image then asks for x beyond all numbers."""
    data, _ = sparse()
    terms = [{"type": "haadf", "weight": 1.0, "gamma": 1e-12}, {"type": "poisson", "weight": 1.0}]
    problem = compose(data, terms, None, "double")
    assert np.isfinite(starting_point("auto", problem, data)).all()


def test_maps_start_is_the_maps() -> None:
    dataset, problem = sparse()
    np.testing.assert_array_equal(starting_point("maps", problem, dataset), dataset.arrays["maps"])


def test_start_does_not_modify_the_maps() -> None:
    dataset, problem = sparse()
    before = dataset.arrays["maps"].copy()
    for init in ("auto", "maps", "uniform"):
        starting_point(init, problem, dataset)[...] = -1
    np.testing.assert_array_equal(dataset.arrays["maps"], before)


def small(*more: str) -> tuple[str, ...]:
    """Overrides that make the packaged nanoparticle small."""
    return ("data.phantom.size=32", "data.phantom.dose=5", "terms.haadf.weight=0.18", *more)


def test_former_result_continues_in_the_order_of_the_new_config(tmp_path: Path) -> None:
    job = prepare("cos_nanoparticle", small())
    result = job.solve()
    write(job.record(result), tmp_path / "run", overwrite=False, figures=False, report=False)
    init = f"init={tmp_path / 'run' / 'result.h5'}"
    again = prepare("cos_nanoparticle", small(init, "data.maps={O: O, Co: Co, S: S}"))
    assert again.problem.labels == ("O", "Co", "S")
    np.testing.assert_array_equal(again.start, result.x[[2, 0, 1]])


def test_former_result_of_other_elements_is_refused(tmp_path: Path) -> None:
    job = prepare("cos_nanoparticle", small("solver.max_iterations=1"))
    write(job.record(job.solve()), tmp_path / "run", overwrite=False, figures=False, report=False)
    with pytest.raises(UserError, match="holds Co, S, O, but the unknown has Ga, O"):
        prepare(
            "cos_nanoparticle",
            small("data.phantom.preset=films", "data.maps=[Ga, O]", f"init={tmp_path / 'run' / 'result.h5'}"),
        )


def test_former_result_of_another_shape_is_refused(tmp_path: Path) -> None:
    job = prepare("cos_nanoparticle", small("solver.max_iterations=1"))
    write(job.record(job.solve()), tmp_path / "run", overwrite=False, figures=False, report=False)
    with pytest.raises(UserError, match=r"has the shape \(3, 32, 32\), but the unknown has \(3, 40, 40\)"):
        prepare("cos_nanoparticle", (*small(f"init={tmp_path / 'run' / 'result.h5'}"), "data.phantom.size=40"))


def test_without_maps_there_is_nothing_to_start_from() -> None:
    with pytest.raises(UserError, match="no maps to start from"):
        prepare("linear_regression", ("init=maps",))
