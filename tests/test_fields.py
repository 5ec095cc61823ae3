"""Positions of scans: crops of overlapping scans, and the position in results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import fusionkit as fk
from fusionkit.cli import main
from fusionkit.data.field_of_view import Scan, fields
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.errors import FusionkitWarning
from fusionkit.options import parse
from fusionkit.results.result_file import read_result

RNG = np.random.default_rng(0)
AT_ZERO, NOWHERE = (0.0, 0.0), None
IMAGE = Scan((64, 48), 0.5, "nm", AT_ZERO)

# maps beside IMAGE: their scan, whether the fields are equal or disjoint, and which part one is of the other
CASES: dict[str, tuple[Scan, bool, bool, Any]] = {
    "the same": (Scan((64, 48), 0.5, "nm", AT_ZERO), True, False, None),
    "binned, at its corner": (Scan((16, 12), 2.0, "nm", AT_ZERO), True, False, None),
    "binned, as HyperSpy places it": (Scan((16, 12), 2.0, "nm", (0.75, 0.75)), True, False, None),
    "as large, nowhere": (Scan((32, 24), 1.0, "nm", NOWHERE), True, False, None),
    "smaller, nowhere": (Scan((16, 12), 1.0, "nm", NOWHERE), False, False, None),
    "smaller, at zero too": (Scan((16, 12), 1.0, "nm", AT_ZERO), False, False, None),
    "a part": (Scan((16, 12), 1.0, "nm", (4.25, 2.25)), False, False, ("haadf", (8, 40), (4, 28))),
    "a part at the edge": (Scan((16, 12), 1.0, "nm", (16.25, 12.25)), False, False, ("haadf", (32, 64), (24, 48))),
    "a larger field": (Scan((64, 48), 1.0, "nm", (-7.75, -3.75)), False, False, ("maps", (8, 40), (4, 28))),
    "a part of pixels that are not square": (
        Scan((8, 12), (2.0, 1.0), "nm", (4.75, 2.25)),
        False,
        False,
        ("haadf", (8, 40), (4, 28)),
    ),
    "the same, with pixels that are not square": (Scan((16, 48), (2.0, 0.5), "nm", (0.75, 0.0)), True, False, None),
    "moved": (Scan((64, 48), 0.5, "nm", (8.0, 0.0)), False, False, None),
    "beside it": (Scan((64, 48), 0.5, "nm", (0.0, 24.0)), False, True, None),
    "moved by less than a pixel": (Scan((64, 48), 0.5, "nm", (0.4, 0.0)), True, False, None),
}


@pytest.mark.parametrize("name", CASES)
def test_fields(name: str) -> None:
    maps, alike, apart, part = CASES[name]
    found = fields(IMAGE, maps)
    assert found is not None
    assert (found.are_same, found.are_disjoint, found.part()) == (alike, apart, part)
    assert (found.difference() is None) == alike
    turned = fields(maps, IMAGE)
    assert turned is not None
    assert (turned.are_same, turned.are_disjoint) == (alike, apart)


@pytest.mark.parametrize("maps", [Scan((16, 12)), Scan((16, 12), 1.0, "mm", AT_ZERO)])
def test_scans_without_a_common_unit_are_not_compared(maps: Scan) -> None:
    assert fields(IMAGE, maps) is None


def signal(values: Any, size: float, origin: tuple[float, float], title: str) -> Any:
    """A HyperSpy image with square pixels in nm."""
    hyperspy = pytest.importorskip("hyperspy.api")
    found = hyperspy.signals.Signal2D(values, metadata={"General": {"title": title}})
    for axis, offset in zip(found.axes_manager.signal_axes, reversed(origin), strict=True):
        axis.scale, axis.units, axis.offset = size, "nm", offset
    return found


TRUTH = 4.0 + 20.0 * (np.hypot(*(np.mgrid[:64, :48] - np.array([30.0, 20.0])[:, None, None])) < 14)
IMAGE_VALUES, MAPS = TRUTH**1.7, {name: RNG.poisson(TRUTH).astype(np.float64) for name in ("Co", "O")}


def save(folder: Path, image: Any, maps: dict[str, Any]) -> list[str]:
    """Files of the image and of every map."""
    files = [str(folder / f"{one.metadata.General.title}.hspy") for one in (image, *maps.values())]
    for one, file in zip((image, *maps.values()), files, strict=True):
        one.save(file)
    return files


@pytest.mark.parametrize("which", ["haadf", "maps"])
def test_a_part_of_the_other_scan_is_cropped(which: str, tmp_path: Path) -> None:
    part = np.s_[8:40, 4:28]
    if which == "haadf":  # the maps were counted on a part, on pixels twice as long
        binned = {e: m[part].reshape(16, 2, 12, 2).sum(axis=(1, 3)) for e, m in MAPS.items()}
        image = signal(IMAGE_VALUES, 0.5, (10.0, 20.0), "HAADF")
        maps = {e: signal(m, 1.0, (10.0 + 4.25, 20.0 + 2.25), e) for e, m in binned.items()}
    else:
        image = signal(IMAGE_VALUES[part], 0.5, (14.0, 22.0), "HAADF")
        maps = {e: signal(m, 0.5, (10.0, 20.0), e) for e, m in MAPS.items()}
    files = save(tmp_path, image, maps)
    config = tmp_path / "x.yaml"
    assert main(["inspect", *files, "--write-config", str(config)]) == 0
    prepare = yaml.safe_load(config.read_text(encoding="utf-8"))["data"]["prepare"]
    assert prepare == [{"step": "crop", "of": which, "rows": [8, 40], "columns": [4, 28]}]
    assert (
        main(["run", str(config), "--output", str(tmp_path / "run"), "--quiet", "--set", "output.formats=[hspy]"]) == 0
    )
    found = read_result(tmp_path / "run")
    assert found.x.shape == (2, 32, 24)
    assert found.pixel_size == pytest.approx(0.5)
    assert found.origin == pytest.approx((14.0, 22.0))
    hyperspy = pytest.importorskip("hyperspy.api")
    for one in hyperspy.load(tmp_path / "run" / "maps.hspy"):
        assert [axis.offset for axis in one.axes_manager.signal_axes] == pytest.approx([22.0, 14.0])


def test_scans_that_do_not_overlap_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = signal(IMAGE_VALUES, 0.5, (0.0, 0.0), "HAADF")
    maps = {e: signal(m, 0.5, (100.0, 0.0), e) for e, m in MAPS.items()}
    said = "the image covers y -0.25 to 31.75, x -0.25 to 23.75 nm, and the maps y 99.75 to 131.8"
    with pytest.warns(FusionkitWarning, match=said):
        notes = fk.fuse(image, maps).notes
    assert any("they do not overlap; they are treated as the same field" in note for note in notes)
    config = tmp_path / "x.yaml"
    assert main(["inspect", *save(tmp_path, image, maps), "--write-config", str(config)]) == 0
    assert capsys.readouterr().err.count("they do not overlap") == 1
    assert main(["run", str(config), "--output", str(tmp_path / "run"), "--quiet"]) == 0
    assert capsys.readouterr().err.count("they do not overlap") == 1


@pytest.mark.parametrize(
    ("steps", "origin"),
    [
        ([], (3.0, 5.0)),
        ([{"step": "crop", "rows": [4, 64], "columns": [2, 48]}], (5.0, 6.0)),
        ([{"step": "bin", "factor": 4}], (3.75, 5.75)),
        ([{"step": "bin", "factor": 2}, {"step": "crop", "rows": [1, 20]}], (4.25, 5.25)),
    ],
)
def test_preparation_moves_the_first_pixel(steps: list[Any], origin: tuple[float, float], tmp_path: Path) -> None:
    save(tmp_path, signal(IMAGE_VALUES, 0.5, (3.0, 5.0), "HAADF"), {"Co": signal(MAPS["Co"], 0.5, (3.0, 5.0), "Co")})
    sources = {"haadf": {"path": "HAADF.hspy", "signal": "HAADF"}, "maps": {"Co": {"path": "Co.hspy", "signal": "Co"}}}
    dataset = load(parse(DataOptions, {**sources, "prepare": steps}, "data"), tmp_path)
    assert dataset.origin == pytest.approx(origin)


def test_a_file_that_is_not_used_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", HAADF=IMAGE_VALUES, **MAPS)
    np.savez(tmp_path / "b.npz", BF=IMAGE_VALUES)
    files = [str(tmp_path / name) for name in ("a.npz", "b.npz")]
    assert main(["inspect", *files, "--write-config", str(tmp_path / "x.yaml")]) == 0
    assert f"the config does not use {files[1]}" in capsys.readouterr().err


def test_a_config_behind_a_link_names_the_file(tmp_path: Path) -> None:
    for name in ("data", "far/away/configs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far/away/configs")
    np.savez(tmp_path / "data" / "a.npz", HAADF=IMAGE_VALUES, **MAPS)
    config = tmp_path / "link" / "x.yaml"
    assert main(["inspect", str(tmp_path / "data" / "a.npz"), "--write-config", str(config)]) == 0
    assert main(["run", str(config), "--output", str(tmp_path / "run"), "--quiet"]) == 0
    (tmp_path / "shared").symlink_to(tmp_path / "data")  # a file by way of a link keeps its name
    config = tmp_path / "data" / "y.yaml"
    assert main(["inspect", str(tmp_path / "shared" / "a.npz"), "--write-config", str(config)]) == 0
    assert "\n  path: ../shared/a.npz\n" in config.read_text(encoding="utf-8")
