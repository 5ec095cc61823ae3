"""Readers: names, shapes, pixel sizes, and damaged files, which must end in one line that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fusionkit.data.readers import open_recording
from fusionkit.data.readers.hdf5_safety import heaps_are_sound
from fusionkit.errors import UserError

ARRAYS = {name: np.random.default_rng(1).poisson(3.0, (12, 10)).astype(np.float32) for name in ("HAADF", "Co", "O")}


def write_npz(path: Path, compressed: bool = False, **facts: Any) -> None:
    (np.savez_compressed if compressed else np.savez)(path, **ARRAYS, **facts)


def write_hdf5(path: Path, libver: str = "earliest", facts: dict[str, Any] | None = None, **layout: Any) -> None:
    with h5py.File(path, "w", libver=libver) as file:
        for name, array in ARRAYS.items():
            file.create_dataset(f"map7/{name}", data=array, **layout)
        file.attrs.update(facts or {})


@pytest.mark.parametrize(
    ("size", "units", "expected", "notes"),
    [
        (None, None, (None, None), 0),
        (0.25, "nm", (0.25, "nm"), 0),
        (np.array([0.25, 0.25]), b"nm", (0.25, "nm"), 0),
        (2, None, (2.0, None), 0),
        (np.float32(0.5), "nm", (0.5, "nm"), 0),
        (np.array([0.25, 0.5]), "nm", (None, None), 1),
        (-1.0, "nm", (None, None), 1),
        (np.nan, "nm", (None, None), 1),
        (1e307, "nm", (None, None), 1),
        ("0.25 nm", "nm", (None, None), 1),
    ],
)
@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_pixel_size(
    tmp_path: Path, suffix: str, size: Any, units: Any, expected: tuple[float | None, str | None], notes: int
) -> None:
    facts = {name: value for name, value in (("pixel_size", size), ("units", units)) if value is not None}
    path = tmp_path / f"a.{suffix}"
    if suffix == "npz":
        write_npz(path, **facts)
    else:
        write_hdf5(path, facts=facts)
    raw = open_recording(path).read("HAADF" if suffix == "npz" else "/map7/HAADF")
    assert (raw.pixel_size, raw.units) == expected
    assert len(raw.notes) == notes
    np.testing.assert_array_equal(raw.values, ARRAYS["HAADF"])


def test_npz_names_leave_the_calibration_out(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", pixel_size=0.1, units="nm")
    recording = open_recording(tmp_path / "a.npz")
    assert list(recording.names()) == ["HAADF", "Co", "O"]
    assert recording.shape("Co") == (12, 10)
    assert recording.shape("Cu") is None


def test_hdf5_names_are_paths(tmp_path: Path) -> None:
    path = tmp_path / "a.HDF5"
    write_hdf5(path)
    with h5py.File(path, "a") as file:
        file["link"] = h5py.SoftLink("/map7/Co")
        file["map7/Co"].attrs["pixel_size"] = 3.0
        file.attrs["pixel_size"] = 2.0
    recording = open_recording(path)
    assert sorted(recording.names()) == ["map7/Co", "map7/HAADF", "map7/O"]
    assert [recording.shape(name) for name in ("/map7/Co", "map7/Co", "link")] == [(12, 10)] * 3
    assert [recording.shape(name) for name in ("map7", "Co", "", "/", "map7/Co/x")] == [None] * 5
    assert [recording.read(name).pixel_size for name in ("link", "map7/O")] == [3.0, 2.0]


def test_reader_by_name(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz")
    (tmp_path / "a.npz").rename(tmp_path / "a.dat")
    assert open_recording(tmp_path / "a.dat", "npz").shape("O") == (12, 10)


def hdf5_with(value: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["x"] = value

    return make


def npz_as(path: Path) -> None:
    write_npz(path.with_suffix(".npz"))
    path.with_suffix(".npz").rename(path)


UNREADABLE: list[tuple[str, str, Callable[[Path], Any], list[str]]] = [
    ("missing", "a.npz", lambda path: None, ["data.path: there is no file"]),
    ("folder", "a.npz", lambda path: path.mkdir(), ["data.path", "is a folder"]),
    ("empty", "a.h5", lambda path: path.write_bytes(b""), ["data.path", "is empty"]),
    ("suffix", "a.xyz", lambda path: path.write_bytes(b"II*"), ["no reader takes 'a.xyz'", ".npz, .h5, .hdf5, .bcf"]),
    ("text as npz", "a.npz", lambda path: path.write_text("a,b\n1,2\n"), ["is not readable as an npz archive"]),
    ("text as hdf5", "a.h5", lambda path: path.write_text("a,b\n1,2\n"), ["is not readable as HDF5"]),
    ("npz as hdf5", "a.h5", npz_as, ["is not readable as HDF5"]),
    ("pickle", "a.npz", lambda path: np.savez(path, x=np.array([{}])), ["'x' holds Python objects", "as numbers"]),
    ("hdf5 text", "a.h5", hdf5_with("hello"), ["'x' holds no numbers"]),
    ("hdf5 texts", "a.h5", hdf5_with(["a", "b"]), ["'x' holds no numbers"]),
    ("hdf5 nothing", "a.h5", hdf5_with(h5py.Empty("f4")), ["'x' is empty"]),
]


@pytest.mark.parametrize(("name", "make", "words"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_unreadable(tmp_path: Path, name: str, make: Callable[[Path], Any], words: list[str]) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(UserError) as raised:
        open_recording(path).read("x")
    for word in (name, *words):
        assert word in str(raised.value)


def test_a_reader_of_another_name(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"data\.reader: there is no reader 'hdf'; did you mean 'hdf5'\?"):
        open_recording(tmp_path / "a.npz", "hdf")


@pytest.mark.parametrize(("size", "words"), [(1_000_000, r"8e\+03"), (3000, "0.072")])
def test_a_claim_beyond_the_file_is_refused(tmp_path: Path, size: int, words: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", shape=(size, size), chunks=(100, 100), dtype="f8")
    with pytest.raises(UserError, match=f"claims {words} GB, far more than the file can hold"):
        open_recording(tmp_path / "a.h5").read("x")


def test_a_heap_that_does_not_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_hdf5(path, facts={"pixel_size": 0.1, "units": "nm"})
    content = bytearray(path.read_bytes())
    assert heaps_are_sound(path)
    content[content.index(b"GCOL") + 16 + 8] = (
        0x99  # the size of the first text: what follows is free space of no length
    )
    path.write_bytes(bytes(content))
    assert not heaps_are_sound(path)
    with pytest.raises(UserError, match="its texts are damaged"):
        open_recording(path).read("map7/Co")


LAYOUTS: dict[str, list[Callable[[Path], None]]] = {
    "npz": [
        lambda path: write_npz(path, pixel_size=0.1, units="nm"),
        lambda path: write_npz(path, compressed=True, pixel_size=0.1, units="nm"),
    ],
    "h5": [
        lambda path: write_hdf5(path, facts={"pixel_size": 0.1, "units": "nm"}),
        lambda path: write_hdf5(path, libver="latest", facts={"pixel_size": 0.1, "units": "nm"}, chunks=(6, 5)),
        lambda path: write_hdf5(path, compression="gzip", shuffle=True, facts={"pixel_size": 0.1}),
        lambda path: write_hdf5(path, fletcher32=True, chunks=(6, 5)),
    ],
}


@pytest.mark.parametrize("suffix", LAYOUTS)
def test_damaged_bytes_end_in_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    whole = []
    for make in LAYOUTS[suffix]:
        make(path)
        whole.append(path.read_bytes())
    messages = []
    for seed in range(220):
        path.write_bytes(damaged(whole[seed % len(whole)], np.random.default_rng(seed)))
        try:
            recording = open_recording(path)
            for name in recording.names():
                recording.shape(name)
                recording.read(name)
        except UserError as error:
            messages.append(str(error))
    assert len(messages) > 60
    assert all(path.name in line and "\n" not in line for line in messages)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content cut off, or with a few bytes changed."""
    if rng.random() < 0.3:
        return content[: rng.integers(1, len(content))]
    changed = bytearray(content)
    for place in rng.integers(len(content), size=rng.integers(1, 6)):
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


@pytest.mark.parametrize(
    ("values", "save", "is_mapped"),
    [
        (np.arange(12, dtype=np.float32).reshape(3, 4), "savez", True),
        (np.asfortranarray(np.arange(12.0).reshape(3, 4)), "savez", True),
        (np.arange(12, dtype=">u2").reshape(3, 4), "savez", True),
        (np.zeros((0, 4)), "savez", False),
        (np.array(3.5), "savez", False),
        (np.arange(12.0).reshape(3, 4), "savez_compressed", False),
    ],
)
def test_uncompressed_members_are_mapped(tmp_path: Path, values: np.ndarray, save: str, is_mapped: bool) -> None:
    path = tmp_path / "a.npz"
    getattr(np, save)(path, first=np.ones(3), a=values)
    actual = open_recording(path).read("a").values
    assert isinstance(actual, np.memmap) == is_mapped
    assert actual.dtype == values.dtype
    np.testing.assert_array_equal(actual, values)


@pytest.mark.parametrize("save", ["savez", "savez_compressed"])
def test_a_changed_value_is_found_by_its_checksum(tmp_path: Path, save: str) -> None:
    path = tmp_path / "a.npz"
    getattr(np, save)(path, a=np.random.default_rng(0).random((50, 50)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.npz: array 'a' is not readable as an npz archive"):
        open_recording(path).read("a")


@pytest.mark.parametrize(
    ("values", "options", "is_mapped"),
    [
        (np.arange(12, dtype=np.float32).reshape(3, 4), {}, True),
        (np.arange(12, dtype=">i4").reshape(3, 4), {}, True),
        (np.arange(12.0).reshape(3, 4), {"chunks": (2, 2), "compression": "gzip"}, False),
        (np.ones((3, 4), bool), {}, True),
        (np.zeros((0, 4)), {}, False),
        (np.array(3.5), {}, False),
    ],
)
@pytest.mark.parametrize("userblock", [0, 512])
def test_contiguous_datasets_are_mapped(
    tmp_path: Path, values: np.ndarray, options: dict[str, Any], is_mapped: bool, userblock: int
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=userblock) as file:
        file.create_dataset("a", data=values, **options)
    actual = open_recording(path).read("a").values
    assert isinstance(actual, np.memmap) == is_mapped
    assert actual.dtype == values.dtype
    np.testing.assert_array_equal(actual, values)


def test_a_dataset_in_another_file_is_read(tmp_path: Path) -> None:
    values = np.arange(6.0).reshape(2, 3)
    values.tofile(tmp_path / "raw.bin")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (2, 3), "f8", external=[(str(tmp_path / "raw.bin"), 0, 48)])
    np.testing.assert_array_equal(open_recording(tmp_path / "a.h5").read("a").values, values)


def test_a_dataset_behind_a_link_is_that_of_the_other_file(tmp_path: Path) -> None:
    values = np.arange(16.0).reshape(4, 4)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["img"] = values
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["own"] = np.full((4, 4), 7.0)
        file["img"] = h5py.ExternalLink("other.h5", "/img")
    np.testing.assert_array_equal(open_recording(tmp_path / "a.h5").read("img").values, values)
