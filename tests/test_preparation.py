"""Steps of the preparation: invariants, results, refusals and notes."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from fusionkit.cli import main
from fusionkit.config import yaml as yamlio
from fusionkit.config.overrides import override
from fusionkit.data.dataset import Dataset
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.data.phantoms import PhantomSpec, simulate_dataset
from fusionkit.data.prepare.spec import Step, carry_out
from fusionkit.errors import UserError
from fusionkit.options import parse

SHIFT = np.array([3.4, -5.7])


def phantom(preset: str = "cos_nanoparticle", **options: Any) -> Dataset:
    return simulate_dataset(parse(PhantomSpec, {"preset": preset, "size": 64, **options}, "phantom"), "phantom")


def prepared(dataset: Dataset, *steps: Any) -> Dataset:
    """The dataset after the steps; each leaves its input unchanged and adds a note."""
    before = {name: array.copy() for name, array in dataset.arrays.items()}
    after = carry_out(dataset, [Step.model_validate(step) for step in steps], "data.prepare")
    for name, array in before.items():
        np.testing.assert_array_equal(dataset.arrays[name], array)
    assert len(after.notes) >= len(dataset.notes) + len(steps)
    assert after.notes[: len(dataset.notes)] == dataset.notes
    return after


def refused(dataset: Dataset, *steps: Any) -> str:
    with pytest.raises(UserError) as caught:
        carry_out(dataset, [Step.model_validate(step) for step in steps], "data.prepare")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def displaced(dataset: Dataset, by: Any) -> Dataset:
    """The image is displaced so that a shift ``by`` brings it onto the maps."""
    image = ndimage.shift(dataset.arrays["haadf"], -np.asarray(by), order=3, mode="nearest")
    return replace(dataset, arrays={**dataset.arrays, "haadf": image})


def framed(count: int, drift: Any, dose: float = 20.0, image: bool = True) -> Dataset:
    """Frames of a particle that drifts by integer or fractional pixels per frame."""
    frames = []
    for index in range(count):
        one = phantom(seed=index, dose=dose, size=80)
        rng = np.random.default_rng(index)
        assert one.truth is not None
        truth = np.stack([ndimage.shift(each, -index * np.asarray(drift), order=1) for each in one.truth])
        haadf = ndimage.shift(one.arrays["haadf"], -index * np.asarray(drift), order=3, mode="nearest")
        frames.append((haadf, rng.poisson(np.maximum(truth, 0)).astype(float)))
    maps = np.stack([one for _, one in frames], axis=1)
    arrays = {"haadf": np.stack([one for one, _ in frames]), "maps": maps} if image else {"maps": maps}
    return Dataset(arrays, ("Co", "S", "O"))


# ------------------------------------------------------------------------------------------------------------ crop, bin


def test_crop_takes_everything_on_the_same_pixels() -> None:
    data = phantom()
    mask = np.arange(64.0 * 64).reshape(64, 64)
    data = replace(data, arrays={**data.arrays, "mask": mask, "spectrum": np.arange(5.0)})
    after = prepared(data, {"step": "crop", "rows": [10, 50], "columns": [3, 64]})
    assert data.truth is not None
    assert after.truth is not None
    for name in ("haadf", "maps", "mask"):
        np.testing.assert_array_equal(after.arrays[name], data.arrays[name][..., 10:50, 3:])
    np.testing.assert_array_equal(after.truth, data.truth[:, 10:50, 3:])
    assert not after.truth.flags.writeable
    assert (after.pixel_size, after.haadf_sigma, after.shape) == (data.pixel_size, data.haadf_sigma, (3, 40, 61))
    np.testing.assert_array_equal(after.arrays["spectrum"], np.arange(5.0))


@pytest.mark.parametrize(("size", "factor"), [(64, 2), (64, 8), ([65, 67], 4)])
def test_bin_adds_counts_and_averages_the_image(size: Any, factor: int) -> None:
    data = phantom(size=size)
    after = prepared(data, {"step": "bin", "factor": factor})
    ny, nx = (length // factor * factor for length in data.arrays["haadf"].shape)
    assert after.arrays["maps"].sum() == data.arrays["maps"][:, :ny, :nx].sum()
    assert np.array_equal(after.arrays["maps"], np.rint(after.arrays["maps"]))
    assert after.arrays["haadf"].mean() == pytest.approx(data.arrays["haadf"][:ny, :nx].mean())
    assert data.truth is not None
    assert after.truth is not None
    assert after.truth.sum() == pytest.approx(data.truth[:, :ny, :nx].sum())
    assert data.pixel_size is not None
    assert data.haadf_sigma is not None
    assert after.pixel_size == data.pixel_size * factor
    assert after.haadf_sigma == pytest.approx(data.haadf_sigma / factor)
    assert after.counts_per_unit == data.counts_per_unit
    assert ("left out" in after.notes[-1]) == (size != 64)


def test_bin_with_gamma_keeps_the_model_of_the_phantom() -> None:
    """The prediction from the binned truth is the binned image, up to the curvature of the power at edges."""
    data = phantom(size=256, snr=1e6)
    after = prepared(data, {"step": "bin", "factor": 2, "gamma": 1.7})
    assert after.truth is not None
    z = np.array([27, 16, 8]) / 17.0
    predicted = np.sum((z[:, None, None] * after.truth) ** 1.7, axis=0)
    assert np.linalg.norm(predicted - after.arrays["haadf"]) < 0.01 * np.linalg.norm(predicted)
    assert data.haadf_sigma is not None
    assert after.haadf_sigma == pytest.approx(data.haadf_sigma * 4**1.7 / 2)


@given(
    hnp.arrays(np.int64, st.tuples(st.just(2), st.integers(4, 12), st.integers(4, 12)), elements=st.integers(0, 99)),
    st.integers(2, 6),
)
def test_bin_then_sum_is_sum(maps: Any, factor: int) -> None:
    ny, nx = (length // factor * factor for length in maps.shape[1:])
    data = Dataset({"maps": maps.astype(float)}, ("Co", "O"))
    if min(ny, nx) < 2 * factor:
        assert "use a smaller factor" in refused(data, {"step": "bin", "factor": factor})
        return
    after = prepared(data, {"step": "bin", "factor": factor})
    np.testing.assert_array_equal(after.arrays["maps"].sum(axis=(1, 2)), maps[:, :ny, :nx].sum(axis=(1, 2)))


def test_a_finer_image_is_binned_to_the_maps(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", H=rng.uniform(1, 2, (32, 32)), Co=rng.poisson(5, (8, 8)), pixel_size=0.5, units="nm")
    values: dict[str, Any] = {"path": "a.npz", "haadf": "H", "maps": ["Co"]}
    step = {"step": "bin", "factor": 4, "of": "haadf"}
    after = load(parse(DataOptions, {**values, "prepare": [step]}, "data"), tmp_path)
    assert (after.arrays["haadf"].shape, after.shape, after.pixel_size) == ((8, 8), (1, 8, 8), 2.0)
    both = load(parse(DataOptions, {**values, "grid": "haadf", "prepare": [{**step, "factor": 2}]}, "data"), tmp_path)
    assert (both.shape, both.pixels, both.pixel_size) == ((1, 16, 16), (16, 16), 1.0)
    maps = load(parse(DataOptions, {**values, "grid": "maps", "prepare": [{**step, "factor": 2}]}, "data"), tmp_path)
    assert (maps.shape, maps.pixels, maps.pixel_size) == ((1, 8, 8), (8, 8), 0.5)
    for steps, said in (
        (["crop"], "different pixels"),
        ([{**step, "factor": 2}], r"leaves an image of \(16, 16\) pixels and maps of \(8, 8\)"),
    ):
        with pytest.raises(UserError, match=said):
            load(parse(DataOptions, {**values, "prepare": steps}, "data"), tmp_path)


# ----------------------------------------------------------------------------------------------------------- register


@pytest.mark.parametrize("by", [SHIFT, [0.3, -0.4], [-7.25, 2.5]], ids=str)
@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_the_image_is_moved_onto_the_maps(by: Any, scale: float) -> None:
    """Known shifts to a tenth of a pixel, whatever the units of the image."""
    data = displaced(phantom(size=128), by)
    data = replace(data, arrays={**data.arrays, "haadf": data.arrays["haadf"] * scale + 5 * scale})
    after = prepared(data, "register")
    note = next(note for note in after.notes if note.startswith("register: the HAADF image moved by"))
    found = np.array([float(word.strip("(,)")) for word in note.split("by ")[1].split()[:2]])
    assert np.abs(found - by).max() <= 0.1, note
    np.testing.assert_array_equal(np.unique(after.arrays["maps"]), np.rint(np.unique(after.arrays["maps"])))
    assert after.arrays["haadf"].shape == after.arrays["maps"].shape[1:]
    assert after.truth is not None
    assert after.truth.shape == after.arrays["maps"].shape


@pytest.mark.parametrize(
    ("by", "whole", "said"),
    [
        ([0.0, 0.0], (0, 0), "register: nothing moved; the shift of the HAADF image onto the maps, ("),
        ([0.04, -0.03], (0, 0), ", is within the accuracy of 0.1 pixels."),
        ([3.0, -5.0], (3, -5), "register: the HAADF image moved by whole pixels, (3, -5) in rows and columns"),
    ],
    ids=str,
)
def test_an_image_is_not_interpolated_for_less_than_is_known(
    by: list[float], whole: tuple[int, int], said: str
) -> None:
    data = displaced(phantom(size=128), by)
    after = prepared(data, "register")
    assert any(said in note for note in after.notes)
    rows, columns = whole
    image = np.roll(data.arrays["haadf"], whole, (0, 1))[rows:, : columns or None]
    np.testing.assert_array_equal(after.arrays["haadf"], image)
    assert after.haadf_sigma == data.haadf_sigma
    asked = prepared(data, {"step": "register", "subpixel": True})
    assert not np.array_equal(asked.arrays["haadf"], image)


def test_one_axis_may_be_whole() -> None:
    after = prepared(displaced(phantom(size=128), [0.0, 2.5]), "register")
    assert any("moved by (0, 2.5" in note or "moved by (0, 2.4" in note for note in after.notes)
    assert after.arrays["haadf"].shape[0] == 128


def test_the_moved_image_is_the_one_before_the_shift() -> None:
    data = phantom(size=128, snr=1e4)
    after = prepared(displaced(data, [3.0, -5.0]), "register")
    rows, columns = (
        slice(int(n.split()[0]), int(n.split()[2]))
        for n in after.notes[-1]
        .split("cut to ")[1]
        .replace("rows ", "")
        .replace("columns ", "")
        .replace(",", "")
        .split(" and ")
    )
    image = data.arrays["haadf"][rows, columns]
    np.testing.assert_array_equal(after.arrays["maps"], data.arrays["maps"][:, rows, columns])
    assert np.linalg.norm(after.arrays["haadf"] - image) < 0.02 * np.linalg.norm(image)


def test_maps_move_by_whole_pixels_unless_asked() -> None:
    data = displaced(phantom(size=128), SHIFT)
    whole = prepared(data, {"step": "register", "reference": "haadf"})
    assert "whole pixels, (-3, 6)" in whole.notes[-2]
    assert np.array_equal(whole.arrays["maps"], np.rint(whole.arrays["maps"]))
    assert whole.counts_per_unit == data.counts_per_unit
    np.testing.assert_array_equal(whole.arrays["maps"], data.arrays["maps"][:, 3:, :-6])
    broken = prepared(data, {"step": "register", "reference": "haadf", "subpixel": True})
    assert "not counts" in broken.notes[-2]
    assert broken.counts_per_unit is None
    assert broken.arrays["maps"].min() >= 0


def test_noise_of_a_moved_image() -> None:
    """Spline interpolation lowers the noise, and so the stated standard deviation."""
    data = displaced(phantom(size=128), [0.5, 0.5])
    after = prepared(data, "register")
    assert data.haadf_sigma is not None
    assert after.haadf_sigma is not None
    moved = ndimage.shift(np.random.default_rng(0).standard_normal((256, 256)), 0.5, order=3)[5:-5, 5:-5]
    assert after.haadf_sigma / data.haadf_sigma == pytest.approx(moved.std(), rel=0.05)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("smooth", [0.0, 2.5])
def test_noise_has_no_shift(seed: int, smooth: float) -> None:
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.standard_normal((48, 60)), smooth)
    data = Dataset({"haadf": image, "maps": rng.poisson(3.0, (2, 48, 60)).astype(float)}, ("Co", "O"))
    assert any(said in refused(data, "register") for said in ("not credible", "not determined"))


NONE = np.zeros((2, 32, 32))
PLAIN = np.random.default_rng(0).poisson(5.0, (2, 32, 32)).astype(float)
REFUSED: list[tuple[dict[str, Any], Any, str]] = [
    (
        {"haadf": np.ones((32, 32)), "maps": PLAIN},
        "register",
        "prepare[0]: the HAADF image has no features to register",
    ),
    ({"haadf": PLAIN[0], "maps": NONE}, "register", "prepare[0]: the reference has no features"),
    ({"maps": PLAIN}, "register", "there is no data called 'haadf'; remove the step"),
    (
        {"haadf": np.kron(PLAIN[0], np.ones((2, 2))), "maps": PLAIN},
        "register",
        "; bring both to the same pixels first, with",
    ),
    ({"haadf": PLAIN[:1], "maps": PLAIN}, "register", "haadf has frames; register_frames and sum_frames come first"),
    ({"haadf": PLAIN[0], "maps": PLAIN}, "crp", "prepare[0].step: there is no preparation 'crp'; did you mean 'crop'"),
    ({"haadf": PLAIN[0]}, {"step": "crop", "row": [0, 3]}, "prepare[0].row: unknown key; did you mean 'rows'?"),
    ({"haadf": PLAIN[0]}, {"step": "crop", "rows": [0, 33]}, "prepare[0].rows: is [0, 33]; write [first, last]"),
    ({"haadf": PLAIN[0]}, {"step": "crop", "rows": [4, 5]}, "prepare[0].rows: is [4, 5]"),
    ({"haadf": PLAIN[0]}, {"step": "crop", "of": "maps"}, "the data hold no maps"),
    ({"y": np.ones(5)}, "crop", "the data hold no HAADF image and no maps"),
    ({"haadf": PLAIN[0]}, "bin", "prepare[0].factor: is missing"),
    ({"haadf": PLAIN[0]}, {"step": "bin", "factor": 17}, "prepare[0].factor: is 17, but the scan has (32, 32) pixels"),
    ({"haadf": PLAIN[0]}, {"step": "bin", "factor": 2, "of": "haadf", "gamma": 1.7}, "prepare[0]: has 'gamma', which"),
    ({"haadf": PLAIN[0], "m": PLAIN[1]}, {"step": "bin", "factor": 2}, "whether the array 'm' adds up"),
    ({"maps": PLAIN}, {"step": "background", "region": [0, 4, 0, 4]}, "the data hold no HAADF image"),
    ({"haadf": PLAIN[0]}, {"step": "background", "region": [0, 4, 0, 40]}, "prepare[0].region: is [0, 40]"),
    (
        {"haadf": PLAIN[0], "maps": PLAIN, "maps_background": PLAIN},
        {"step": "background", "region": [0, 4, 0, 4], "maps": True},
        "prepare[0].maps: would subtract what the model already adds",
    ),
    ({"maps": PLAIN}, "outliers", "the data hold no HAADF image"),
    ({"haadf": PLAIN[0], "maps": PLAIN}, "sum_frames", "neither image nor maps have frames"),
    ({"haadf": PLAIN[0], "maps": PLAIN[:, None]}, "outliers", "leaves maps as 1 frames; add {step: register_frames}"),
    ({"haadf": PLAIN, "maps": PLAIN[:, None]}, "sum_frames", "image and maps have 1 and 2 frames"),
]


@pytest.mark.parametrize(("arrays", "step", "said"), REFUSED, ids=[said for _, _, said in REFUSED])
def test_refusals(arrays: dict[str, Any], step: Any, said: str) -> None:
    assert said in refused(Dataset(arrays, ("Co", "O")), step)


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (displaced(phantom(), [25.0, 0.0]), {}, "at the border of the search; raise 'largest' (16 pixels)"),
        (displaced(phantom(), [5.0, 0.0]), {"largest": 3.0}, "at the border"),
        (phantom("lattice", size=128), {}, "fit nearly as well; lower 'largest'"),
    ],
)
def test_shifts_that_are_not_credible(data: Dataset, options: dict[str, Any], said: str) -> None:
    assert said in refused(data, {"step": "register", **options})


def test_a_lattice_is_registered_within_half_a_period() -> None:
    data = displaced(phantom("lattice", size=128), [2.0, -1.5])
    assert "moved by (2.0" in prepared(data, {"step": "register", "largest": 5.0}).notes[-2]


def test_scikit_image_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("skimage"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert refused(phantom(), "register") == ("data.prepare[0]: needs scikit-image; pip install scikit-image")


# ------------------------------------------------------------------------------------------------------------- frames


@pytest.mark.parametrize("image", [True, False], ids=["on the image", "on the maps"])
def test_frames_are_aligned_by_whole_pixels_and_summed(image: bool) -> None:
    data = framed(3, [2.0, -1.0], image=image)
    after = prepared(data, "register_frames", "sum_frames")
    maps = data.arrays["maps"]
    expected = sum(maps[:, index, 4 - 2 * index : 80 - 2 * index, index : 78 + index] for index in range(3))
    np.testing.assert_array_equal(after.arrays["maps"], expected)
    if image:
        assert after.arrays["haadf"].shape == (76, 78)


def test_fractions_of_a_pixel_between_frames() -> None:
    data = framed(2, [1.3, -2.6])
    note = prepared(data, "register_frames", "sum_frames").notes[0]
    found = np.array([float(part) for part in note.split("are (")[1].split(")")[0].split(",")])
    assert np.abs(found - [1.3, -2.6]).max() <= 0.1
    moved = prepared(data, {"step": "register_frames", "subpixel": True}, "sum_frames")
    assert "interpolated counts are not counts" in moved.notes[0]


def test_frames_come_from_a_file(tmp_path: Path) -> None:
    data = framed(2, [0.0, 3.0])
    named = dict(zip(("Co", "S", "O"), data.arrays["maps"], strict=True))
    np.savez(tmp_path / "a.npz", H=data.arrays["haadf"], **named)
    values: dict[str, Any] = {"path": "a.npz", "haadf": "H", "maps": ["Co", "S", "O"]}
    after = load(parse(DataOptions, {**values, "prepare": ["register_frames", "sum_frames"]}, "data"), tmp_path)
    assert after.shape == (3, 80, 77)
    with pytest.raises(UserError, match=r"data\.haadf: array 'H' .* is not 2-D"):
        load(parse(DataOptions, values, "data"), tmp_path)
    with pytest.raises(UserError, match=r"leaves haadf as 2 frames; .*sum_frames"):
        load(parse(DataOptions, {**values, "prepare": ["crop"]}, "data"), tmp_path)


# ----------------------------------------------------------------------------------------------- outliers, background


@pytest.mark.parametrize("preset", ["cos_nanoparticle", "films", "lattice"])
@pytest.mark.parametrize("dose", [0.1, 20.0])
def test_a_specimen_has_no_outliers(preset: str, dose: float) -> None:
    data = phantom(preset, size=128, dose=dose)
    after = prepared(data, {"step": "outliers", "of": "all"})
    np.testing.assert_array_equal(after.arrays["haadf"], data.arrays["haadf"])
    np.testing.assert_array_equal(after.arrays["maps"], data.arrays["maps"])


def test_hot_pixels_and_spikes_are_replaced() -> None:
    clean = phantom(size=128)
    image, maps = clean.arrays["haadf"].copy(), clean.arrays["maps"].copy()
    places = [(5, 5), (40, 64), (64, 64), (64, 65), (100, 30), (0, 127)]  # two touch, one is in the corner
    for y, x in places:
        image[y, x] += image.max()
        maps[1, y, x] += 300
    image[80, 80] = -10 * image.max()  # dead
    data = replace(clean, arrays={"haadf": image, "maps": maps})
    after = prepared(data, {"step": "outliers", "of": "all"})
    assert "7 of 16384 values of haadf and 6 of 49152 values of maps were replaced" in after.notes[-1]
    assert np.array_equal(after.arrays["maps"], np.rint(after.arrays["maps"]))
    assert np.abs(after.arrays["haadf"] - clean.arrays["haadf"]).max() < 0.2 * clean.arrays["haadf"].max()
    untouched = np.ones(image.shape, bool)
    untouched[tuple(np.transpose([*places, (80, 80)]))] = False
    np.testing.assert_array_equal(after.arrays["haadf"][untouched], clean.arrays["haadf"][untouched])
    assert np.array_equal(prepared(data, "outliers").arrays["maps"], maps)


def test_an_image_of_few_counts_keeps_them() -> None:
    image = np.random.default_rng(0).poisson(0.05, (64, 64)).astype(float)
    assert np.array_equal(prepared(Dataset({"haadf": image}), "outliers").arrays["haadf"], image)


def test_background() -> None:
    data = phantom(snr=1e6)
    raised = replace(data, arrays={"haadf": data.arrays["haadf"] + 7.5, "maps": data.arrays["maps"] + 2})
    step = {"step": "background", "region": [0, 6, 0, 6]}
    after = prepared(raised, step)
    np.testing.assert_allclose(after.arrays["haadf"], data.arrays["haadf"], atol=1e-2)
    np.testing.assert_array_equal(after.arrays["maps"], raised.arrays["maps"])
    assert "Co 2, S 2, O 2 per pixel there" in after.notes[-1]
    both = prepared(raised, {**step, "maps": True})
    np.testing.assert_array_equal(both.arrays["maps"], data.arrays["maps"])
    assert both.counts_per_unit is None


# ------------------------------------------------------------------------------------------------------ configuration


CONFIG = """
version: 1
data:
  path: a.npz
  haadf: HAADF
  maps: [Co, S, O]
  prepare:
    - {step: outliers}
    - {step: register}
    - {step: crop, rows: [2, 56]}
    - {step: bin, factor: 2, gamma: 1.7}
terms: [{type: haadf, gamma: 1.7, weight: 1.0e-4}, poisson, {type: tv, weight: 0.3}, nonnegative]
solver: {type: chambolle_pock, max_iterations: 20}
engine: numpy
output: {figures: false, report: false}
"""


def test_a_run_says_what_was_done_and_repeats(tmp_path: Path) -> None:
    data = displaced(phantom(), SHIFT)
    np.savez(
        tmp_path / "a.npz", HAADF=data.arrays["haadf"], **dict(zip(("Co", "S", "O"), data.arrays["maps"], strict=True))
    )
    (tmp_path / "my.yaml").write_text(CONFIG, encoding="utf-8")
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["run", str(tmp_path / "my.yaml"), "--output", str(first)]) == 0
    assert main(["run", str(first / "config.resolved.yaml"), "--output", str(second)]) == 0
    notes = json.loads((first / "summary.json").read_text(encoding="utf-8"))["notes"]
    said = [
        note.partition(":")[0] for note in notes if note.partition(":")[0] in ("outliers", "register", "crop", "bin")
    ]
    assert said == ["outliers", "register", "register", "crop", "bin"]
    steps = yamlio.read(first / "config.resolved.yaml")["data"]["prepare"]
    assert steps[0] == {"step": "outliers", "threshold": 8.0, "of": "haadf"}
    assert steps[1] == {"step": "register", "reference": "maps", "subpixel": None, "largest": None, "gamma": 1.7}
    with h5py.File(first / "result.h5") as one, h5py.File(second / "result.h5") as other:
        for name in ("inputs/haadf", "inputs/maps", "maps"):
            np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(other[name]))


@pytest.mark.parametrize("key", ["data.prepare.bin.factor", "data.prepare.1.factor", "data.prepare[1].factor"])
def test_options_of_steps_are_set_by_name_or_index(key: str) -> None:
    raw = {"data": {"prepare": ["outliers", {"step": "bin", "factor": 2}]}}
    assert override(raw, [f"{key}=4"], {})["data"]["prepare"] == ["outliers", {"step": "bin", "factor": 4}]
    named = override(raw, ["data.prepare.outliers.threshold=9"], {})["data"]["prepare"]
    assert named[0] == {"step": "outliers", "threshold": 9}


def test_steps_come_before_the_normalisation_and_carry_the_noise() -> None:
    values = {"phantom": {"preset": "cos_nanoparticle", "size": 64}, "prepare": [{"step": "bin", "factor": 2}]}
    plain = load(parse(DataOptions, values, "data"), Path())
    scaled = load(parse(DataOptions, {**values, "normalize": "max"}, "data"), Path())
    assert plain.haadf_sigma is not None
    assert scaled.haadf_sigma == pytest.approx(plain.haadf_sigma / plain.arrays["haadf"].max())
    assert scaled.arrays["maps"].max(axis=(1, 2)) == pytest.approx(1.0)
    assert any(note.startswith("bin: ") for note in scaled.notes)
    assert f"{plain.haadf_sigma:.4g}" in plain.notes[-1]
