"""Damaged microscope files: whatever their bytes, they are read or end in one line that names the file."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from microscope_files import FORMATS
from reader_pool import Pool

from fusionkit.data.readers import open_recording
from fusionkit.errors import UserError
from fusionkit.microscope.damaged_files import check_hdf5, check_tiff
from fusionkit.microscope.propose.listing import entries

pytest.importorskip("rsciio", reason="RosettaSciIO is not installed: pip install 'fusionkit-em[io]'")


@pytest.fixture
def damages(request: pytest.FixtureRequest) -> int:
    """The number of damaged copies of each format, the same ones in every run."""
    count = request.config.getoption("damages")
    assert isinstance(count, int)
    return count


_pool = Pool(memory=2**31)


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged lengths ask for gigabytes; with a limit of two, including libraries, they are refused at once."""
    monkeypatch.setattr("fusionkit.microscope.reader.ReaderProcess", _pool)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content cut off, with a few bytes changed, with a run of zeros, or with a part repeated."""
    kind = rng.integers(4)
    place = int(rng.integers(len(content)))
    if kind == 0:
        return content[:place]
    changed = bytearray(content)
    if kind == 1:
        # the beginning holds most of what controls a reader
        bound = len(content) if rng.random() < 0.5 else min(len(content), 2048)
        for index in rng.integers(bound, size=rng.integers(1, 8)):
            changed[index] ^= int(rng.integers(1, 256))
    elif kind == 2:
        end = min(place + int(rng.integers(1, 64)), len(content))
        changed[place:end] = bytes([int(rng.choice([0, 255]))]) * (end - place)
    else:
        changed[place:place] = content[place : place + int(rng.integers(1, 64))]
    return bytes(changed)


def outcomes(path: Path, whole: list[tuple[Path, bytes]], cases: int) -> Iterator[str]:
    """The message of reading after each damage, empty on success; the file is restored after each."""
    for seed in range(cases):
        rng = np.random.default_rng(seed)
        file, content = whole[int(rng.integers(len(whole)))]
        file.write_bytes(damaged(content, rng))
        try:
            entries(open_recording(path))
            yield ""
        except UserError as error:
            yield str(error)
        file.write_bytes(content)


def check(said: list[str], path: Path, cases: int) -> None:
    assert len(said) == cases
    failures = [line for line in said if line]
    assert len(failures) > cases // 50  # readers detect some of the damages
    assert all(path.name in line and "\n" not in line for line in failures)


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_bytes_end_in_one_line(tmp_path: Path, suffix: str, damages: int) -> None:
    said: list[str] = []
    makers = FORMATS[suffix]
    for index, make in enumerate(makers):
        path = tmp_path / f"a{index}.{suffix}"
        make(path)
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        whole = [(file, file.read_bytes()) for file in files if file.is_file() and file.stat().st_size]
        found = list(outcomes(path, whole, -(-damages // len(makers))))  # rounded up
        assert all(path.name in line for line in found if line)
        said += found
    assert len(said) >= damages
    check(said, Path(f".{suffix}"), len(said))


@pytest.mark.parametrize("suffix", [*FORMATS, "spd", "mib", "xml", "tvips"])
@pytest.mark.parametrize("content", [b"", b"\0", b"text, no microscope\n" * 9, b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_wrong_files_end_in_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"wrong.{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"wrong\."):
        entries(open_recording(path))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("back_to", [0, 1, 2])
def test_directories_in_a_circle_are_found(back_to: int, big: bool, order: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile = pytest.importorskip("tifffile", reason="the extra 'io' is not installed")
    for page in np.ones((3, 4, 4), np.uint8):
        tifffile.imwrite(path, page, append=path.exists(), bigtiff=big, byteorder=order, metadata=None)
    check_tiff(path)
    with tifffile.TiffFile(path) as file:
        places, last = [page.offset for page in file.pages], file.pages.next_page_offset
    content = bytearray(path.read_bytes())
    struct.pack_into(f"{order}{'Q' if big else 'I'}", content, last, places[back_to])
    path.write_bytes(content)
    with pytest.raises(ValueError, match="circle"):
        check_tiff(path)


def test_a_circle_of_directories_ends_in_one_line(tmp_path: Path) -> None:
    """Two changed bytes of an ImageJ stack made tifffile read pages forever, so another process tries it."""
    tifffile = pytest.importorskip("tifffile", reason="the extra 'io' is not installed")
    path = tmp_path / "a.tif"
    stack = np.ones((3, 8, 8), np.uint16)
    described = {"unit": "micron", "axes": "ZYX", "Labels": ["Co", "O", "HAADF"]}
    tifffile.imwrite(path, stack, imagej=True, metadata=described)
    content = bytearray(path.read_bytes())
    content[77], content[202] = 81, 218
    path.write_bytes(content)
    command = [sys.executable, "-m", "fusionkit", "inspect", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "its directories lead in a circle" in done.stderr


@pytest.mark.parametrize("tag", ["ImageWidth", "ImageLength", "SamplesPerPixel", "TileWidth"])
def test_an_image_larger_than_its_file_is_found(tag: str, tmp_path: Path) -> None:
    """RosettaSciIO listed as many sample types as an RGB image had columns: two minutes."""
    path = tmp_path / "a.tif"
    tifffile = pytest.importorskip("tifffile", reason="the extra 'io' is not installed")
    options = {"planarconfig": "contig", "photometric": "rgb", "metadata": None}
    tifffile.imwrite(path, np.ones((64, 64, 3), np.uint8), tile=(64, 64), **options)
    check_tiff(path)
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].tags[tag].offset
    content = bytearray(path.read_bytes())
    struct.pack_into("<HII", content, place + 2, 4, 1, 2**31)  # a LONG
    path.write_bytes(content)
    with pytest.raises(ValueError, match="claims"):
        check_tiff(path)


def test_images_of_zeros_that_fill_the_memory_are_refused(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile", reason="the extra 'io' is not installed")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9000, 9000), np.uint8), compression="zlib")
    with pytest.raises(ValueError, match="claims"):
        check_tiff(tmp_path / "a.tif")
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        file.create_dataset("image", shape=(3000, 3000), chunks=(100, 100), dtype="f8")
    with pytest.raises(UserError, match=r"claims 0\.072 GB"):
        check_hdf5(tmp_path / "a.hspy")
