"""From the config's ``data`` to a dataset: selection, conversion, normalisation, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fusionkit.data.checks import Origin, to_float
from fusionkit.data.dataset import Dataset
from fusionkit.data.load import load
from fusionkit.data.normalise import Normalisation, scale_of
from fusionkit.data.options import DataOptions
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.options import parse

RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "HAADF": RNG.uniform(1, 2, (6, 5)),
    "Sc": RNG.poisson(5, (6, 5)),
    "O": RNG.poisson(3, (6, 5)) + np.arange(5),
    "spectrum": np.arange(7.0),
}
BASE: dict[str, Any] = {"path": "a.npz", "haadf": "HAADF", "maps": {"Sc": "Sc", "O": "O"}}
ORIGIN = Origin("data.haadf", "HAADF", "a.npz")


def read(folder: Path, values: dict[str, Any], arrays: dict[str, Any] | None = None) -> Dataset:
    """The dataset from a file of the arrays and the config ``values``."""
    np.savez(folder / "a.npz", **(ARRAYS if arrays is None else arrays))
    return load(parse(DataOptions, values, "data"), folder)


def test_arrays_are_float64_read_only_and_in_the_order_of_the_config(tmp_path: Path) -> None:
    maps = {"O": "O", "Sc": "Sc"}
    dataset = read(tmp_path, {**BASE, "maps": maps, "arrays": {"eels": "spectrum"}})
    assert dataset.elements == ("O", "Sc")
    assert list(dataset.arrays) == ["haadf", "maps", "eels"]
    np.testing.assert_array_equal(dataset.arrays["maps"], [ARRAYS["O"], ARRAYS["Sc"]])
    np.testing.assert_array_equal(dataset.arrays["haadf"], ARRAYS["HAADF"])
    assert dataset.source == str(tmp_path / "a.npz")
    for array in dataset.arrays.values():
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        assert not array.flags.writeable


def test_the_source_is_a_path_as_people_read_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    np.savez(tmp_path / "a.npz", **ARRAYS)
    values = {**BASE, "path": "../a.npz", "maps": {"O": "O"}}
    assert load(parse(DataOptions, values, "data"), tmp_path / "folder").source == str(tmp_path.resolve() / "a.npz")


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i4", "<u8", "f2", ">f4", ">f8", "g", "?"])
@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_every_real_type_is_converted(tmp_path: Path, dtype: str, suffix: str) -> None:
    values = np.asfortranarray((np.arange(30).reshape(6, 5) % (2 if dtype == "?" else 100)).astype(dtype))
    if suffix == "h5":
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["x/HAADF"] = values
        dataset = load(parse(DataOptions, {"path": "a.h5", "haadf": "/x/HAADF"}, "data"), tmp_path)
    else:
        dataset = read(tmp_path, {"path": "a.npz", "haadf": "HAADF"}, {"HAADF": values})
    assert dataset.arrays["haadf"].dtype == np.float64
    assert dataset.arrays["haadf"].dtype.isnative
    np.testing.assert_array_equal(dataset.arrays["haadf"], values.astype(np.float64))


@pytest.mark.parametrize("maps", [["Sc", "O"], {"Sc": "Sc", "O": "O"}])
def test_a_list_of_maps_names_the_elements(tmp_path: Path, maps: Any) -> None:
    assert read(tmp_path, {**BASE, "maps": maps}).elements == ("Sc", "O")


def test_nobelium_is_an_element(tmp_path: Path) -> None:
    assert read(tmp_path, {"path": "a.npz", "maps": {"No": "Sc"}}).elements == ("No",)


def test_pixel_size_of_the_file(tmp_path: Path) -> None:
    dataset = read(tmp_path, BASE, {**ARRAYS, "pixel_size": 0.5, "units": "nm"})
    assert (dataset.pixel_size, dataset.units) == (0.5, "nm")


def test_several_pixel_sizes_are_noted(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, size in (("HAADF", 2.0), ("Sc", 3.0)):
            file[name] = ARRAYS[name]
            file[name].attrs["pixel_size"] = size
    with pytest.warns(FusionkitWarning, match="the image shows .* they are treated as the same field"):
        dataset = load(parse(DataOptions, {"path": "a.h5", "haadf": "HAADF", "maps": ["Sc"]}, "data"), tmp_path)
    assert dataset.pixel_size == 2.0
    assert "several pixel sizes" in dataset.notes[0]


@pytest.mark.parametrize(("method", "low", "high"), [("minmax", 0.0, 1.0), ("max", 1 / 12, 1.0), ("none", 1.0, 12.0)])
def test_each_image_is_normalised_on_its_own(tmp_path: Path, method: str, low: float, high: float) -> None:
    image = np.linspace(1.0, 12.0, 12).reshape(3, 4)
    arrays = {"HAADF": image, "Sc": image[::-1], "O": image, "y": image}
    dataset = read(tmp_path, {**BASE, "arrays": {"y": "y"}, "normalize": method}, arrays)
    for one in (dataset.arrays["haadf"], *dataset.arrays["maps"]):
        assert one.min() == pytest.approx(low)
        assert one.max() == high
    np.testing.assert_array_equal(dataset.arrays["y"], image)  # further arrays are left as they are


IMAGES = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int16]),
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=5),
).filter(lambda a: bool(np.all(np.isfinite(a))))


@settings(deadline=None, max_examples=60)
@given(IMAGES, st.sampled_from(["minmax", "max", "none"]))
def test_normalisation_keeps_order_and_range_and_input(image: np.ndarray[Any, Any], method: Normalisation) -> None:
    before = image.copy()
    values = to_float(image, ORIGIN)
    low, high = float(values.min()), float(values.max())
    if (method == "minmax" and not 0 < high - low < np.inf) or (method == "max" and high <= 0):
        with pytest.raises(UserError, match=r"data\.haadf: array 'HAADF' of a\.npz"):
            scale_of(values, method, ORIGIN)
        return
    try:
        result = scale_of(values, method, ORIGIN).apply(values, ORIGIN)
    except UserError:  # a small maximum beside a very negative minimum
        assume(False)
        raise
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(values, image.astype(np.float64))
    assert not np.shares_memory(result, image)
    order = np.argsort(values, axis=None, kind="stable")
    assert np.all(np.diff(result.ravel()[order]) >= 0)
    if method != "none":
        assert result.max() == 1.0
    if method == "minmax":
        assert result.min() == 0.0
    if method == "none":
        np.testing.assert_array_equal(result, values)


def changed(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**BASE, **changes}.items() if value is not ...}


OPTIONS: list[tuple[dict[str, Any], list[str]]] = [
    (changed(path=...), ["data: has neither 'path' nor 'phantom'; give one of them"]),
    (changed(phantom="line"), ["data: has both 'path' and 'phantom'; give one of them"]),
    ({"phantom": "line", "reader": "npz"}, ["has a 'reader'"]),
    ({"phantom": {"size": 8}}, ["data.phantom.preset: is missing"]),
    ({"phantom": "cosmos"}, ["data.phantom.preset: there is no phantom 'cosmos'", "cos_nanoparticle"]),
    (changed(maps={}), ["data.maps"]),
    (changed(maps=["Sc", "O", "Sc"]), ["data.maps: 'Sc' is listed twice"]),
    (changed(maps={"Sc": "O", "O": "O"}), ["data.maps: 'O' is the map of both Sc and O"]),
    (changed(maps={"Sc": 5}), ["data.maps.Sc: must be a name or a mapping with 'signal', got 5"]),
    (changed(maps={"sc": "Sc"}), ["data.maps.sc: there is no element 'sc'; did you mean 'Sc'?"]),
    (changed(maps={"Xy": "Sc"}), ["data.maps.Xy: there is no element 'Xy'"]),
    (changed(maps={"Sc": "sc"}), ["data.maps.Sc: there is no array 'sc' in a.npz; did you mean 'Sc'?", "O (6, 5)"]),
    (changed(haadf="HADF"), ["data.haadf: there is no array 'HADF' in a.npz; did you mean 'HAADF'?"]),
    (changed(haadf="zzz"), ["data.haadf: there is no array 'zzz'", "the file has HAADF (6, 5), Sc (6, 5)"]),
    (changed(haadf=..., maps=...), ["data: names no array", "the file has HAADF (6, 5)"]),
    (changed(haadf="spectrum"), ["data.haadf: array 'spectrum' of a.npz is not 2-D: its shape is (7,)"]),
    (changed(arrays={"maps": "O"}), ["data.arrays: the name 'maps' is taken"]),
    (changed(arrays={"y": "nothing"}), ["data.arrays.y: there is no array 'nothing' in a.npz"]),
    (changed(path="b.npz"), ["data.path: there is no file", "b.npz"]),
    (changed(path="x" * 300), ["data.path", "cannot be read"]),
    (changed(path="a\0b"), ["data.path: there is no file"]),
    (changed(reader="hdf5"), ["a.npz", "is not readable as HDF5"]),
    (changed(normalize="minmx"), ["data.normalize: must be 'minmax', 'max' or 'none'", "did you mean 'minmax'?"]),
    (changed(normalise="max"), ["data.normalise: unknown key; did you mean 'normalize'?"]),
]


@pytest.mark.parametrize(("values", "words"), OPTIONS, ids=[row[1][0][:50] for row in OPTIONS])
def test_options_that_are_refused(tmp_path: Path, values: dict[str, Any], words: list[str]) -> None:
    refused(tmp_path, values, None, words)


def refused(folder: Path, values: dict[str, Any], arrays: dict[str, Any] | None, words: list[str]) -> None:
    with pytest.raises(UserError) as raised:
        read(folder, values, arrays)
    assert "\n" not in str(raised.value)
    for word in words:
        assert word in str(raised.value)


def with_values(name: str, *changes: tuple[tuple[int, int], float]) -> dict[str, Any]:
    array = np.array(ARRAYS[name], dtype=float)
    for index, value in changes:
        array[index] = value
    return {name: array}


HAADF, MAP = "data.haadf: array 'HAADF' of a.npz", "data.maps.O: array 'O' of a.npz"
CONTENTS: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"O": np.ones((5, 6))}, "none", [f"{MAP} has shape (5, 6), but 'HAADF' has (6, 5)"]),
    ({"O": np.ones((2, 6, 5))}, "none", [f"{MAP} is not 2-D: its shape is (2, 6, 5)"]),
    ({"HAADF": np.ones((1, 1))}, "none", [f"{HAADF} has a single pixel", "needs two or more"]),
    ({"HAADF": np.ones((0, 5))}, "none", [f"{HAADF} is empty, shape (0, 5)"]),
    ({"HAADF": np.float64(3)}, "none", [f"{HAADF} is not 2-D: its shape is ()"]),
    ({"HAADF": ARRAYS["HAADF"] + 1j}, "none", [f"{HAADF} is complex (complex128)"]),
    ({"HAADF": np.full((6, 5), "a")}, "none", [f"{HAADF} is not numeric (dtype <U1)"]),
    ({"HAADF": np.zeros((6, 5), "M8[s]")}, "none", [f"{HAADF} is not numeric"]),
    ({"HAADF": np.zeros((6, 5), [("r", "f4")])}, "none", [f"{HAADF} is not numeric"]),
    ({"HAADF": np.full((6, 5), None)}, "none", ["a.npz", "'HAADF' holds Python objects"]),
    (
        with_values("O", ((2, 3), np.nan)),
        "none",
        [f"{MAP} has 1 NaN value, the first at index (2, 3); leave NaN out with data.mask: nan"],
    ),
    (
        with_values("HAADF", ((1, 4), np.inf), ((5, 0), -np.inf)),
        "none",
        [f"{HAADF} has 2 infinite values, the first at index (1, 4); replace infinite values by NaN and leave NaN out"],
    ),
    ({"O": np.zeros((6, 5))}, "minmax", [f"{MAP} is all zero"]),
    ({"O": np.zeros((6, 5))}, "max", [f"{MAP} is all zero"]),
    ({"O": np.full((6, 5), 7.0)}, "minmax", [f"{MAP} is constant (7)", "use normalize: max or none"]),
    ({"O": np.full((6, 5), -7.0)}, "max", [f"{MAP} has no positive value", "use normalize: minmax"]),
    (with_values("O", ((0, 0), 1.7e308), ((0, 1), -1.7e308)), "minmax", ["holds values up to 1.7e+308", "rescale"]),
]


@pytest.mark.parametrize(("arrays", "method", "words"), CONTENTS, ids=[row[2][0][-45:] for row in CONTENTS])
def test_arrays_that_are_refused(tmp_path: Path, arrays: dict[str, Any], method: str, words: list[str]) -> None:
    refused(tmp_path, {**BASE, "normalize": method}, {**ARRAYS, **arrays}, words)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant_maps_pass_where_nothing_divides(tmp_path: Path, value: float) -> None:
    dataset = read(tmp_path, BASE, {**ARRAYS, "O": np.full((6, 5), value)})
    assert np.all(dataset.arrays["maps"][1] == value)


@pytest.mark.parametrize(
    ("values", "words"),
    [({"y": np.array([1.0, np.nan])}, "1 NaN"), ({"y": np.array([])}, "is empty"), ({"y": np.array([1j])}, "complex")],
)
def test_further_arrays_are_checked(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    refused(tmp_path, {"path": "a.npz", "arrays": {"b": "y"}}, values, ["data.arrays.b: array 'y' of a.npz", words])


def test_recorded_dysco3() -> None:
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not (folder / "dysco3.npz").exists():
        pytest.skip("the recording dysco3.npz is not part of the repository")
    values = {"path": "dysco3.npz", "haadf": "HAADF", "maps": ["Sc", "Dy", "O"], "normalize": "minmax"}
    dataset = load(parse(DataOptions, values, "data"), folder)
    assert dataset.arrays["maps"].shape == (3, 256, 256)
    assert dataset.arrays["maps"].min(axis=(1, 2)).tolist() == [0.0] * 3
    assert dataset.arrays["maps"].max(axis=(1, 2)).tolist() == [1.0] * 3
