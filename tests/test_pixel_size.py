"""The pixel size of a result is that of the array with the pixels of the unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fuse_data import hyperspy

from fusionkit.cli import main
from fusionkit.config import yaml as yamlio
from fusionkit.data.dataset import Dataset
from fusionkit.data.field_of_view import edges_of
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.notebook.inputs import gather
from fusionkit.options import parse
from fusionkit.results.result_file import read_result

RNG = np.random.default_rng(0)
Size = float | list[float] | None


def bin_of(what: str) -> dict[str, Any]:
    return {"prepare": [{"step": "bin", "factor": 2, "of": what}]}


def crop_of(what: str, *rest: dict[str, Any]) -> dict[str, Any]:
    part = {"rows": [0, 16], "columns": [0, 16]}
    return {"prepare": [{"step": "crop", "of": what, **part}, *rest]}


def read(folder: Path, haadf: tuple[tuple[int, int], Size], maps: tuple[tuple[int, int], Size], more: Any) -> Dataset:
    """The dataset of an image and two maps with these shapes and pixel sizes."""
    with h5py.File(folder / "a.h5", "w") as file:
        for name, (shape, size) in {"H": haadf, "Co": maps, "O": maps}.items():
            file[name] = RNG.poisson(50.0, shape).astype(np.float64)
            if size is not None:
                file[name].attrs["pixel_size"] = size
                file[name].attrs["units"] = "nm"
    return load(parse(DataOptions, {"path": "a.h5", "haadf": "H", "maps": ["Co", "O"], **more}, "data"), folder)


S16, S32, S64 = (16, 16), (32, 32), (64, 64)
ON_IMAGE, ON_MAPS = {"grid": "haadf"}, {"grid": "maps"}
DERIVED, UNKNOWN = "over the same field of view", "the result has none either"
CASES: dict[str, tuple[tuple[tuple[int, int], Size], tuple[tuple[int, int], Size], Any, float | None, str]] = {
    "maps calibrated, image finer": ((S64, None), (S32, 0.5), ON_IMAGE, 0.25, DERIVED),
    "maps calibrated, on the maps": ((S64, None), (S32, 0.5), ON_MAPS, 0.5, ""),
    "image calibrated, on the maps": ((S64, 0.25), (S32, None), ON_MAPS, 0.5, DERIVED),
    "image calibrated, on the image": ((S64, 0.25), (S32, None), ON_IMAGE, 0.25, ""),
    "both calibrated, on the maps": ((S64, 0.25), (S32, 0.5), ON_MAPS, 0.5, "that of 'maps' is used"),
    "finer image binned": ((S64, None), (S32, 0.5), bin_of("haadf"), 0.5, DERIVED),
    "finer maps binned": ((S16, None), (S32, 0.5), bin_of("maps"), 1.0, DERIVED),
    "finer calibrated image binned": ((S64, 0.25), (S32, None), bin_of("haadf"), 0.5, ""),
    "image binned, on the maps": ((S64, 0.25), (S32, None), {**bin_of("haadf"), **ON_MAPS}, 0.5, DERIVED),
    "one row more": (((65, 64), None), (S32, 0.5), ON_IMAGE, 0.5 * 32 / (65 * 64) ** 0.5, DERIVED),
    "another field": (((64, 32), None), (S32, 0.5), ON_IMAGE, None, UNKNOWN),
    "cropped apart": ((S32, None), (S16, 0.5), crop_of("haadf"), None, "cropped apart"),
    "cropped apart, calibrated": ((S32, 0.5), (S16, None), crop_of("haadf"), 0.5, ""),
    "same pixels, cropped apart": (
        (S32, None),
        (S32, 0.5),
        crop_of("haadf", {"step": "bin", "factor": 2, "of": "maps"}),
        None,
        "cropped apart",
    ),
    "same pixels, cropped together": ((S32, None), (S32, 0.5), crop_of("all"), 0.5, ""),
    "same pixels": ((S32, None), (S32, 0.5), {}, 0.5, ""),
    "same pixels, binned": ((S32, None), (S32, 0.5), bin_of("all"), 1.0, ""),
    "not square": ((S32, [0.5, 0.7]), (S32, [0.5, 0.7]), {}, None, "not square"),
    "finer image not square": ((S64, [0.5, 0.7]), (S32, 0.5), ON_IMAGE, None, "not square"),
    "not positive": ((S32, 0.5), (S32, [0.5, -0.7]), {}, 0.5, "left out"),
    "none": ((S64, None), (S32, None), ON_IMAGE, None, ""),
}


@pytest.mark.parametrize("name", CASES)
def test_size_of_the_unknown(name: str, tmp_path: Path) -> None:
    haadf, maps, more, size, note = CASES[name]
    dataset = read(tmp_path, haadf, maps, more)
    assert dataset.pixel_size == (None if size is None else pytest.approx(size))
    assert dataset.units == (None if size is None else "nm")
    said = [one for one in dataset.notes if "pixel size" in one or "pixel_size" in one]
    edges = haadf[1] if isinstance(haadf[1], list) else None
    assert edges_of(dataset.metadata) == (None if edges is None else (*edges, "nm"))
    assert any(note in one for one in said) if note else not said


@pytest.mark.parametrize(("shape", "expected"), [((8, 8), None), (S32, 0.1), ((32,), None)])
def test_size_of_a_further_array(shape: tuple[int, ...], expected: float | None, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["H"], file["Co"], file["K"] = RNG.random(S32), RNG.random(S32), RNG.random(shape)
        file["K"].attrs["pixel_size"] = 0.1
    values = {"path": "a.h5", "haadf": "H", "maps": ["Co"], "arrays": {"kernel": "K"}}
    assert load(parse(DataOptions, values, "data"), tmp_path).pixel_size == expected


def signal(seed: int, rows: float | None, columns: float | None) -> Any:
    """A HyperSpy image with the edges of its pixels in nm; None leaves them unknown."""
    hyperspy = pytest.importorskip("hyperspy.api")
    found = hyperspy.signals.Signal2D(np.random.default_rng(seed).poisson(50.0, S16).astype(np.float64))
    for axis, scale in zip(found.axes_manager.signal_axes, (columns, rows), strict=True):
        if scale is not None:
            axis.scale, axis.units = scale, "nm"
    return found


@pytest.mark.parametrize(
    ("image", "maps", "expected"),
    [
        ((0.49, 0.49), (None, None), 0.49),
        ((0.49, 0.49), (0.5, 0.5), 0.5),
        ((0.49, 0.49), (0.5, 0.7), None),
        ((0.49, 0.7), (0.5, 0.5), 0.5),
        ((0.49, 0.49), (0.5, 0.5000001), 0.5),
    ],
)
def test_size_of_signals(image: tuple[float, float], maps: Any, expected: float | None) -> None:
    dataset = gather(signal(0, *image), {"Co": signal(1, *maps), "O": signal(2, *maps)}, None).dataset
    assert dataset.pixel_size == (None if expected is None else pytest.approx(expected, rel=1e-5))


def test_edges_of_pixels_that_are_not_square_reach_result_and_export(tmp_path: Path) -> None:
    """They are in the metadata of the recording, larger after binning, and on the axes of HyperSpy's signals."""
    hs = hyperspy()
    rng = np.random.default_rng(0)
    for name in ("HAADF", "Co", "O"):
        signal = hs.signals.Signal2D(rng.poisson(9.0, (16, 20)).astype(np.uint16))
        for axis, edge in zip(signal.axes_manager.signal_axes, (1.0, 0.5), strict=True):  # x, y
            axis.scale, axis.units = edge, "nm"
        signal.metadata.General.title = name
        signal.save(tmp_path / f"{name}.hspy")
    files = [str(tmp_path / f"{name}.hspy") for name in ("HAADF", "Co", "O")]
    config = tmp_path / "c.yaml"
    assert main(["inspect", *files, "--write-config", str(config)]) == 0
    for factor in (1, 2):
        data = yamlio.read(config)["data"] | ({"prepare": [{"step": "bin", "factor": factor}]} if factor > 1 else {})
        (tmp_path / "d.yaml").write_text(yamlio.dump({**yamlio.read(config), "data": data}), encoding="utf-8")
        out = tmp_path / f"run{factor}"
        bare = ["--set", "output={figures: false, report: false}"]
        assert main(["run", str(tmp_path / "d.yaml"), "--output", str(out), "--quiet", *bare]) == 0
        found = read_result(out)
        assert (found.pixel_size, found.units) == (None, None)
        assert edges_of(found.metadata) == (0.5 * factor, 1.0 * factor, "nm")
        assert main(["export", str(out), "--format", "hspy", "--output", str(tmp_path / f"{factor}.hspy")]) == 0
        axes = hs.load(tmp_path / f"{factor}.hspy")[0].axes_manager.signal_axes
        edges = {axis.name: (axis.scale, axis.units) for axis in axes}
        assert edges == {"x": (1.0 * factor, "nm"), "y": (0.5 * factor, "nm")}
