"""TV with a factor per element: prox and dual ball, factors, solves, and the gain where counts differ."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fusionkit as fk
from fusionkit.cli import main
from fusionkit.config import yaml as yamlio
from fusionkit.errors import UserError
from fusionkit.operators.functional.norms import L21, WeightedL21
from fusionkit.reconstruct import Job, prepare
from fusionkit.terms import Composed
from fusionkit.weights.auto import restore_auto

RANDOM = np.random.default_rng(0)
Y = RANDOM.normal(0.0, 1.0, (2, 3, 20))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tau", [0.0, 0.4, 3.0])
def test_each_element_is_the_norm_with_its_own_weight(tau: float, dtype: type) -> None:
    factors, y = np.array([0.5, 0.0, 2.0]), Y.astype(dtype)
    norm, parts = WeightedL21(2, factors, 0.7), [L21(2, 0.7 * f) for f in factors]
    assert norm(y.ravel()) == pytest.approx(sum(one(y[:, i].ravel()) for i, one in enumerate(parts)), rel=1e-5)
    for name in ("prox", "proxdual"):
        actual = getattr(norm, name)(y.ravel(), tau)
        assert actual.dtype == dtype
        for i, one in enumerate(parts):
            expected = getattr(one, name)(np.ascontiguousarray(y[:, i]).ravel(), tau).reshape(2, -1)
            np.testing.assert_allclose(actual.reshape(Y.shape)[:, i], expected, atol=1e-5)
    np.testing.assert_allclose(
        y.ravel(), norm.prox(y.ravel(), 0.4) + 0.4 * norm.proxdual(y.ravel() / 0.4, 2.5), atol=1e-5
    )


def test_factors() -> None:
    counts = np.stack([np.full((8, 9), mean) for mean in (4.0, 1.0, 0.0)])
    data = fk.Dataset({"maps": counts}, ("Co", "S", "O"))

    def of(per_element: object) -> list[float]:
        (term,) = fk.compose(data, [{"type": "tv", "per_element": per_element}]).terms
        assert isinstance(term, Composed)
        assert isinstance(term.functional, WeightedL21)
        return term.functional.factors.tolist()

    assert of({"S": 3.0}) == [1.0, 3.0, 1.0]
    assert of("counts") == pytest.approx([0.5**0.5, 2.0**0.5, 1.0])


@pytest.mark.parametrize("solver", ["chambolle_pock", "admm", "condat_vu", "proximal_gradient"])
def test_solvers_agree(solver: str) -> None:
    sets = (
        "data.phantom.size=24",
        "terms.tv.per_element=counts",
        f"solver={{type: {solver}, tolerance: 1.0e-4, max_iterations: 3000}}",
    )
    job, first = prepare("cos_nanoparticle", sets), prepare("cos_nanoparticle", sets[:2])
    result = job.solve()
    assert result.status == "converged"
    assert result.objective == pytest.approx(first.solve().objective, rel=1e-4)


def test_equal_factors_are_no_factors() -> None:
    size = "data.phantom.size=24"
    shared = prepare("cos_nanoparticle", (size,)).solve()
    each = prepare("cos_nanoparticle", (size, "terms.tv.per_element={Co: 1.0, S: 1.0, O: 1.0}")).solve()
    np.testing.assert_allclose(each.x, shared.x, rtol=2e-2, atol=2e-2)


def test_elements_with_few_counts_gain() -> None:
    """Counts that differ a hundredfold: each variant at its best weight for the truth."""
    dataset = prepare("cos_nanoparticle", ("data.phantom.size=48", "data.phantom.dose=50")).dataset
    factors = np.array([1.0, 0.2, 5.0])[:, None, None]
    assert dataset.truth is not None
    truth = factors * np.asarray(dataset.truth, np.float64)
    counts = np.random.default_rng(1).poisson(truth).astype(np.float64)
    data = replace(dataset, arrays={"haadf": dataset.arrays["haadf"], "maps": counts}, truth=None)
    z = {
        e: number / 17.0 / f
        for e, number, f in zip(dataset.elements, (27, 16, 8), factors.ravel().tolist(), strict=True)
    }
    fits = [
        {"type": "haadf", "weight": (dataset.haadf_sigma or 1.0) ** -2, "gamma": 1.7, "z": z},
        "poisson",
        "nonnegative",
    ]

    def mean_error(weight: float, per_element: str | None) -> float:
        option = {} if per_element is None else {"per_element": per_element}
        problem = fk.compose(data, [*fits, {"type": "tv", "weight": weight, **option}])
        solver = fk.make_solver("chambolle_pock", max_iterations=200, tolerance=1e-3)
        x = fk.solve(problem, solver, fk.starting_point("auto", problem, data)).x
        return float(np.mean(np.linalg.norm(x - truth, axis=(1, 2)) / np.linalg.norm(truth, axis=(1, 2))))

    weights = [float(w) for w in np.geomspace(0.02, 0.6, 9)]
    shared, own = (min(mean_error(w, option) for w in weights) for option in (None, "counts"))
    assert own < 0.9 * shared


@pytest.mark.parametrize(
    ("per_element", "said"),
    [
        ("{Cobalt: 1.0}", "has no map"),
        ("{Co: 0.0}", "number > 0"),
        ("count", "per_element"),
        ("auto", "write weight: auto"),
    ],
)
def test_refusals(per_element: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        prepare("cos_nanoparticle", ("data.phantom.size=24", f"terms.tv.per_element={per_element}"))
    assert caught.value.where.startswith("terms[2].per_element")


# ------------------------------------------------------------------------------------------------- per_element: auto

EACH = "terms.tv.per_element=auto"


def own_errors(one: Job) -> list[float]:
    assert one.dataset.truth is not None
    pairs = zip(one.solve().x, one.dataset.truth, strict=True)
    return [float(np.linalg.norm(x - t) / np.linalg.norm(t)) for x, t in pairs]


@pytest.mark.parametrize(("preset", "dose"), [("films", 5), ("films", 100), ("cos_nanoparticle", 20)])
def test_a_weight_for_each_element_is_found(preset: str, dose: int) -> None:
    """It is clearly better than a common weight, even one chosen with the truth."""
    sets = ("data.phantom.size=64", f"data.phantom.preset={preset}", f"data.phantom.dose={dose}")
    each, one = prepare("cos_auto", (*sets, EACH)), prepare("cos_auto", sets)
    chosen = each.weights[-1]
    factors = chosen.options["per_element"]
    assert list(factors) == list(each.dataset.elements)
    assert np.prod(list(factors.values())) == pytest.approx(1.0, rel=1e-2)
    assert all(f"{element} " in chosen.note for element in factors)
    weights = [float(w) for w in np.geomspace(0.5 * one.weights[-1].weight, 2.0 * one.weights[-1].weight, 5)]
    best = min(np.mean(own_errors(prepare("cos_auto", (*sets, f"terms.tv.weight={w!r}")))) for w in weights)
    assert np.mean(own_errors(each)) < 0.97 * best
    assert chosen.iterations <= 10 * each.solve().iterations


def test_the_elements_weights_stand_in_the_resolved_configuration(tmp_path: Path) -> None:
    sets = ["--set", "data.phantom.size=48", "--set", "data.phantom.dose=20", "--set", EACH, "--quiet"]
    assert main(["run", "cos_auto", *sets, "--output", str(tmp_path / "first")]) == 0
    resolved = yamlio.read(tmp_path / "first" / "config.resolved.yaml")
    summary = json.loads((tmp_path / "first" / "summary.json").read_text())
    actual = summary["weights_auto"]["tv"]
    assert resolved["terms"][2]["per_element"] == actual["per_element"]
    assert set(actual["per_element"]) == {"Co", "S", "O"}
    for element, (low, high) in actual["uncertainty_of_elements"].items():
        assert low < actual["choice"] * actual["per_element"][element] < high
    assert restore_auto(resolved, summary)["terms"][2]["per_element"] == "auto"
    assert (
        main(["run", str(tmp_path / "first" / "config.resolved.yaml"), "--quiet", "--output", str(tmp_path / "b")]) == 0
    )
    assert json.loads((tmp_path / "b" / "summary.json").read_text())["weights"] == summary["weights"]


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (("terms.tv.weight={auto: sure}",), "which sure does not support"),
        (("terms.poisson={type: least_squares, data: maps, weight: 0.1}",), "which masked_pixels does not support"),
    ],
)
def test_what_cannot_be_searched_for_each(sets: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        prepare("cos_auto", ("data.phantom.size=32", EACH, *sets))
    assert caught.value.where == "terms[2].per_element"
