"""Sweeps on a real dask.distributed cluster: a scheduler and its workers as processes of their own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sweeps import addresses, start, statuses, table, wait_for, write_config

from fusionkit.cli import main

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed (the extra 'cluster')")

WEIGHTS = {"terms.tv.weight": [50.0, 100.0], "terms.haadf.gamma": [1.6, 1.7]}
SLOW = "solver.max_iterations=500"  # long enough for a worker to be killed in the middle


class Cluster:
    """A scheduler and two workers.

    Parameters
    ----------
    file : the scheduler file.
    stack : ends the processes.
    """

    def __init__(self, file: Path, stack: ExitStack) -> None:
        self.file, self._stack = file, stack
        quiet = ["--no-dashboard", "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
        place = ["--scheduler-file", str(file), "--port", "0"]
        self.scheduler = self._start("scheduler", *place, *quiet)
        wait_for(file.is_file)
        one = ["--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", *quiet]
        self.workers = [self._start("worker", *one) for _ in range(2)]
        with distributed.Client(
            scheduler_file=str(file), set_as_default=False
        ) as client:  # otherwise a sweep reports that there are none
            client.wait_for_workers(2, timeout=60)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *arguments]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.file.parent)
        self._stack.callback(running.wait)
        self._stack.callback(running.kill)
        return running

    def is_whole(self) -> bool:
        """Whether all processes live."""
        return all(process.poll() is None for process in (self.scheduler, *self.workers))


@pytest.fixture(scope="module")
def clusters() -> Iterator[tuple[ExitStack, list[Cluster]]]:
    with ExitStack() as stack:
        yield stack, []


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, clusters: tuple[ExitStack, list[Cluster]]) -> Cluster:
    """The cluster of the test before, or a new one if that test has killed a part of it."""
    stack, made = clusters
    if not made or not made[-1].is_whole():
        made.append(Cluster(tmp_path_factory.mktemp("dask") / "scheduler.json", stack))
    return made[-1]


def test_a_failed_point_is_reported_and_the_others_resume(
    tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    config, start_file, out = write_config(tmp_path), tmp_path / "former.h5", tmp_path / "out"
    start_file.write_bytes(b"nothing")
    command = ["sweep", str(config), "--output", str(out), "--scheduler", str(cluster.file)]
    assert main([*command, "--over", f"init=auto,{start_file}"]) == 4
    assert statuses(out) == ["max_iterations", "failed"]
    assert "is damaged or not an HDF5 file" in capsys.readouterr().err
    assert main([*command, "--over", "init=auto,maps"]) == 0
    assert "1 of them already finished" in capsys.readouterr().out


def test_an_interrupt_leaves_what_is_finished(tmp_path: Path, cluster: Cluster) -> None:
    write_config(tmp_path, {"terms.tv.weight": {"linear": [10, 100, 10]}})
    command = ("sweep", "mine.yaml", "--output", "out", "--scheduler", str(cluster.file), "--set", SLOW)
    with start(*command, folder=tmp_path) as running:
        assert running.stderr is not None
        running.stderr.readline()
        ids = [process.pid for process in (running, cluster.scheduler, *cluster.workers)]
        assert addresses(ids) == {"127.0.0.1"}
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
        assert running.wait() == 130, said
    assert "finished points stay in out; repeat the command" in said
    assert "Traceback" not in said
    found = statuses(tmp_path / "out")
    assert 1 <= found.count("not run") < 10
    assert 10 - found.count("not run") == len(list((tmp_path / "out").glob("*/result.h5")))
    assert not list((tmp_path / "out").glob(".*"))


def test_a_cluster_does_what_this_machine_does_and_outlives_a_worker(tmp_path: Path, cluster: Cluster) -> None:
    write_config(tmp_path, WEIGHTS)
    command = ("sweep", "mine.yaml", "--output", "out", "--scheduler", str(cluster.file), "--set", SLOW)
    with start(*command, folder=tmp_path) as running:
        assert running.stderr is not None
        first = running.stderr.readline()  # both workers are in the middle of other points
        assert first.startswith("1/4"), first + running.stderr.read()
        cluster.workers[0].send_signal(signal.SIGKILL)
        said = running.stderr.read()
        assert running.wait() == 0, said
    assert cluster.workers[0].wait() == -signal.SIGKILL
    assert cluster.workers[1].poll() is None
    out = tmp_path / "out"
    assert set(statuses(out)) <= {"max_iterations", "stalled"}
    assert not list(out.glob(".*"))
    here = tmp_path / "here"
    assert main(["sweep", str(tmp_path / "mine.yaml"), "--output", str(here), "--quiet", "--set", SLOW]) == 0
    for one, two in zip(table(out), table(here), strict=True):
        assert one["point"] == two["point"]
        assert float(one["objective"]) == pytest.approx(float(two["objective"]), rel=1e-6)
    names = [{path.relative_to(folder).as_posix() for path in folder.rglob("*")} for folder in (out, here)]
    assert names[0] == names[1]


def test_a_scheduler_that_dies_leaves_what_is_finished(tmp_path: Path, cluster: Cluster) -> None:
    write_config(tmp_path, {"terms.tv.weight": {"linear": [10, 50, 5]}})
    command = ("sweep", "mine.yaml", "--output", "out", "--set", SLOW)
    with start(*command, "--scheduler", str(cluster.file), folder=tmp_path) as running:
        assert running.stderr is not None
        running.stderr.readline()
        cluster.scheduler.kill()
        said = running.stderr.read().splitlines()
        assert running.wait() == 5, said
    assert [line for line in said if not re.match(r"\d+/5  ", line)] == said[-1:]
    assert said[-1].startswith("fusionkit: --scheduler: the scheduler is gone")
    assert "finished points stay in out; start a scheduler and repeat the command to run the others" in said[-1]
    found = statuses(tmp_path / "out")
    assert set(found) <= {"max_iterations", "stalled", "not run"}
    assert found.count("not run") == 5 - len(list((tmp_path / "out").glob("*/result.h5"))) >= 1
    assert "not run" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert not list((tmp_path / "out").glob(".*"))
    with start(*command, "--quiet", folder=tmp_path) as running:
        assert running.wait() == 0
    assert "not run" not in statuses(tmp_path / "out")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("tcp://127.0.0.1:9", "no scheduler answers at 'tcp://127.0.0.1:9'"),
        ("tls://127.0.0.1:9", "'tls://127.0.0.1:9' needs TLS, which is not configured"),
    ],
)
def test_a_scheduler_that_does_not_answer_is_one_line(
    address: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fusionkit.sweep import cluster

    monkeypatch.setattr(cluster, "_TIMEOUT", 1)
    config = write_config(tmp_path, WEIGHTS)
    out = tmp_path / "out"
    assert main(["sweep", str(config), "--output", str(out), "--scheduler", address]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"--scheduler: {problem}" in said
    assert not out.exists()
