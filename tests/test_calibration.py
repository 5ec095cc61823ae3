"""Gain, offset and exponent of the HAADF model, fitted together with the maps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionkit.calibration import _Sums, refit
from fusionkit.cli import main
from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.errors import UserError
from fusionkit.loop import solve
from fusionkit.operators.forward.detector import Calibration
from fusionkit.operators.forward.power_sum import PowerSum
from fusionkit.options import Spec
from fusionkit.problem import Problem
from fusionkit.reconstruct import starting_point
from fusionkit.result import Result, Status
from fusionkit.terms import Array, Calibrated

GAIN, OFFSET = 3.7, 12.0
SMALL = 64
TV = {"cos_nanoparticle": 0.3, "films": 0.3, "lattice": 0.05}


def recording(preset: str, dose: float, size: int = SMALL) -> Dataset:
    """A phantom recorded by a detector with gain and offset."""
    phantom = {"preset": preset, "size": size, "dose": dose, "seed": 0}
    data = load(DataOptions.model_validate({"phantom": phantom}), Path(), "data")
    assert data.haadf_sigma is not None
    image = GAIN * data.arrays["haadf"] + OFFSET
    return replace(data, arrays={**data.arrays, "haadf": image}, haadf_sigma=GAIN * data.haadf_sigma)


def problem(data: Dataset, tv: float = 0.3, engine: str = "auto", precision: str = "single", **model: Any) -> Problem:
    assert data.haadf_sigma is not None
    terms = [
        {"type": "haadf", "weight": data.haadf_sigma**-2, "gamma": 1.7, **model},
        {"type": "poisson", "epsilon": 0.1},
        {"type": "tv", "weight": tv},
        {"type": "nonnegative"},
    ]
    return compose(data, [Spec.model_validate(term) for term in terms], None, precision, engine)  # type: ignore[arg-type]


def fitted(data: Dataset, posed: Problem, solver: str = "chambolle_pock", tolerance: float = 1e-4) -> Result:
    algorithm = make_solver(solver, tolerance=tolerance, max_iterations=3000)
    return solve(posed, algorithm, starting_point("auto", posed, data))


def error(data: Dataset, x: Array) -> float:
    assert data.truth is not None
    return float(np.linalg.norm(x - data.truth) / np.linalg.norm(data.truth))


# preset, dose, fitted parameters, largest error of log(gain) and of gamma
FITS = {
    "nanoparticle, gain": ("cos_nanoparticle", 20, {"gain": "auto", "offset": OFFSET}, 0.02, 0.0),
    "nanoparticle, gain and offset": ("cos_nanoparticle", 20, {"gain": "auto", "offset": "auto"}, 0.02, 0.0),
    "films, gain and offset": ("films", 20, {"gain": "auto", "offset": "auto"}, 0.02, 0.0),
    "lattice, gain and offset": ("lattice", 20, {"gain": "auto", "offset": "auto"}, 0.03, 0.0),
    "few counts": ("cos_nanoparticle", 5, {"gain": "auto", "offset": "auto"}, 0.05, 0.0),
    "exponent alone": ("films", 100, {"gain": GAIN, "offset": OFFSET, "gamma": [1.4, 2.0]}, 0.0, 0.02),
    "all three": ("films", 100, {"gain": "auto", "offset": "auto", "gamma": [1.4, 2.0]}, 0.1, 0.03),
}


@pytest.mark.parametrize(("preset", "dose", "model", "gain", "gamma"), FITS.values(), ids=FITS)
def test_fits_find_the_detector_and_cost_no_accuracy(
    preset: str, dose: float, model: dict[str, Any], gain: float, gamma: float
) -> None:
    data = recording(preset, dose, 128 if preset == "lattice" else SMALL)  # a lattice needs fine pixels
    result = fitted(data, problem(data, TV[preset], **model))
    known = fitted(data, problem(data, TV[preset], gain=GAIN, offset=OFFSET))
    assert (result.status, known.status) == (Status.CONVERGED, Status.CONVERGED)
    found = result.parameters["haadf"]
    if "gain" in found:
        assert abs(np.log(found["gain"].value / GAIN)) < gain
    if "gamma" in found:
        assert abs(found["gamma"].value - 1.7) < gamma
    assert error(data, result.x) < 1.03 * error(data, known.x)


def test_fits_cost_few_iterations() -> None:
    data = recording("cos_nanoparticle", 20)
    known = fitted(data, problem(data, gain=GAIN, offset=OFFSET))
    result = fitted(data, problem(data, gain="auto", offset="auto"))
    assert result.iterations <= 1.5 * known.iterations


def test_errors_are_those_of_many_recordings() -> None:
    """The spread over independent noise equals the standard deviation that each fit reports."""
    fits = []
    for seed in range(12):
        phantom = {"preset": "films", "size": SMALL, "dose": 100, "seed": seed}
        data = load(DataOptions.model_validate({"phantom": phantom}), Path(), "data")
        fits.append(fitted(data, problem(data, gain="auto", offset="auto"), tolerance=1e-3).parameters["haadf"])
    for name in ("gain", "offset"):
        spread = float(np.std([fit[name].value for fit in fits], ddof=1))
        said = float(np.mean([fit[name].error for fit in fits]))
        assert 0.5 < spread / said < 1.7, name  # 12 recordings determine a standard deviation to 20 %


@pytest.mark.parametrize(
    "solver", ["chambolle_pock", "linearized_admm", "admm", "condat_vu", "pyproximal_primal_dual", "proximal_gradient"]
)
def test_every_solver_fits_the_same(solver: str) -> None:
    data = recording("cos_nanoparticle", 20)
    reference = fitted(data, problem(data, gain="auto", offset="auto")).parameters["haadf"]
    found = fitted(data, problem(data, gain="auto", offset="auto"), solver, 5e-4).parameters["haadf"]
    for name, one in reference.items():
        assert abs(found[name].value - one.value) < one.error, name


def test_condat_vu_knows_that_the_parameters_have_moved() -> None:
    """f and its gradient are cached between steps: with those of former parameters no step descends."""
    data = recording("cos_nanoparticle", 20, 32)
    posed = problem(data, gain="auto", offset="auto", weight=1e-3)
    found, reference = (fitted(data, posed, solver, 2e-3) for solver in ("condat_vu", "chambolle_pock"))
    assert found.status is Status.CONVERGED
    assert found.objective == pytest.approx(reference.objective, rel=2e-3)


def test_what_is_not_known_is_infinite_and_nothing_else() -> None:
    information = np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    found = _Sums(np.zeros(4), information, np.eye(4), 1.0).errors()
    assert found == [np.inf, np.inf, 0.5, np.inf]


def test_the_score_is_zero_at_the_result() -> None:
    """The regression of the image on the prediction from raw counts, written out, changes nothing."""
    data = recording("films", 20)
    result = fitted(data, problem(data, gain="auto", offset="auto", precision="double"), tolerance=1e-5)
    x, found = np.asarray(result.x, np.float64), {n: p.value for n, p in result.parameters["haadf"].items()}
    numbers = np.array([atomic_number(symbol) for symbol in data.elements], float)
    z = (numbers / numbers.mean())[:, None, None]
    model = ((z * x) ** 1.7).sum(0)
    slope = found["gain"] * 1.7 * z * (z * x) ** 0.7
    predicted = found["gain"] * model + found["offset"] + (slope * (data.arrays["maps"] - 0.1 - x)).sum(0)
    assert data.haadf_sigma is not None
    root = np.sqrt(1.0 / (data.haadf_sigma**2 + (slope**2 * (x + 0.1)).sum(0))).ravel()
    design = np.stack([found["gain"] * model.ravel(), np.ones(model.size)], axis=1)
    residual = (data.arrays["haadf"] - predicted).ravel()
    step = np.linalg.lstsq(design * root[:, None], residual * root, rcond=None)[0]
    covariance = np.linalg.inv((design * root[:, None] ** 2).T @ design)
    errors = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(step) < 0.02 * errors)
    said = [result.parameters["haadf"]["gain"].error / found["gain"], result.parameters["haadf"]["offset"].error]
    np.testing.assert_allclose(said, errors, rtol=1e-3)


@settings(deadline=None, max_examples=30)
@given(
    st.floats(1.0, 3.0), st.floats(0.1, 10.0), st.floats(-5.0, 5.0), st.integers(0, 1000), st.sampled_from([0.0, 1.0])
)
def test_directions_are_derivatives(gamma: float, gain: float, offset: float, seed: int, empty: float) -> None:
    x = np.random.default_rng(seed).random((3, 4, 5)) + 0.1
    x[0] *= empty
    model = Calibration(PowerSum(gamma, [0.5, 1.0, 2.0], (4, 5)), gain, offset, ("gain", "offset", "gamma"), (1.0, 4.0))
    for name, direction in zip(model.fitted, model.directions(x), strict=True):
        h = 1e-6 if gamma < 3.9 else -1e-6
        ahead, behind = model.stepped({name: h}), model.stepped({name: -h})
        if name == "gamma" and gamma - h < 1.0:
            continue  # at the limit of the interval
        np.testing.assert_allclose(direction, (ahead.apply(x) - behind.apply(x)) / (2 * h), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gamma", [1.0, 1.7, 2.0])
def test_kernels_know_gain_and_offset(gamma: float) -> None:
    data = recording("films", 20, 32)
    runs = [
        fitted(data, problem(data, engine=engine, gamma=gamma, gain=2.5, offset=7.0)) for engine in ("numpy", "numba")
    ]
    assert [run.engine for run in runs] == ["numpy", "numba"]
    assert runs[0].objective == pytest.approx(runs[1].objective, rel=1e-5)
    np.testing.assert_allclose(runs[0].x, runs[1].x, atol=0.02 * float(runs[0].x.max()))


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_both_engines_fit(engine: str) -> None:
    data = recording("films", 20, 32)
    found = fitted(data, problem(data, engine=engine, gain="auto", offset="auto"))
    assert found.engine == engine
    assert abs(np.log(found.parameters["haadf"]["gain"].value / GAIN)) < 0.05


def test_an_exponent_stays_in_its_interval() -> None:
    data = recording("films", 100)
    found = fitted(data, problem(data, gamma=[1.4, 1.6], gain="auto", offset=OFFSET))
    assert found.status is Status.CONVERGED
    assert found.parameters["haadf"]["gamma"].value == 1.6


def test_k_factors_multiply_z() -> None:
    data = recording("films", 20, 32)
    first, second, *_ = data.elements
    x = np.asarray(data.truth, np.float32)
    with_k = problem(data, k_factors={first: 2.0}).terms[0]
    z = dict.fromkeys(data.elements, 1.0) | {first: 2.0, second: 3.0}
    without = problem(data, z=z).terms[0]
    again = problem(data, z=z | {first: 1.0}, k_factors={first: 2.0}).terms[0]
    assert without.value(x) == pytest.approx(again.value(x), rel=1e-6)
    assert with_k.value(x) != pytest.approx(problem(data).terms[0].value(x), rel=1e-3)


def test_z_contrast_is_linear_in_thickness() -> None:
    data = recording("films", 20, 32)
    spec = {"type": "least_squares", "data": "haadf", "forward": {"type": "z_contrast", "gamma": 1.7, "z": "absolute"}}
    term = compose(data, [Spec.model_validate(spec)]).terms[0]
    x = np.asarray(data.truth, np.float32)
    prediction = term.predict(x)  # type: ignore[attr-defined]
    np.testing.assert_allclose(term.predict(2 * x), 2 * prediction, rtol=1e-5)  # type: ignore[attr-defined]


@pytest.mark.parametrize("preset", ["cos_nanoparticle", "films"])
def test_steps_do_not_overshoot_for_ever_at_few_counts(preset: str) -> None:
    """Full steps ended in a cycle of two."""
    data = recording(preset, 0.05, 32)
    terms = [
        {"type": "haadf", "weight": 1e-12, "gain": "auto", "offset": "auto"},
        {"type": "poisson", "epsilon": "auto"},
        {"type": "joint_nonlocal", "similar": 40, "search": 12},
        {"type": "nonnegative"},
    ]
    posed = compose(data, [Spec.model_validate(term) for term in terms], engine="numpy")
    result = fitted(data, posed, tolerance=1e-3)
    assert result.status is Status.CONVERGED
    assert result.iterations <= 200


def test_a_term_of_weight_zero_fits_nothing() -> None:
    data = recording("films", 20, 32)
    posed = problem(data, gain="auto")
    blind = replace(posed, terms=(replace(posed.terms[0], weight=0.0), *posed.terms[1:]))  # type: ignore[type-var]
    assert isinstance(blind.terms[0], Calibrated)
    found = refit(blind, np.asarray(data.truth, np.float32))
    assert found.change == 0.0
    assert found.parameters == {}


REFUSED = {
    "poisson": (
        {"type": "poisson", "data": "haadf", "forward": {"type": "power_sum", "gain": "auto"}},
        "least squares",
    ),
    "scan": (
        {
            "type": "least_squares",
            "data": "haadf",
            "forward": {"type": "scan", "shape": [32, 32], "forward": {"type": "power_sum", "offset": "auto"}},
        },
        "inside a scan",
    ),
    "gain": ({"type": "haadf", "gain": -1.0}, "gain"),
    "gain by name": ({"type": "haadf", "gain": "automatic"}, "auto"),
    "interval": ({"type": "haadf", "gamma": [2.0, 1.4]}, "interval"),
    "wide interval": ({"type": "haadf", "gamma": [0.5, 2.0]}, "interval"),
    "small gamma": ({"type": "haadf", "gamma": 0.8, "gain": "auto"}, "gamma >= 1"),
    "k of no element": ({"type": "haadf", "k_factors": {"Xe": 1.0}}, "Xe"),
}


@pytest.mark.parametrize(("spec", "said"), REFUSED.values(), ids=REFUSED)
def test_refusals_say_what_is_wrong(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        compose(recording("films", 20, 32), [Spec.model_validate(spec)])


def test_a_run_writes_what_it_fitted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["data.phantom.size=32", "terms.haadf.gain=auto", "terms.haadf.offset=auto", "output.report=false"]
    flags = [word for one in settings for word in ("--set", one)]
    assert main(["run", "cos_nanoparticle", "--output", str(tmp_path / "run"), *flags]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    gain = summary["parameters"]["haadf"]["gain"]
    assert abs(gain["value"] - 1.0) < 5 * gain["error"]
    assert any("gain = " in note for note in summary["notes"])
    assert "gain: auto" in (tmp_path / "run" / "config.resolved.yaml").read_text()
    assert main(["run", str(tmp_path / "run" / "config.resolved.yaml"), "--output", str(tmp_path / "again")]) == 0
    again = json.loads((tmp_path / "again" / "summary.json").read_text())
    assert again["parameters"] == summary["parameters"]
    capsys.readouterr()
