"""Points on a dask.distributed cluster, whose scheduler gives the points of a worker that dies to others.

A worker needs no file system in common with this machine, but for the data of a config that reads a file: it writes its
point's folder in a temporary place and sends it back, and the folder is written whole here.
"""

from __future__ import annotations

import importlib.util
import logging
import tempfile
import time
import warnings
from asyncio import CancelledError
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from fusionkit.errors import FusionkitWarning, UserError, describe_fault
from fusionkit.sweep.worker import LastRead, Task, run_task
from fusionkit.writer import whole_folder

if TYPE_CHECKING:
    from distributed import Client

_PATIENCE = 20  # seconds that a scheduler has to answer
_PAUSE = 0.1  # seconds between two looks at what has ended

Files = dict[str, bytes]


class SchedulerLostError(Exception):
    """The scheduler has ended, is out of reach, or was restarted: it knows nothing of the points that had not ended."""


def run_on_cluster(client: Client, tasks: Sequence[Task]) -> Generator[tuple[Task, str]]:
    """Run the tasks on the workers of a scheduler.

    Parameters
    ----------
    client : of the scheduler; it is closed at the end.
    tasks : the points.

    Yields
    ------
    Each task when it has ended, and why it failed; empty where it did not.

    Raises
    ------
    SchedulerLostError : the scheduler is gone, after whatever it had sent before.
    """
    sweep = uuid4().hex  # another sweep's points of the same names are other points
    futures: dict[Any, Task] = {}
    with _silenced_client():
        try:
            for task in tasks:
                futures[client.submit(_remote, task, sweep, key=f"{task.name}-{sweep}", pure=False)] = task
            for future, outcome in _ended(client, list(futures)):
                yield futures[future], _received(futures[future], outcome)
                future.release()
        finally:
            client.cancel(list(futures))
            client.close()


def _ended(client: Client, futures: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Each future that has ended, with its outcome.

    The client's own thread fetches outcomes: a blocking call that Ctrl-C meets prints a traceback. Where the scheduler
    is lost the client cancels its futures, but not one whose outcome is on its way: nothing more is heard of that.
    """
    from distributed import as_completed

    ended = as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)
    lost = False
    while not ended.is_empty():
        if ended.has_ready():
            future, outcome = next(ended)
            if future.cancelled():  # not by us
                lost = True
            else:
                yield future, outcome
        elif lost or client.status != "running":
            raise SchedulerLostError
        else:
            time.sleep(_PAUSE)
    if lost:
        raise SchedulerLostError


def connected(address: str) -> Client:
    """A client of a scheduler.

    Parameters
    ----------
    address : of the scheduler (``tcp://host:8786``), or the path of its scheduler file (``.json``).

    Raises
    ------
    UserError : dask.distributed is not installed, or no scheduler answers.
    """
    if importlib.util.find_spec("distributed") is None:
        raise UserError("--scheduler", "needs dask.distributed", "pip install 'fusionkit-em[cluster]'")
    from distributed import Client

    place: dict[str, Any] = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    if address.endswith(".json") and not Path(address).is_file():
        raise UserError(
            "--scheduler", f"there is no file '{address}'", "name the scheduler file of a running scheduler"
        )
    try:
        client = Client(**place, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        remedy = "give the address that 'dask scheduler' prints (tcp://host:8786)"
        raise UserError("--scheduler", f"no scheduler answers at '{address}'", remedy) from error
    if not client.scheduler_info().get("workers"):
        notice = f"the scheduler at '{address}' has no workers yet: the points wait for one ('dask worker ADDRESS')"
        warnings.warn(notice, FusionkitWarning, stacklevel=2)
    return client


@contextmanager
def _silenced_client() -> Iterator[None]:
    """Silence calls of the client's thread that the end of the client or of its scheduler cuts off.

    A client that is closed while it fetches an outcome, or while it looks for a scheduler that is gone, would print
    tracebacks of its own; the caller reports what has happened.
    """

    def is_news(record: logging.LogRecord) -> bool:
        if record.exc_info is not None:
            return not isinstance(record.exc_info[1], OSError | CancelledError)
        return not record.getMessage().startswith("Failed to reconnect")

    # of handlers, since a logger's filter does not see what the loggers below it say; None is the root
    names = (None, "distributed", "distributed.client", "tornado.application")
    handlers = {handler for name in names for handler in logging.getLogger(name).handlers}
    for handler in handlers:
        handler.addFilter(is_news)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(is_news)


def _received(task: Task, outcome: Any) -> str:
    """Write the files of a point that has ended; why it failed."""
    match outcome:
        case (str(error), dict(files)):  # what `_remote` returns
            return error or _write(task, files)
        case (_, BaseException() as broken, trace):  # what it raised, as sys.exc_info() gives it
            if type(broken).__module__.partition(".")[0] == "distributed":  # a worker that died several times, say
                return " ".join(f"{type(broken).__name__}: {broken}".split())
            return describe_fault(broken.with_traceback(trace))
    return "the cluster has sent something else than a point"


def _write(task: Task, files: Files) -> str:
    """Write the files of a point to its folder; why that failed."""
    try:
        with whole_folder(Path(task.folder), task.overwrite) as partial:
            for name, content in files.items():
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                (partial / name).write_bytes(content)
    except UserError as problem:
        return str(problem)
    return ""


def _remote(task: Task, sweep: str) -> tuple[str, Files]:
    """On a worker: solve the point; why it failed, or its files by their path in the folder."""
    from distributed import get_worker

    threads = get_worker().state.nthreads
    with _lock(), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "point")
        error = run_task(replace(task, folder=str(folder), threads=threads), _reader(sweep))
        files = [] if error else [path for path in folder.rglob("*") if path.is_file()]
        return error, {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@cache
def _lock() -> Lock:
    """One point at a time in a worker process, with all of its threads."""
    return Lock()


@lru_cache(maxsize=1)
def _reader(sweep: str) -> LastRead:
    """The next point of a sweep has the same data at hand; another sweep reads them again: they may have changed."""
    return LastRead()
