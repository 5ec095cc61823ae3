"""Solving a point of a sweep, and the loop of a worker process, which reads tasks and prints outcomes as lines."""

import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from types import FrameType
from typing import Any

from fusionkit.config import Source, check_source
from fusionkit.data.dataset import Dataset
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.errors import UserError, describe_fault
from fusionkit.machine import limit_threads
from fusionkit.reconstruct import Reader, prepare
from fusionkit.results.lock import locked
from fusionkit.results.resume import checkpoint_of, fingerprints
from fusionkit.terminal import one_line_warnings
from fusionkit.writer import write

_PATIENCE = 30.0  # seconds for the worker of a killed sweep to end


@dataclass(frozen=True)
class Task:
    """A point to run, in plain types for JSON."""

    name: str  # of the point
    raw: dict[str, Any]  # its configuration as a `fusionkit.config.Source`
    config_folder: str  # its configuration as a `fusionkit.config.Source`
    config_name: str  # its configuration as a `fusionkit.config.Source`
    packaged: bool  # its configuration as a `fusionkit.config.Source`
    folder: str  # its run folder
    overwrite: bool  # whether a former run there may be replaced
    threads: int | None = None  # number of threads unless the config sets it; None for one per core


class LastRead:
    """Reads data and keeps the last dataset while its files stay the same: most points of a sweep share it."""

    def __init__(self) -> None:
        self._key: object = None
        self._dataset: Dataset | None = None

    def __call__(self, options: DataOptions, folder: Path, where: str) -> Dataset:
        """As `fusionkit.data.load.load`."""
        key = (options, folder, fingerprints({"data": options.model_dump(), "init": "auto"}, folder))
        if self._dataset is None or self._key != key:
            self._dataset, self._key = load(options, folder, where), key
        return self._dataset


def run_task(task: Task, read: Reader) -> str:
    """Solve a point, write its folder, and return why it failed as one line, or an empty text."""
    source = Source(task.raw, Path(task.config_folder), task.config_name, task.packaged)
    try:
        folder = Path(task.folder)
        with one_line_warnings() as warnings, limit_threads(task.threads), locked(folder, _PATIENCE):
            loaded = check_source(source)
            checkpoint = checkpoint_of(loaded, folder)
            job = prepare(loaded, read=read, checkpoint=checkpoint)
            record = job.outline(job.solve(), tuple(warnings))
            output = loaded.config.output
            parts = (output.figures, output.report, output.formats)
            # the figure of merit of points whose weights are numbers
            write(record, folder, task.overwrite, *parts, complete=lambda one: job.complete(job.with_held_out(one)))
            if checkpoint is not None:
                checkpoint.remove()
    except UserError as error:
        return str(error)
    return ""


def main() -> None:
    """Run the tasks from stdin until it ends; print outcomes to stdout and all else to stderr."""
    signal.signal(signal.SIGTERM, _leave)  # so that a partial folder is removed
    signal.signal(signal.SIGHUP, signal.SIG_IGN) if hasattr(signal, "SIGHUP") else None
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    read, lines, idle = LastRead(), SimpleQueue[str](), Event()
    Thread(target=_listen, args=(lines, idle), daemon=True).start()
    while line := lines.get():
        try:
            error = run_task(Task(**json.loads(line)), read)
        except Exception as fault:  # noqa: BLE001 - the outermost frame of this process: a fault of ours spares other points
            error = describe_fault(fault)
        idle.set()
        print(json.dumps(error), file=channel, flush=True)


def _listen(lines: SimpleQueue[str], idle: Event) -> None:
    """Forward the lines of stdin; its end in the middle of a task means that the parent is dead."""
    idle.set()
    for line in iter(sys.stdin.readline, ""):
        idle.clear()
        lines.put(line)
    if not idle.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_PATIENCE / 2)
        os._exit(128 + signal.SIGTERM)  # a library has swallowed the exception
    lines.put("")


def to_line(task: Task) -> str:
    """The task as one line of JSON."""
    return json.dumps(asdict(task)) + "\n"


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
