"""A sweep in the folder of a former one: its points are known, and none is lost silently."""

from __future__ import annotations

from pathlib import Path

import pytest
from sweeps import addresses, children, start, statuses, table, wait_for, write_config

from fusionkit.cli import main

SLOW = "solver.max_iterations=1500"  # seconds, in which a sweep can be killed


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    "summary", ["{", "[]", '{"terms": 3}', '{"seconds": {"solve": "x"}}', '{"weights_auto": {"tv": 1}}']
)
def test_a_damaged_summary_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], summary: str) -> None:
    config, out = write_config(tmp_path, {"terms.tv.weight": [50.0]}), tmp_path / "out"
    command = ["sweep", str(config), "--output", str(out), "--quiet"]
    assert main(command) == 0
    (out / "tv.weight=50.0" / "summary.json").write_text(summary)
    assert main(command) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "summary.json: " in message
    (out / "tv.weight=50.0" / "summary.json").write_text("{}")  # lacks everything
    assert main(command) == 0
    assert [(row["status"], row["objective"]) for row in table(out)] == [("max_iterations", "")]


@pytest.mark.usefixtures("in_this_process")
def test_a_point_killed_before_its_verdict_is_run_again(tmp_path: Path) -> None:
    config, out = write_config(tmp_path, {"terms.tv.weight": [50.0]}), tmp_path / "out"
    command = ["sweep", str(config), "--output", str(out), "--quiet"]
    assert main(command) == 0
    rows = table(out)
    summary = out / "tv.weight=50.0" / "summary.json"
    summary.write_text('{"incomplete": true}')
    assert main(command) == 0
    assert rows[0]["objective"]
    assert [row["objective"] for row in table(out)] == [row["objective"] for row in rows]
    assert "incomplete" not in summary.read_text()


FORMER: list[tuple[str, bytes | None, str]] = [
    (
        "whole",
        b"point,status\ntv.weight=50.0,max_iterations\n",
        "that this command does not name: tv.weight=50.0; name",
    ),
    ("gone", None, "that this command does not name: tv.weight=50.0; name"),
    ("empty", b"", "is not the table of a sweep"),
    ("no text", b"point,status\n\xff\xfe\n", "is not the table of a sweep"),
    ("another table", b"name,status\ntv.weight=50.0,done\n", "is not the table of a sweep"),
]


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("content", "words"), [row[1:] for row in FORMER], ids=[row[0] for row in FORMER])
def test_another_sweep_does_not_drop_the_former_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    config, out = write_config(tmp_path), tmp_path / "out"
    command = ["sweep", str(config), "--output", str(out), "--quiet"]
    assert main([*command, "--over", "terms.tv.weight=50.0"]) == 0
    (out / "table.csv").unlink()
    if content is not None:
        (out / "table.csv").write_bytes(content)
    other = [*command, "--over", "terms.tv.weight=70.0"]
    assert main(other) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert words in message
    assert "--output" in message
    assert "--overwrite" in message
    assert not (out / "tv.weight=70.0").exists()
    assert main([*other, "--overwrite"]) == 0
    assert [row["point"] for row in table(out)] == ["tv.weight=70.0"]


def test_the_points_of_a_sweep_that_is_killed_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, out = write_config(tmp_path, {"terms.tv.weight": [50.0, 70.0, 100.0]}), tmp_path / "out"
    command = ("sweep", "mine.yaml", "--output", "out", "--workers", "1", "--set", SLOW)
    with start(*command, folder=tmp_path) as running:
        assert running.stderr is not None
        assert running.stderr.readline().startswith("1/3")
        workers = children(running.pid, "fusionkit.sweep.worker")
        assert addresses([running.pid, *(worker.pid for worker in workers)]) == set()
        running.kill()
    assert wait_for(lambda: not any(worker.is_running() for worker in workers))  # they end with the next point
    assert statuses(out) == ["not run"] * 3
    other = ["sweep", str(config), "--output", str(out), "--set", SLOW, "--over", "terms.tv.weight=1.0"]
    assert main(other) == 2
    assert "does not name: tv.weight=50.0" in capsys.readouterr().err
