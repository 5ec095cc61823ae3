"""Pixels that were not measured: terms leave them out, whatever the engine, and all that follows from the data too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize

import fusionkit as fk
from fusionkit.compose_problem import compose, make_solver
from fusionkit.config.yaml import parse as parse_yaml
from fusionkit.data.counts.kind import guess
from fusionkit.data.counts.scale import mean_variance
from fusionkit.data.dataset import Dataset
from fusionkit.data.load import load
from fusionkit.data.mask import unvisited, with_masks
from fusionkit.data.missing import filled
from fusionkit.data.noise import clipped_noise, noise_level
from fusionkit.data.open_files import OpenFiles
from fusionkit.data.options import DataOptions, Mask
from fusionkit.data.prepare.spec import Step, carry_out
from fusionkit.data.readers import open_recording
from fusionkit.errors import UserError
from fusionkit.loop import solve
from fusionkit.microscope.propose.config import propose
from fusionkit.notebook.inputs import gather
from fusionkit.options import parse
from fusionkit.reconstruct import starting_point
from fusionkit.report.diagnostics.map_expectations import completed, map_expectations
from fusionkit.terms import Array
from fusionkit.uncertainty.atomic_fractions import Region, region_sums
from fusionkit.uncertainty.estimate import by_curvature
from fusionkit.weights.count_splitting import leave_out, thin
from fusionkit.weights.fidelity_weights import weight_of_image
from fusionkit.weights.masked_pixels import fill_masked

SHAPE = (2, 5, 6)
RANDOM = np.random.default_rng(4)
MAPS = RANDOM.poisson(6.0, SHAPE).astype(float)
IMAGE = (0.5 * MAPS[0] + 1.5 * MAPS[1]) ** 1.3 + RANDOM.normal(0.0, 1.0, SHAPE[1:])
OUT_OF_IMAGE = RANDOM.random(SHAPE[1:]) < 0.2
OUT_OF_MAPS = RANDOM.random(SHAPE[1:]) < 0.6


def masked(maps: Array = MAPS, image: Array = IMAGE) -> Dataset:
    arrays = {"haadf": np.where(OUT_OF_IMAGE, np.nan, image), "maps": np.where(OUT_OF_MAPS, np.nan, maps)}
    return Dataset(arrays, ("Co", "O"), masked=("haadf", "maps"))


HAADF = {"type": "haadf", "weight": 0.3, "gamma": 1.3, "z": {"Co": 0.5, "O": 1.5}}
SIGMA = np.reshape([1.5, 2.5], (2, 1, 1))
GAUSSIAN = {"type": "gaussian", "sigma": {"Co": 1.5, "O": 2.5}}
SELECTED = {"type": "poisson", "epsilon": 0.2, "forward": {"type": "elements", "elements": {"O": 2.0, "Co": 0.5}}}
# the term of the maps, its value at each pixel of the maps
FITS: dict[str, tuple[dict[str, Any], Any]] = {
    "poisson": ({"type": "poisson", "epsilon": 0.2}, lambda x: x - MAPS * np.log(x + 0.2)),
    "gaussian": (GAUSSIAN, lambda x: 0.5 * ((x - MAPS) / SIGMA) ** 2),
    "least squares": ({"type": "least_squares", "data": "maps"}, lambda x: 0.5 * (x - MAPS) ** 2),
    "elements": (SELECTED, lambda x: x[::-1] * FACTORS - MAPS * np.log(x[::-1] * FACTORS + 0.2)),
}
FACTORS = np.reshape([2.0, 0.5], (2, 1, 1))
SMOOTH = {"type": "penalty", "functional": "l2", "operator": "gradient", "weight": 0.2}


def least(fit: Any) -> Array:
    """The minimiser of the sum over the measured pixels, by SciPy."""

    def objective(flat: Array) -> float:
        x = flat.reshape(SHAPE)
        image = 0.15 * ((0.5 * x[0]) ** 1.3 + (1.5 * x[1]) ** 1.3 - IMAGE) ** 2
        steps = np.sum(np.diff(x, axis=1) ** 2) + np.sum(np.diff(x, axis=2) ** 2)
        return float(image[~OUT_OF_IMAGE].sum() + fit(x)[:, ~OUT_OF_MAPS].sum() + 0.1 * steps)

    options = {"maxiter": 4000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-9}
    bounds = [(1e-9, None)] * MAPS.size
    return minimize(objective, np.full(MAPS.size, 4.0), method="L-BFGS-B", bounds=bounds, options=options).x


@pytest.mark.parametrize("name", FITS)
def test_the_minimum_is_that_of_the_measured_pixels(name: str) -> None:
    term, fit = FITS[name]
    problem = compose(masked(), [HAADF, term, SMOOTH, "nonnegative"], precision="double", engine="numpy")
    found = solve(problem, make_solver("chambolle_pock", max_iterations=2000, tolerance=1e-6), np.full(SHAPE, 4.0))
    np.testing.assert_allclose(found.x.ravel(), least(fit), atol=2e-3)


@pytest.mark.parametrize("solver", ["admm", "condat_vu", "lbfgsb", "proximal_gradient"])
def test_every_solver_has_the_same_minimum(solver: str) -> None:
    terms = [HAADF, FITS["poisson"][0], SMOOTH, "nonnegative"]
    problem = compose(masked(), terms, precision="double", engine="numpy")
    start = np.full(SHAPE, 4.0)
    both = [solve(problem, make_solver(one, max_iterations=2000), start) for one in (solver, "chambolle_pock")]
    assert both[0].objective == pytest.approx(both[1].objective, rel=1e-4)


@pytest.mark.parametrize("terms", [("poisson",), (GAUSSIAN,), (SELECTED,), (HAADF, "poisson")], ids=str)
def test_what_stands_at_a_pixel_left_out_does_not_matter(terms: Any) -> None:
    x = RANDOM.uniform(0.5, 9.0, SHAPE)
    problem = compose(masked(), list(terms), precision="double")
    other = masked(np.where(OUT_OF_MAPS, 1e9, MAPS), np.where(OUT_OF_IMAGE, -1e9, IMAGE))
    assert problem.value(x) == compose(other, list(terms), precision="double").value(x)
    for term in problem.terms:
        one: Any = term
        out = OUT_OF_IMAGE if one.target == "haadf" else OUT_OF_MAPS
        assert not one.gradient(x)[:, out].any()
        assert not one.information(x, slice(None))[:, out].any()
        assert np.isfinite(one.gradient(x)).all()


ARRAYS = {"HAADF": IMAGE, "Co": MAPS[0], "O": MAPS[1], "bad": OUT_OF_MAPS, "counts": MAPS}
LISTED = np.argwhere(OUT_OF_MAPS).tolist()
BLOCK = np.zeros(SHAPE[1:], bool)
BLOCK[:, 2:4] = True
NOWHERE = np.zeros(SHAPE[1:], bool)
# data.mask, then where the image and the maps are left out
FORMS: dict[str, tuple[Any, Any, Any]] = {
    "array": ("bad", OUT_OF_MAPS, OUT_OF_MAPS),
    "of the maps": ({"maps": "bad"}, NOWHERE, OUT_OF_MAPS),
    "pixels": ({"maps": LISTED}, NOWHERE, OUT_OF_MAPS),
    "columns": ({"haadf": {"columns": [2, 4]}}, BLOCK, NOWHERE),
    "both": ({"haadf": {"columns": [2, 4], "pixels": [[0, 2]]}, "maps": "bad"}, BLOCK, OUT_OF_MAPS),
    "another file": ({"maps": {"path": "mask.npz"}}, NOWHERE, OUT_OF_MAPS),
    "nan": ("nan", BLOCK, OUT_OF_MAPS),
    "empty": ({"maps": "empty"}, NOWHERE, OUT_OF_MAPS),
}


def read(folder: Path, mask: Any, **arrays: Array) -> Dataset:
    np.savez(folder / "data.npz", **{**ARRAYS, **arrays})
    np.savez(folder / "mask.npz", only=OUT_OF_MAPS)
    data = {"path": "data.npz", "haadf": "HAADF", "maps": {"Co": "Co", "O": "O"}, "mask": mask}
    return load(parse(DataOptions, data, "data"), folder)


@pytest.mark.parametrize("name", FORMS)
def test_masks_are_read(name: str, tmp_path: Path) -> None:
    mask, of_image, of_maps = FORMS[name]
    hole = {"nan": np.nan, "empty": 0.0}.get(name)
    arrays = {} if hole is None else {e: np.where(OUT_OF_MAPS, hole, MAPS[i] + 1) for i, e in enumerate(("Co", "O"))}
    if name == "nan":
        arrays["HAADF"] = np.where(BLOCK, np.nan, IMAGE)
    dataset = read(tmp_path, mask, **arrays)
    np.testing.assert_array_equal(np.isnan(dataset.arrays["haadf"]), of_image)
    np.testing.assert_array_equal(np.isnan(dataset.arrays["maps"]), np.broadcast_to(of_maps, SHAPE))
    assert dataset.masked == ("haadf",) * bool(of_image.any()) + ("maps",) * bool(of_maps.any())
    assert sum(note.startswith("mask: ") for note in dataset.notes) == len(dataset.masked)


ERRORS: dict[str, tuple[Any, str]] = {
    "no such array": ("bat", r"data\.mask: its file has no array of this name"),
    "no such data": ({"eels": "bad"}, r"data\.mask\.eels: there is no data called 'eels'; write haadf or maps"),
    "another shape": ("counts", r"'counts' has the shape \(2, 5, 6\)"),
    "no mask": ("Co", r"'Co' has other values than 0 and 1"),
    "beyond": ([[5, 0]], r"data\.mask: has \[5, 0\], but 'haadf' has \(5, 6\) pixels"),
    "beyond the rows": ({"rows": [0, 9]}, r"has \[0, 9\] of 5 pixels"),
    "nothing": ({"maps": {}}, "names no pixels"),
    "everything": ({"maps": {"rows": [0, 5]}}, r"data\.mask\.maps: leaves out every pixel of 'maps'"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_wrong_masks_are_refused(name: str, tmp_path: Path) -> None:
    mask, message = ERRORS[name]
    with pytest.raises(UserError, match=message):
        read(tmp_path, mask)


def test_nan_without_a_mask_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"NaN .* leave NaN out with data\.mask: nan"):
        read(tmp_path, None, HAADF=np.where(BLOCK, np.nan, IMAGE))


@pytest.mark.parametrize(
    ("image", "maps", "mask"),
    [
        (np.ma.masked_array(IMAGE, BLOCK), np.ma.masked_array(MAPS, np.broadcast_to(OUT_OF_MAPS, SHAPE)), None),
        (IMAGE, MAPS, {"haadf": BLOCK, "maps": OUT_OF_MAPS}),
        (np.ma.masked_array(IMAGE, BLOCK), MAPS, {"maps": LISTED}),
        (np.where(BLOCK, np.nan, IMAGE), np.where(OUT_OF_MAPS, np.nan, MAPS), "nan"),
    ],
)
def test_masks_in_a_notebook(image: Array, maps: Array, mask: Any) -> None:
    arrays = gather(image, maps, ["Co", "O"], mask).dataset.arrays
    np.testing.assert_array_equal(arrays["haadf"], np.where(BLOCK, np.nan, IMAGE))
    np.testing.assert_array_equal(arrays["maps"], np.where(OUT_OF_MAPS, np.nan, MAPS))


def field(size: int = 48) -> tuple[Array, Array]:
    """A smooth image with noise of 2, counts of 9 a pixel; both with garbage in a block that is left out."""
    y, x = np.mgrid[:size, :size] / size
    image = 30 * np.sin(3 * x + y) + np.random.default_rng(1).normal(0, 2.0, (size, size))
    return image, np.random.default_rng(2).poisson(9.0, (1, size, size)).astype(float)


def test_noise_and_units_are_those_of_measured_pixels() -> None:
    image, maps = field()
    image[10:20, 5:] = np.nan
    maps[:, 10:20, 5:] = np.nan
    assert noise_level(image) == pytest.approx(2.0, rel=0.1)
    assert clipped_noise(image) == pytest.approx(2.0, rel=0.1)
    assert weight_of_image(image, 0, "haadf").weight == pytest.approx(0.25, rel=0.2)
    assert guess(maps) == "counts"
    assert guess(maps / 20) == "rates"
    fit = mean_variance(maps[0])
    assert fit is not None
    assert fit.factor == pytest.approx(1.0, abs=0.15)
    with pytest.raises(UserError, match="the mask leaves 0 of these"):
        weight_of_image(np.where(np.indices(image.shape).sum(axis=0) % 2, np.nan, image), 0, "haadf")


def test_splitting_keeps_what_is_missing() -> None:
    counts = np.where(OUT_OF_MAPS, np.nan, MAPS)
    half = thin(counts, 0.5, np.random.default_rng(0))
    for part in (half.training, half.held_out, half.variance):
        np.testing.assert_array_equal(np.isnan(part), np.isnan(counts))
    np.testing.assert_allclose(half.training + half.held_out, 2 * counts)
    half = leave_out(counts, 2.0 * counts, np.random.default_rng(0))
    seen = [~np.isnan(part) for part in (half.training, half.held_out)]
    assert np.array_equal(seen[0] ^ seen[1], ~np.isnan(counts))
    assert half.share == 1.0
    np.testing.assert_array_equal(half.variance, 2.0 * half.held_out)
    folds = fill_masked(counts, np.broadcast_to(BLOCK & ~OUT_OF_MAPS, SHAPE))
    np.testing.assert_array_equal(np.isnan(folds), np.isnan(counts))


def test_gaps_are_filled_from_their_neighbours() -> None:
    image = np.add.outer(np.arange(20.0), np.arange(20.0))
    sparse = np.where(np.random.default_rng(0).random(image.shape) < 0.8, np.nan, image)
    result = filled(sparse)
    np.testing.assert_array_equal(result[~np.isnan(sparse)], sparse[~np.isnan(sparse)])
    assert np.abs(result - image).max() < 5.0
    assert filled(image) is image


STEPS: dict[str, dict[str, Any]] = {
    "crop": {"rows": [4, 40]},
    "bin": {"factor": 2},
    "outliers": {"of": "all"},
    "background": {"region": [0, 8, 0, 8]},
}


@pytest.mark.parametrize("step", STEPS)
def test_preparation_keeps_the_mask(step: str) -> None:
    image, maps = field()
    out = np.zeros(image.shape, bool)
    out[10:14, 20:26] = out[2, 2] = True
    whole = Dataset({"haadf": image, "maps": maps}, ("Co",))
    arrays = {"haadf": np.where(out, np.nan, image), "maps": np.where(out, np.nan, maps)}
    spec = Step(step=step, **STEPS[step])
    one = carry_out(replace(whole, arrays=arrays, masked=("haadf", "maps")), [spec], "prepare").arrays
    other = carry_out(whole, [spec], "prepare").arrays
    for name in ("haadf", "maps"):
        missing = np.isnan(one[name])
        assert 20 <= missing[..., :, :].reshape(-1, *missing.shape[-2:])[0].sum() * (4 if step == "bin" else 1) <= 29
        np.testing.assert_allclose(one[name][~missing], other[name][~missing], atol=2.0 if step == "background" else 0)


def test_totals_and_error_bars_are_those_of_the_measured_pixels() -> None:
    image = "{type: haadf, weight: 1.1e-3, gamma: 1.7}"
    terms = f"terms=[{image}, {{type: poisson, epsilon: 0.1}}, {{type: tv, weight: 0.3}}, nonnegative]"
    flags = ("data.phantom.size=32", terms, "data.mask={maps: {columns: [12, 16]}}")
    flags = (*flags, "engine=numpy", "solver.tolerance=1.0e-3")
    job = fk.prepare("cos_nanoparticle", flags)
    record = job.record(job.solve())
    maps, x = record.dataset.arrays["maps"], record.result.x
    seen = np.isfinite(maps[0])
    for index, one in enumerate(map_expectations(record)):
        counts = record.counts[one.name]
        assert counts.net == pytest.approx(maps[index][seen].sum(), rel=1e-6)
        assert counts.fused == pytest.approx(x[index][seen].sum(), rel=1e-3)
    assert record.verdict is not None
    assert record.verdict.level != "unusable"
    assert not [one.text for one in record.diagnostics if "failed" in one.text]
    whole = completed(record, "maps")
    assert whole is not None
    np.testing.assert_allclose(whole[:, ~seen], x[:, ~seen] + 0.1, rtol=1e-6)
    problem = record.result.problem or job.problem
    deviation = by_curvature(problem, x).standard_deviation
    assert np.isfinite(deviation).all()
    term: Any = next(one for one in problem.terms if one.name == "poisson")
    of_all, of_seen = (region_sums(Region("r", (0, 32), ends), x, term) for ends in ((0, 32), (0, 12)))
    assert of_all.raw is not None
    assert of_seen.raw is not None
    assert of_all.raw[0] == pytest.approx(x[0].sum(), rel=0.1)
    assert of_seen.raw[0] == pytest.approx(maps[0, :, :12].sum() - 0.1 * 32 * 12, abs=0.11 * 32 * 12)


def test_the_consensus_does_not_take_gaps_for_empty_pixels() -> None:
    maps = np.random.default_rng(3).poisson(20.0, (2, 24, 24)).astype(float)
    out = np.random.default_rng(4).random((24, 24)) < 0.7
    data = Dataset({"maps": np.where(out, np.nan, maps)}, ("Co", "O"), masked=("maps",))
    term: Any = compose(data, [{"type": "joint_nonlocal", "guide": None, "renewals": 1}]).terms[0]
    assert term.anchor.min() > 15.0
    assert term.anchor.max() < 25.0


def test_start_is_finite_and_near_the_data() -> None:
    problem = compose(masked(), [HAADF, "poisson", "nonnegative"])
    for init in ("auto", "maps", "uniform"):
        x = starting_point(init, problem, masked())
        assert np.isfinite(x).all()
        assert 1.0 < x.mean() < 30.0


def test_a_scan_that_left_out_pixels_is_proposed_and_not_assumed(tmp_path: Path) -> None:
    image, maps = field(24)
    maps[:, 15:] = 0.0
    np.savez(tmp_path / "aborted.npz", HAADF=image + 100.0, Co=maps[0])
    recordings = {tmp_path / "aborted.npz": open_recording(tmp_path / "aborted.npz")}
    with pytest.warns(fk.FusionkitWarning, match="216 of 576 pixels hold no count"):
        text = propose(recordings, tmp_path)
    assert "# mask: {maps: empty}" in text
    assert parse_yaml(text.replace("  # mask:", "  mask:"), "")["data"]["mask"] == {"maps": "empty"}
    assert "mask" not in parse_yaml(text, "")["data"]
    vacuum = np.where(np.arange(24)[:, None] >= 15, 0.0, image + 100.0)
    assert unvisited(maps, vacuum) == unvisited(maps[:, :15], image[:15]) == 0


def test_a_background_is_that_of_visited_pixels() -> None:
    visited = np.random.default_rng(0).random((32, 32)) < 0.2
    counts = np.random.default_rng(1).poisson(5.0, (32, 32)) * visited
    smooth = gaussian_filter(3.0 * visited, 2.0)[None]
    data = Dataset({"maps": counts[None].astype(float), "maps_background": smooth}, ("Co",), stacks={"maps": ("Co",)})
    out = {"maps": parse(Mask, {"signal": "empty"}, "")}
    background = with_masks(data, out, OpenFiles(Path(), None, None, ""), "mask").arrays["maps_background"]
    np.testing.assert_allclose(background[0][visited], 3.0, rtol=0.3)
