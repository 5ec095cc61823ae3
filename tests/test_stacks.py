"""Maps in one stack: by index in any file, and by name if the file has names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fuse_data import FAST, HAADF, MAPS, NAMES, STACK, hyperspy, signal

import fusionkit as fk
from fusionkit.cli import main
from fusionkit.data.dataset import Dataset
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.errors import UserError
from fusionkit.options import parse


def tiff(path: Path, **described: Any) -> None:
    tifffile = pytest.importorskip("tifffile", reason="the extra 'io' is not installed")
    tifffile.imwrite(path, STACK.astype(np.float32), imagej=True, metadata={"axes": "CYX", **described})


def saved(path: Path, made: Any) -> None:
    made.save(path)


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["scan/stack"] = STACK


# how it is written, the name of the stack, and the names of each image
FILES: dict[str, tuple[Callable[[Path], None], str, tuple[Any, ...]]] = {
    "a.npz": (lambda path: np.savez(path, stack=STACK), "stack", (0, 1, 2)),
    "a.h5": (hdf5, "scan/stack", (0, 1, 2)),
    "a.npy": (lambda path: np.save(path, STACK), "a", (0, 1, 2)),
    "plain.tif": (tiff, "plain", (0, 1, 2)),
    "imagej.tif": (lambda path: tiff(path, Labels=list(NAMES)), "imagej", NAMES),
    "maps.hspy": (lambda path: saved(path, signal(STACK, "EDS", Sample={"elements": [*NAMES]})), "EDS", NAMES),
}


def written(name: str, folder: Path) -> Path:
    if name.endswith((".npy", ".tif", ".hspy")):
        hyperspy()
    FILES[name][0](folder / name)
    return folder / name


def loaded(path: Path, signals: list[str]) -> Dataset:
    maps = dict(zip(NAMES, signals, strict=True))
    return load(parse(DataOptions, {"path": str(path), "maps": maps}, "data"), path.parent)


@pytest.mark.parametrize("name", FILES)
def test_a_config_names_images_of_a_stack(name: str, tmp_path: Path) -> None:
    path, (_, stack, called) = written(name, tmp_path), FILES[name]
    for ways in {called, (0, 1, 2)}:
        found = loaded(path, [f"{stack}/{way}" for way in ways])
        np.testing.assert_allclose(found.arrays["maps"], STACK, rtol=1e-6)
    np.testing.assert_allclose(loaded(path, [f"{stack}/{way}" for way in (2, 0, 1)]).arrays["maps"][1], STACK[0])


@pytest.mark.parametrize("name", FILES)
def test_fuse_takes_the_path_of_a_stack(name: str, tmp_path: Path) -> None:
    path, expected = written(name, tmp_path), fk.fuse(HAADF, MAPS, **FAST)
    fused = fk.fuse(HAADF, path, elements=NAMES, **FAST)
    assert list(fused.maps) == list(NAMES)
    np.testing.assert_allclose(fused.stack, expected.stack, rtol=1e-4, atol=1e-4)
    if FILES[name][2] == NAMES:
        assert list(fk.fuse(HAADF, path, **FAST).maps) == list(NAMES)


def test_elements_give_an_unsure_order_and_choose_from_a_sure_one(tmp_path: Path) -> None:
    """Metadata sort their elements, so ``elements`` names the layers of a stack without other names, as for signals."""
    other = ("S", "O", "Co")
    by_order = fk.fuse(HAADF, written("maps.hspy", tmp_path), elements=other, **FAST)
    by_name = fk.fuse(HAADF, written("imagej.tif", tmp_path), elements=other, **FAST)
    np.testing.assert_array_equal(by_order.given.arrays["maps"], STACK)
    np.testing.assert_allclose(by_name.given.arrays["maps"], STACK[[1, 2, 0]], rtol=1e-6)
    guessed = fk.fuse(HAADF, tmp_path / "maps.hspy", **FAST)
    assert any("order of metadata.Sample.elements" in note for note in guessed.notes)
    assert not any("order of metadata" in note for note in (*by_order.notes, *by_name.notes))


def test_inspect_writes_a_config_for_named_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "image.npz"
    np.savez(image, HAADF=HAADF)
    for name in ("imagej.tif", "maps.hspy"):
        config = tmp_path / f"{name}.yaml"
        files = [str(image), str(written(name, tmp_path))]
        assert main(["inspect", *files, "--write-config", str(config)]) == 0
        said = capsys.readouterr()
        assert ("order of metadata.Sample.elements" in said.err) == (name == "maps.hspy")
        assert [line.split()[0] for line in said.out.splitlines() if "/Co" in line] == [f"{FILES[name][1]}/Co"]
        out = str(tmp_path / "out")
        assert main(["run", str(config), "--output", out, "--overwrite", "--set", "solver.max_iterations=3"]) in (0, 1)
        np.testing.assert_allclose(fk.read_result(Path(out, "result.h5")).inputs["maps"], STACK, rtol=1e-6)


def test_what_is_no_image_of_a_stack_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written("a.npz", tmp_path)
    refused = {"stack": "name one of its images by its place, 'stack/0'", "stack/3": "there is no array 'stack/3'"}
    for name, said in {**refused, "stack/-1": "no array", "stack/x": "no array", "/0": "no array"}.items():
        with pytest.raises(UserError, match=said):
            loaded(path, [name, "stack/1", "stack/2"])
    with pytest.raises(UserError, match=r"name those of a stack: elements=\['Co', 'O'\]"):
        fk.fuse(HAADF, path, **FAST)
    with pytest.raises(UserError, match="holds no images named by element"):
        fk.fuse(HAADF, path, elements=["Co", "O"], **FAST)  # two names for three maps
    assert main(["inspect", str(path), "--write-config", str(tmp_path / "c.yaml")]) == 2
    assert "data.maps: {Ti: stack/0}" in capsys.readouterr().err


def test_labels_that_do_not_tell_layers_apart_are_left_out(tmp_path: Path) -> None:
    hyperspy()
    path = tmp_path / "a.tif"
    tiff(path, Labels=["Co", "Co", "O"])
    with pytest.raises(UserError, match="there is no array 'a/Co'"):
        loaded(path, ["a/Co", "a/1", "a/2"])
