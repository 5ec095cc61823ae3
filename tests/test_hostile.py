"""Hostile files: each kind is refused in one line, at little cost, and without a look outside the file's folder."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bcf_files import write_bcf
from microscope_files import write_elid
from test_writer import RUN

import fusionkit as fk
from fusionkit import writer
from fusionkit.cli import main
from fusionkit.data.readers import open_recording
from fusionkit.errors import UserError
from fusionkit.microscope.damaged_files import check_hdf5
from fusionkit.microscope.reader_process import ReaderProcess
from fusionkit.microscope.rosettasciio import read_signals
from fusionkit.results.result_file import read_result
from fusionkit.results.resume import fingerprints

IMAGE = np.arange(12.0).reshape(3, 4)
RANDOM = np.frombuffer(np.random.default_rng(0).bytes(300_000), np.uint8)


def linked(folder: Path, target: str, name: str = "/image") -> None:
    """``mine.h5`` with an external link, a soft link to it, and virtual and raw datasets in the same file."""
    with h5py.File(folder / "mine.h5", "w") as file:
        file["image"] = h5py.ExternalLink(target, name)
        file["soft"] = h5py.SoftLink("/image")
        layout = h5py.VirtualLayout(IMAGE.shape, float)
        layout[:] = h5py.VirtualSource(target, name.strip("/"), IMAGE.shape)
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", IMAGE.shape, float, external=[(target, 0, IMAGE.nbytes)])


@pytest.mark.parametrize("name", ["image", "soft", "virtual"])
def test_links_within_the_folder_are_followed_and_said(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["image"] = IMAGE
    linked(tmp_path, "other.h5")
    array = open_recording(tmp_path / "mine.h5").read(name)
    assert np.array_equal(array.values, IMAGE)
    assert array.notes == (f"'{name}' of mine.h5 is read from other.h5, to which it links.",)


def outside(folder: Path) -> str:
    with h5py.File(folder.parent / f"{folder.name}.h5", "w") as file:
        file["image"] = IMAGE
    return f"../{folder.name}.h5"


def hidden(folder: Path) -> str:
    (folder / "way.h5").symlink_to(folder.parent / outside(folder)[3:])
    return "way.h5"


def pipe(folder: Path) -> str:
    os.mkfifo(folder / "pipe.h5")
    return str(folder / "pipe.h5")


def circle(folder: Path) -> str:
    return str(folder / "mine.h5")


@pytest.mark.parametrize("name", ["image", "soft", "virtual", "raw"])
@pytest.mark.parametrize(
    ("target", "words"),
    [
        (outside, "outside its own folder"),
        (hidden, "outside its own folder"),
        (lambda folder: "/dev/zero", "outside its own folder"),
        (pipe, "not a regular file"),
        (circle, "do not end"),
    ],
)
def test_links_that_lead_elsewhere_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, target: Callable[[Path], str], words: str
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.chdir(folder)
    linked(folder, target(folder))
    if target is circle and name == "raw":
        return  # a dataset may lie in the raw bytes of its own file
    with pytest.raises(UserError, match=words):
        open_recording(folder / "mine.h5").read(name)
    (folder / "mine.h5").rename(folder / "mine.hspy")
    for read in (read_result, check_hdf5):
        with pytest.raises(UserError, match="links to other files"):
            read(folder / "mine.hspy")


def member(array: np.ndarray, after: int = 0, shape: str | None = None) -> bytes:
    """An array as a member of an archive, followed by zeros, or with another shape in its header."""
    stream = io.BytesIO()
    np.save(stream, array)
    content = stream.getvalue()
    if shape is not None:
        content = content.replace(b"(3, 4), ", shape.encode())
    return content + bytes(after)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"image": member(IMAGE, after=50_000_000)}, "followed by something else"),
        ({"image": member(IMAGE, shape="(9**9,),")}, "not readable"),
        ({"image": member(IMAGE, shape="(3, 40),")}, "ends early"),
        ({"image": member(np.zeros(9_000_000))}, "claims 0.072 GB"),
        ({"image": member(np.zeros(9_000_000, np.uint8)), "other": member(RANDOM)}, "claims 0.009 GB"),
        ({"image": member(IMAGE), "pixel_size": member(np.zeros(10_000_000))}, ""),
        ({"image": member(IMAGE), "units": member(np.array("n" * 10_000_000))}, ""),
    ],
    ids=["zeros", "expression", "shape", "constant", "padded", "pixel_size", "units"],
)
def test_bombs_in_archives_cost_little(tmp_path: Path, members: dict[str, bytes], words: str) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    tracemalloc.start()
    if words:
        with pytest.raises(UserError, match=words):
            open_recording(tmp_path / "bomb.npz").read("image")
    else:
        assert np.array_equal(open_recording(tmp_path / "bomb.npz").read("image").values, IMAGE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000


def as_hdf5(path: Path, image: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=image, compression="gzip")
        file["other"] = RANDOM


def as_nion(path: Path, image: np.ndarray) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.npy", member(image))
        archive.writestr("metadata.json", "{}")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.h5", as_hdf5),
        ("a.hspy", as_hdf5),
        ("a.ndata", as_nion),
        ("a.tif", lambda path, image: pytest.importorskip("tifffile").imwrite(path, image, compression="zlib")),
        ("a.png", lambda path, image: pytest.importorskip("PIL.Image").fromarray(image).save(path)),
    ],
)
def test_deflated_zeros_are_refused_whatever_stands_beside_them(
    tmp_path: Path, name: str, write: Callable[[Path, np.ndarray], None]
) -> None:
    """9 million values in 9 kB, which become 72 MB in float64; beside a noisy image they are an absent element."""
    write(tmp_path / name, np.zeros((3000, 3000), np.uint8))
    with pytest.raises(UserError, match="claims"):
        read_signals(tmp_path / name) if name != "a.h5" else open_recording(tmp_path / name).read("image")


def test_the_map_of_an_absent_element_is_none_beside_noise(tmp_path: Path) -> None:
    image = np.frombuffer(np.random.default_rng(0).bytes(4_600_000), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", image=image, map=np.zeros((3000, 3000), np.uint8))
    assert not open_recording(tmp_path / "a.npz").read("map").values.any()


def test_a_result_of_deflated_zeros_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "result.h5", "w") as file:
        file.create_dataset("maps", data=np.zeros((1, 3000, 3000), np.uint8), compression="gzip")
        facts = {"elements": ["Co"], "labels": ["Co"]} | dict.fromkeys(("objective", "optimality"), 0.0)
        file.attrs.update({**facts, **dict.fromkeys(("status", "config", "fusionkit_version"), "")})
    with pytest.raises(UserError, match=r"'/maps' claims 0\.009 GB"):
        read_result(tmp_path)


def test_the_memory_and_time_of_a_reader_are_bounded(tmp_path: Path) -> None:
    """RosettaSciIO follows the parents of entries until memory ends, which is that of a small file."""
    resource = pytest.importorskip("resource", reason="this system has no limits on memory")
    write_bcf(tmp_path / "a.bcf")
    content = bytearray((tmp_path / "a.bcf").read_bytes())
    entry = content.index(b"EDSDatabase") - 224
    content[entry + 40 : entry + 44] = bytes(4)  # its own parent
    (tmp_path / "a.bcf").write_bytes(content)
    process = ReaderProcess()
    with pytest.raises(UserError, match="asks for more memory than there is"):
        process.open(tmp_path / "a.bcf")
    peak = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmHWM" in line)
    assert int(peak.split()[1]) < 340_000  # kB
    seconds = resource.prlimit(process.pid, resource.RLIMIT_CPU)[0]
    assert 45 < seconds < 60


@pytest.mark.parametrize("end", [40, 600])
def test_values_that_are_cut_off_are_not_waited_for(tmp_path: Path, end: int) -> None:
    write_elid(tmp_path / "whole.elid")
    (tmp_path / "cut.elid").write_bytes((tmp_path / "whole.elid").read_bytes()[:end])
    with pytest.raises(UserError, match=r"cut\.elid: the file is not readable \(its compressed values are cut off\)"):
        open_recording(tmp_path / "cut.elid")


def test_a_folder_in_place_of_a_file_is_not_searched(tmp_path: Path) -> None:
    """The checksum of ``path: ~`` was that of all files of a home."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_text("x")
    config = {"data": {"path": str(tmp_path)}, "init": "auto"}
    assert fingerprints(config)[str(tmp_path)]["size"] == 0


@pytest.mark.parametrize("size", [0.0, -1.0, np.inf, np.nan])
def test_a_result_without_a_sensible_pixel_size_is_refused(tmp_path: Path, size: float) -> None:
    with h5py.File(tmp_path / "result.h5", "w") as file:
        file["maps"] = np.ones((1, 3, 4))
        attributes: dict[str, Any] = {name: [] for name in ("elements", "labels")}
        attributes |= dict.fromkeys(("status", "config", "fusionkit_version"), "")
        file.attrs.update({**attributes, "labels": ["Co"], "elements": ["Co"], "objective": 0.0, "optimality": 0.0})
        file.attrs["pixel_size"] = size
    with pytest.raises(UserError, match="'pixel_size' is not a positive number"):
        read_result(tmp_path / "result.h5")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "LOOP.yaml"],
        ["run", "cos_nanoparticle", "--output", "LOOP"],
        ["run", "cos_nanoparticle", "--set", "init=LOOP.h5", "--output", "out", "--set", "data.phantom.size=16"],
        ["inspect", "LOOP.npz"],
        ["compare", "LOOP", "LOOP.h5"],
        ["export", "LOOP", "--format", "tiff"],
        ["simulate", "--output", "LOOP/x.npz"],
        ["sweep", "cos_nanoparticle", "--over", "terms.tv.weight=1,2", "--output", "LOOP"],
    ],
)
def test_links_in_a_circle_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for suffix in ("", ".yaml", ".h5", ".npz"):
        (tmp_path / f"LOOP{suffix}").symlink_to(tmp_path / f"LOOP{suffix}")
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_names_with_zero_bytes_are_kept_in_part(tmp_path: Path) -> None:
    """HDF5 ends texts at a zero byte, and h5py refuses them: a result must not be lost to a name."""
    named = dataclasses.replace(RUN.dataset, units="n\0m", metadata={"tit\0le": "a\0b"})
    result = dataclasses.replace(RUN.result, labels=("C\0o", "O"), terms={"t\0v": 1.0}, duals={"t\0v": np.ones(3)})
    writer.write(
        dataclasses.replace(RUN, dataset=named, result=result),
        tmp_path / "run",
        overwrite=False,
        figures=False,
        report=True,
    )
    saved = read_result(tmp_path / "run")
    assert (saved.labels, saved.units, saved.metadata) == (("C\\0o", "O"), "n\\0m", {"tit\\0le": "a\\0b"})
    assert list(saved.duals) == ["t\0v"]


def test_a_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["simulate", "--output=~/phantom.npz", "--set", "size=16"]) == 0
    assert (tmp_path / "phantom.npz").is_file()


def test_numba_without_its_compiler_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    options = ("data.phantom.size=16", "solver.max_iterations=2")
    result = fk.prepare("cos_nanoparticle", (*options, "engine=auto")).solve()
    assert any(one.startswith("the pixelwise terms run in NumPy: NUMBA_DISABLE_JIT is set;") for one in result.notes)
    with pytest.raises(UserError, match="engine: NUMBA_DISABLE_JIT is set"):
        fk.prepare("cos_nanoparticle", (*options, "engine=numba"))


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.EMFILE, "ulimit -n"), (errno.ENOMEM, "close other"), (errno.ENOSPC, "make room")]
)
def test_what_the_system_lacks_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, remedy: str
) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fusionkit.cli._run_command", fail)
    assert main(["list"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("fusionkit: the system: ")
    assert remedy in error


def test_a_summary_that_cannot_be_made_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks the system for the memory, which took the result with it where no file could be opened."""
    summaries = iter([writer.summarise(RUN, 0.0)])

    def summarise(*arguments: object) -> dict[str, Any]:
        try:
            return next(summaries)
        except StopIteration:
            raise OSError(errno.EMFILE, "Too many open files") from None

    monkeypatch.setattr(writer, "summarise", summarise)
    with pytest.warns(fk.FusionkitWarning, match=r"summary\.json was not written: cannot be written: too many open"):
        writer.write(RUN, tmp_path / "run", overwrite=False, figures=False, report=False)
    assert read_result(tmp_path / "run").labels
