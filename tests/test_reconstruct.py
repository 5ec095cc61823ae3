"""From a config to a result and back: the resolved config gives the same bits; inputs do not change."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import fusionkit
from fusionkit.cli import main
from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.loop import solve
from fusionkit.reconstruct import prepare, starting_point
from fusionkit.results.result_file import read_result
from fusionkit.terms import Fitted

SMALL = {
    "cos_nanoparticle": ("data.phantom.size=32",),
    "cos_admm": ("data.phantom.size=32",),
    "cos_proximal_gradient": ("data.phantom.size=32",),
    "new_modality": ("data.phantom.size=32",),
    "linear_regression": (),
}


@pytest.mark.parametrize("name", SMALL)
def test_resolved_config_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    alone = ("threads=1", "output={figures: false, report: false}")
    sets = [word for override in (*SMALL[name], *alone) for word in ("--set", override)]
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["run", name, "--quiet", "--output", str(first), *sets]) == 0
    assert main(["run", str(first / "config.resolved.yaml"), "--quiet", "--output", str(second)]) == 0
    one, two = read_result(first), read_result(second)
    np.testing.assert_array_equal(one.x, two.x)
    assert one.objective == two.objective
    assert one.status == "converged"


def test_order_of_elements_is_the_configs(tmp_path: Path) -> None:
    straight = prepare("cos_nanoparticle", (*SMALL["cos_nanoparticle"], "solver.max_iterations=30"))
    turned = prepare(
        "cos_nanoparticle",
        (*SMALL["cos_nanoparticle"], "solver.max_iterations=30", "data.maps={O: O, S: S, Co: Co}"),
    )
    one, two = straight.solve(), turned.solve()
    assert tuple(two.maps) == ("O", "S", "Co")
    for element, map_ in one.maps.items():
        np.testing.assert_allclose(two.maps[element], map_, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, ">f4", np.float64])
def test_any_real_dtype_works_and_stays_as_it_was(dtype: str) -> None:
    rng = np.random.default_rng(1)
    maps = rng.poisson(5.0, (2, 12, 12)).astype(dtype)
    haadf = (maps.sum(axis=0) * 2).astype(dtype)
    kept = maps.copy(), haadf.copy()
    dataset = Dataset({"haadf": haadf, "maps": maps}, elements=("Co", "O"))
    problem = compose(dataset, [{"type": "haadf", "gamma": 1.5}, "poisson", "tv", "nonnegative"])
    result = solve(problem, make_solver("chambolle_pock", max_iterations=20), starting_point("auto", problem, dataset))
    assert result.x.dtype == np.float32
    np.testing.assert_array_equal(maps, kept[0])
    np.testing.assert_array_equal(haadf, kept[1])
    assert maps.flags.writeable


def test_describe_names_every_term_and_the_solver() -> None:
    lines = "\n".join(prepare("cos_nanoparticle", SMALL["cos_nanoparticle"]).describe())
    for word in ("Co, S, O", "3 x 32 x 32", "haadf", "poisson", "tv", "nonnegative", "solver: auto"):
        assert word in lines


@pytest.mark.parametrize("solver", ["auto", "chambolle_pock"])
def test_describe_names_what_runs_in_slower_code_and_the_cost(solver: str) -> None:
    sets = (*SMALL["cos_nanoparticle"], f"solver.type={solver}")
    slow = "note: the pixelwise terms run in NumPy: the kernels take exponents from 1 to 4, but that of haadf is 0.5"
    assert (
        f"{slow}; iterations take about 10 times as long"
        in prepare("cos_nanoparticle", (*sets, "terms.haadf.gamma=0.5")).describe()
    )
    assert "about 10 times" not in "".join(prepare("cos_nanoparticle", sets).describe())


def test_without_maps_the_coefficients_must_be_named() -> None:
    dataset = Dataset({"y": np.ones(3), "X": np.ones((3, 1))})
    with pytest.raises(UserError, match=r"unknown: is missing"):
        compose(dataset, [{"type": "least_squares", "data": "y", "forward": {"type": "affine", "matrix": "X"}}])


def test_record_holds_weights_and_predictions() -> None:
    job = prepare("cos_nanoparticle", (*SMALL["cos_nanoparticle"], "solver.max_iterations=1"))
    record = job.record(job.solve())
    assert record.term_weights == {"haadf": 1.148e-3, "poisson": 1.0, "tv": 0.3}
    assert record.model_haadf is not None
    assert record.model_haadf.shape == (32, 32)
    assert set(record.predictions) == set()


def test_public_names_do_not_depend_on_the_order_of_imports() -> None:
    """A submodule with the name of a public function would replace it once imported."""
    for name in (*fusionkit.__all__, *fusionkit.__all__):
        assert not isinstance(getattr(fusionkit, name), ModuleType), name


@pytest.mark.parametrize(("precision", "dtype"), [("single", np.float32), ("double", np.float64)])
def test_data_are_held_once_in_the_precision_of_the_iterates(precision: str, dtype: type) -> None:
    job = prepare("cos_nanoparticle", ("data.phantom.size=16", f"precision={precision}"))
    dataset = job.dataset
    assert dataset.truth is not None
    for array in (*dataset.arrays.values(), dataset.truth):
        assert array.dtype == dtype
        assert not array.flags.writeable
    fitted = {term.target: term.data for term in job.problem.terms if isinstance(term, Fitted)}
    assert set(fitted) == {"haadf", "maps"}
    assert all(np.shares_memory(data, dataset.arrays[name]) for name, data in fitted.items())
