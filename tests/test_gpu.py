"""``engine: cupy``: whole solves by the kernels, on the CPU without a device, and refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host_device import COMPILER, NO_COMPILER
from strict_arrays import StrictDevice
from test_engine import FUSED, PROBLEMS, OwnTerm, recording

from benchmarks.gpu import measure, table
from fusionkit.cli import main
from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.engines.gpu import device as devices
from fusionkit.engines.gpu.device import CudaDevice, Device
from fusionkit.errors import RefusalError, UserError
from fusionkit.loop import solve
from fusionkit.reconstruct import starting_point
from fusionkit.result import Result, Status

# penalties that run by array functions, the joint prox by a kernel
UNFUSED: dict[str, tuple[Any, ...]] = {
    "tgv": PROBLEMS["tgv"][0],
    "joint tgv": PROBLEMS["joint tgv"][0],
    "anisotropic": (*FUSED[:2], {"type": "anisotropic_tv", "weight": 0.3}, "nonnegative"),
    "huber": (*FUSED[:2], {"type": "huber_tv", "weight": 0.3, "smoothing": 0.5}, "nonnegative"),
    "smooth": (*FUSED[:2], {"type": "l2", "operator": "laplacian", "weight": 0.1}, "nonnegative"),
    "two penalties": (*FUSED, {"type": "l2", "operator": "gradient", "weight": 0.1}),
    "euclidean": (
        {"type": "least_squares", "data": "maps"},
        {"type": "penalty", "functional": "euclidean", "operator": "gradient"},
    ),
}
WITHOUT = ("tgv", "curvature", "prox only", "two detectors", "anisotropic")  # no kernel on a device
KERNELS = [name for name in PROBLEMS if not name.endswith(WITHOUT) and not name.startswith(WITHOUT)]


def real_device() -> Device:
    try:
        return CudaDevice()
    except UserError as error:
        pytest.skip(f"a real device: {error}")


@pytest.fixture(params=["strict", "cuda"])
def on_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Device:
    """The devices for ``engine: cupy``: the CPU with arrays as strict as CuPy's, and a GPU if there is one."""
    if request.param == "strict" and COMPILER is None:
        pytest.skip(NO_COMPILER)
    device = StrictDevice() if request.param == "strict" else real_device()
    monkeypatch.setattr(devices, "find_device", lambda: device)
    # the device has one tau for all pixels, so the processor that it is compared with gets the same
    monkeypatch.setattr("fusionkit.engines.cpu.tv.TVEngine.boost", lambda *_: None)
    monkeypatch.setattr("fusionkit.engines.cpu.tgv.TGVEngine.boost", lambda *_: None)
    monkeypatch.setattr("fusionkit.solvers.chambolle_pock.local_boost", lambda *_: None)
    return device


def data_of(n: int, ny: int, nx: int) -> Dataset:
    rng = np.random.default_rng(3)
    edge = np.add.outer(np.arange(ny), np.arange(nx)) >= max(ny, nx) // 2
    maps = rng.poisson(np.where(edge, 8.0, 2.0), (n, ny, nx)).astype(float)
    image = np.where(edge, 50.0, 10.0) + rng.standard_normal((ny, nx))
    return Dataset({"haadf": image, "maps": maps}, elements=("Co", "O", "S", "Ti")[:n])


def solved(data: Dataset, terms: Any, engine: Any, precision: Any = "single", **options: Any) -> Result:
    problem = compose(data, terms, precision=precision, engine=engine)
    # checks at every tenth iteration: between them the processor's engine looks at samples, to which steps adapt too
    solver = make_solver("chambolle_pock", **{"max_iterations": 60, "tolerance": 0.0, "check_every": 10, **options})
    return solve(problem, solver, starting_point("auto", problem, data))


def check_alike(found: Result, expected: Result, near: float) -> None:
    """Maps, objective and certificate agree: to rounding at first, to its growth at the end."""
    np.testing.assert_allclose(found.x, expected.x, rtol=50 * near, atol=50 * near)
    assert found.objective == pytest.approx(expected.objective, rel=near, abs=near)
    for column in ("objective", "stationarity", "alignment"):
        np.testing.assert_allclose(found.trace[column][:3], expected.trace[column][:3], rtol=2e-3, atol=1e-6)
    assert isinstance(found.x, np.ndarray)
    assert all(isinstance(p, np.ndarray) for p in (*found.duals.values(), *found.auxiliary.values()))


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("name", KERNELS)
def test_a_solve_agrees_with_the_other_engines(name: str, precision: str, on_device: Device) -> None:
    actual = solved(recording(), PROBLEMS[name][0], "cupy", precision)
    assert (actual.engine, actual.device) == ("cupy", on_device.name)
    for engine in ("numpy", "auto"):
        check_alike(
            actual, solved(recording(), PROBLEMS[name][0], engine, precision), {"single": 2e-5}.get(precision, 1e-12)
        )


@pytest.mark.parametrize("gamma", [1.0, 1.4, 2.0])
@pytest.mark.parametrize("shape", [(1, 17, 23), (2, 1, 40), (3, 40, 1), (4, 17, 23)])
def test_elements_shapes_and_exponents(shape: tuple[int, int, int], gamma: float, on_device: Device) -> None:
    data = data_of(*shape)
    terms = ({"type": "haadf", "weight": 0.01, "gamma": gamma}, *FUSED[1:])
    check_alike(solved(data, terms, "cupy"), solved(data, terms, "auto"), 2e-5)


@pytest.mark.parametrize(
    "terms", [(*FUSED[:2], "nonnegative"), FUSED[1:], (*FUSED[:2], {"type": "tv", "weight": 0.0}, "nonnegative")]
)
def test_no_penalty_and_no_image(terms: Any, on_device: Device) -> None:
    check_alike(solved(recording(), terms, "cupy"), solved(recording(), terms, "auto"), 2e-5)


@pytest.mark.parametrize("name", [name for name in KERNELS if PROBLEMS[name][1]])
def test_looks_see_what_they_see_on_the_processor(name: str, on_device: Device) -> None:
    actual, expected = (
        solved(data_of(3, 48, 50), PROBLEMS[name][0], engine, "double", check_every=None, tolerance=1e-4)
        for engine in ("cupy", "numba")
    )
    assert expected.looks
    assert actual.trace["iteration"].tolist() == expected.trace["iteration"].tolist()
    assert len(actual.trace["iteration"]) < actual.iterations // 10
    for column, seen in expected.looks.items():
        if column != "seconds":
            np.testing.assert_allclose(actual.looks[column], seen, rtol=1e-6, atol=1e-12, err_msg=column)


def test_the_certificate_stops_the_solve_where_it_does_on_the_processor(on_device: Device) -> None:
    actual, expected = (
        solved(recording(), FUSED, engine, "double", max_iterations=2000, tolerance=1e-5) for engine in ("cupy", "auto")
    )
    assert actual.status is Status.CONVERGED
    assert actual.iterations == expected.iterations
    assert actual.optimality == pytest.approx(expected.optimality, rel=1e-6)


def test_an_early_end_hands_out_the_best_iterate(on_device: Device) -> None:
    options = {"tau": 3.0, "max_iterations": 40}
    actual, expected = (solved(recording(), FUSED, engine, "double", **options) for engine in ("cupy", "auto"))
    check_alike(actual, expected, 1e-10)
    assert actual.duals.keys() == expected.duals.keys()


def test_fitted_parameters_move_on_the_device_too(on_device: Device) -> None:
    terms = ({"type": "haadf", "weight": 0.1, "gamma": 1.7, "gain": "auto"}, *FUSED[1:])
    actual, expected = (solved(recording(), terms, engine, "double") for engine in ("cupy", "auto"))
    check_alike(actual, expected, 1e-8)
    assert actual.parameters["haadf"]["gain"].value == pytest.approx(expected.parameters["haadf"]["gain"].value)


@pytest.mark.parametrize("terms", [FUSED, PROBLEMS["tgv"][0]])
def test_a_solve_goes_on_from_a_former_one(terms: Any, on_device: Device) -> None:
    problem, solver = compose(recording(), terms, engine="cupy"), make_solver("chambolle_pock", max_iterations=20)
    former = solve(problem, solver, starting_point("auto", problem, recording()))
    again = solve(problem, solver, former.x, former=former)
    assert again.trace["optimality"][0] == pytest.approx(former.optimality, rel=1e-3)


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("name", UNFUSED)
def test_other_penalties_run_by_array_functions_and_the_notes_say_so(
    name: str, precision: str, on_device: Device
) -> None:
    actual = solved(recording(), UNFUSED[name], "cupy", precision)
    check_alike(actual, solved(recording(), UNFUSED[name], "numpy", precision), {"single": 2e-5}.get(precision, 1e-9))
    assert any("by array functions: there is no kernel for" in note for note in actual.notes)


@pytest.mark.parametrize(
    ("terms", "named"),
    [
        (PROBLEMS["two detectors"][0], "the combination of haadf, poisson, second, bounds"),
        ((*FUSED, OwnTerm()), "the term 'own'"),
        ((*FUSED, {"type": "structure_tensor_tv", "weight": 0.5}), "the term 'structure_tensor_tv'"),
        ((*FUSED, {"type": "l1", "weight": 0.1}), "the term 'l1'"),
    ],
)
def test_a_term_that_cannot_be_there_is_refused_by_name(terms: Any, named: str, on_device: Device) -> None:
    message = rf"engine: there is no GPU kernel for {re.escape(named)}; 'engine: auto' runs it"
    with pytest.raises(RefusalError, match=message):
        solved(recording(), terms, "cupy")


@pytest.mark.parametrize("solver", ["admm", "condat_vu", "proximal_gradient"])
def test_a_solver_without_kernels_is_refused_by_name(solver: str, on_device: Device) -> None:
    problem = compose(recording(), FUSED, engine="cupy")
    with pytest.raises(RefusalError, match=f"engine: cupy runs the solver chambolle_pock, not {solver}"):
        solve(problem, make_solver(solver), np.ones(problem.shape))


def test_without_cupy_or_a_device_one_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        CudaDevice()
    except UserError:
        pass
    else:
        pytest.skip("there is a device")
    assert main(["run", "cos_nanoparticle", "--set", "engine=cupy", "--output", str(tmp_path / "run")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "engine: CuPy" in lines[0]
    assert lines[0].endswith("or use 'auto' for the processor")
    assert not (tmp_path / "run").exists()


def test_a_run_names_the_device(tmp_path: Path, on_device: Device) -> None:
    words = ["data.phantom.size=24", "solver.max_iterations=20", "engine=cupy", "output.report=false"]
    sets = [word for each in words for word in ("--set", each)]
    assert main(["run", "cos_nanoparticle", *sets, "--quiet", "--output", str(tmp_path / "run")]) == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text("utf-8"))
    assert (summary["engine"], summary["device"]) == ("cupy", on_device.name)


def test_the_benchmark_measures_what_it_prints(on_device: Device) -> None:
    row = measure(on_device, 32, repeat=1)
    assert row.moved == 32 * 32 * 4 * (2 * 3 + 2 * 6 + 3 + 1)
    assert min(row.iteration, row.check, row.copy) > 0.0
    assert f"| 32² x 3 | {1e3 * row.iteration:.3f} |" in table(on_device, [row])[-1]
