"""Batches: one config on several files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweeps import CONFIG, statuses, table

from fusionkit.cli import main
from fusionkit.config import yaml as yamlio
from fusionkit.errors import UserError
from fusionkit.sweep import run as carry_out
from fusionkit.sweep.axes import file_axis, names_of_files
from fusionkit.sweep.worker import Task

pytestmark = pytest.mark.usefixtures("in_this_process")
RNG = np.random.default_rng(0)
DATA = {"path": "a.npz", "haadf": "H", "maps": {"Fe": "Fe", "O": "O"}}


def lay_out(folder: Path, **changes: Any) -> Path:
    """Two recordings of different sizes, a broken one, and a config for the first."""
    for name, size in {"a": 12, "b": 16}.items():
        counts = RNG.poisson(5, (2, size, size)).astype(float)
        np.savez(folder / f"{name}.npz", H=counts.sum(0), Fe=counts[0], O=counts[1])
    (folder / "broken.npz").write_bytes(b"nothing")
    path = folder / "mine.yaml"
    path.write_text(yamlio.dump({**CONFIG, "data": DATA, **changes}), encoding="utf-8")
    return path


def test_every_file_has_a_folder_and_a_broken_one_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files on the command line are relative to the current folder, the config's own to its folder."""
    config = lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["batch", str(config), "a.npz", "broken.npz", "b.npz"]) == 4
    out = tmp_path / "runs" / "mine_batch"
    assert statuses(out) == ["max_iterations", "failed", "max_iterations"]
    assert [row["point"] for row in table(out)] == ["a", "broken", "b"]
    assert table(out)[2]["data.path"] == str(tmp_path / "b.npz")
    said = capsys.readouterr().err
    assert "fusionkit: broken failed: " in said
    assert yamlio.read(out / "b" / "config.resolved.yaml")["data"]["path"] == str(tmp_path / "b.npz")
    (tmp_path / "broken.npz").write_bytes((tmp_path / "a.npz").read_bytes())
    (tmp_path / "a.npz").unlink()  # its point is there
    assert main(["batch", str(config), "a.npz", "broken.npz", "b.npz"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("1/1  broken  ")
    assert "2 of them already finished" in said.out


def test_a_missing_file_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, out = lay_out(tmp_path), tmp_path / "out"
    files = [str(tmp_path / f"{name}.npz") for name in ("gone", "a")]
    assert main(["batch", str(config), *files, "--output", str(out)]) == 4
    assert statuses(out) == ["failed", "max_iterations"]
    assert f"gone failed: data.path: there is no file '{files[0]}'" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{}, {"haadf": {"signal": "H", "path": "b.npz"}}], ids=["path", "haadf"])
def test_a_file_that_has_changed_since_its_run_is_refused_or_run_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    config, out = lay_out(tmp_path, data={**DATA, **changes}), tmp_path / "out"
    np.savez(tmp_path / "b.npz", **np.load(tmp_path / "a.npz"))
    file = tmp_path / ("b.npz" if changes else "a.npz")
    command = ["batch", str(config), str(tmp_path / "a.npz"), "--output", str(out)]
    assert main(command) == 0
    assert main([*command, "--overwrite"]) == 0
    assert "1 of them already finished" in capsys.readouterr().out
    written, content = (out / "a" / "result.h5").stat().st_mtime, file.read_bytes()
    np.savez(file, **{name: 2 * array for name, array in np.load(file).items()})
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"'{file}' has changed since this run; replace it with --overwrite, or choose another folder" in said
    with monkeypatch.context() as patch:  # the interrupt comes before the point is run again
        patch.setattr(carry_out, "run_here", _interrupted)
        assert main([*command, "--overwrite"]) == 130
        assert statuses(out) == ["not run"]
    changed = file.read_bytes()
    file.write_bytes(content)
    assert main(command) == 0
    file.write_bytes(changed)
    assert main([*command, "--overwrite"]) == 0
    assert (out / "a" / "result.h5").stat().st_mtime > written
    assert statuses(out) == ["max_iterations"]
    if changes:
        file.unlink()  # removed files do not count as changed
        assert main(command) == 0


def test_a_former_batch_is_not_dropped_from_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = lay_out(tmp_path), tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    command = ["batch", str(config), "--output", "out", "--quiet"]
    assert main([*command, "a.npz"]) == 0
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert main([*command, "b.npz"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for word in ("out: holds points that this command does not name: a; ", "--output", "--overwrite"):
        assert word in said
    assert before == {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert main([*command, "b.npz", "a.npz"]) == 0
    assert [row["point"] for row in table(out)] == ["b", "a"]
    assert main([*command, "b.npz", "--overwrite"]) == 0
    assert main([*command, "b.npz"]) == 0  # a point that was left out is forgotten
    assert [row["point"] for row in table(out)] == ["b"]
    assert (out / "a" / "result.h5").is_file()


def test_a_point_that_failed_may_be_left_out(tmp_path: Path) -> None:
    """A mistyped name has no result to lose."""
    config, out = lay_out(tmp_path), tmp_path / "out"
    command = ["batch", str(config), "--output", str(out), "--quiet", str(tmp_path / "a.npz")]
    assert main([*command, str(tmp_path / "gone.npz")]) == 4
    assert "2 points of data.path: 1 caution, 1 failed." in (out / "index.html").read_text(encoding="utf-8")
    assert main(command) == 0
    assert statuses(out) == ["max_iterations"]
    assert "1 point of data.path: 1 caution." in (out / "index.html").read_text(encoding="utf-8")


def _interrupted(processes: int | None, tasks: Sequence[Task]) -> Iterator[tuple[Task, str]]:
    raise KeyboardInterrupt
    yield


def test_a_batch_of_a_sweep_is_every_file_with_every_value(tmp_path: Path) -> None:
    config, out = lay_out(tmp_path, sweep={"terms.tv.weight": [1.0, 2.0]}), tmp_path / "out"
    files = [str(tmp_path / f"{name}.npz") for name in "ab"]
    assert main(["batch", str(config), *files, "--output", str(out), "--quiet"]) == 0
    assert [row["point"] for row in table(out)] == [f"{name},tv.weight={w}" for name in "ab" for w in (1.0, 2.0)]
    assert (out / "index.html").read_text().count("<img ") == 8


@pytest.mark.parametrize(
    ("files", "labels", "parts"),
    [
        (["x/a.npz", "b.h5"], ("a", "b"), ("a", "b")),
        (["a.npz", "a.h5", "b.h5"], ("a.npz", "a.h5", "b"), ("a.npz", "a.h5", "b")),
        (["x/a.npz", "y/a.npz", "b.h5"], ("x/a.npz", "y/a.npz", "b"), ("x_a.npz", "y_a.npz", "b")),
        (["x/a.npz", "y/a.npz", "y/a.h5"], ("x/a.npz", "y/a.npz", "a.h5"), ("x_a.npz", "y_a.npz", "a.h5")),
        (
            ["x/z/a.npz", "y/z/a.npz", "y/a.npz"],
            ("x/z/a.npz", "y/z/a.npz", "y/a.npz"),
            ("x_z_a.npz", "y_z_a.npz", "y_a.npz"),
        ),
        (["x/a.npz", "y/a.npz", "x_a.npz.h5"], ("x/a.npz", "y/a.npz", "x_a.npz.h5"), None),
        (["a.npz", "A.h5"], ("a.npz", "A.h5"), ("a.npz", "A.h5")),
    ],
)
def test_points_are_called_by_their_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: list[str],
    labels: tuple[str, ...],
    parts: tuple[str, ...] | None,
) -> None:
    """Files that would share a folder get longer names; the others keep theirs."""
    monkeypatch.chdir(tmp_path)
    for file in files:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    found = file_axis(files)
    assert [label.removeprefix(f"{tmp_path.name}/") for label in found.labels] == list(labels)
    assert len(set(found.parts)) == len(files)
    assert parts is None or found.parts == parts
    assert found.values == tuple(str(tmp_path / file) for file in files)


@pytest.mark.parametrize("paths", [["/x/y_a", "/x_y/a"], ["/x_y/a", "/x/y_a", "/x/y/a"], ["/a", "/A", "/x/a"]])
def test_names_differ_where_folders_and_underscores_would_not(paths: list[str]) -> None:
    _, parts = names_of_files(paths)
    assert len({part.lower() for part in parts}) == len(paths)


def test_a_file_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.npz").touch()
    with pytest.raises(UserError, match="is named twice"):
        file_axis(["a.npz", str(tmp_path / "a.npz")])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mine.yaml", "c.npz", "d.npz"], ["c.npz", "there is no such file"]),
        (["cos_nanoparticle", "a.npz"], ["data", "has both 'path' and 'phantom'", "data.path = a"]),
        (["mine.yaml"], ["batch", "FILE"]),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: list[str],
) -> None:
    lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["batch", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert all(word in said for word in words), said
    assert not (tmp_path / "runs").exists()


def test_a_folder_is_no_option(tmp_path: Path) -> None:
    for name in ("ä b.npz", "ω.npz"):
        (tmp_path / name).touch()
    first, second = file_axis([str(tmp_path / name) for name in ("ä b.npz", "ω.npz")]).parts
    assert first.startswith("a-b-")
    assert second.startswith("_-")
