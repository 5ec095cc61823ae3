"""Points on a dask.distributed cluster, whose scheduler reassigns the points of workers that die.

Workers need a file system in common with this machine only to read data: a worker writes the folder of its point to a
temporary place and sends the files back, and the folder is written here as a whole.
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

_TIMEOUT = 20  # seconds, for the answer of a scheduler
_PAUSE = 0.1  # seconds between two polls for points that have ended

Files = dict[str, bytes]


class SchedulerLostError(Exception):
    """The scheduler has ended, cannot be reached, or was restarted: the points that had not ended are lost."""


def run_on_cluster(client: Client, tasks: Sequence[Task]) -> Generator[tuple[Task, str]]:
    """Run the tasks on the workers of a scheduler, and yield each that has ended with the reason if it failed, else "".

    The client is closed at the end. `SchedulerLostError` if the scheduler is gone, after all outcomes that it sent.
    """
    sweep = uuid4().hex  # tells points of the same name in other sweeps apart
    futures: dict[Any, Task] = {}
    with _silenced_client():
        try:
            for task in tasks:
                futures[client.submit(_solve_remotely, task, sweep, key=f"{task.name}-{sweep}", pure=False)] = task
            for future, outcome in _outcomes(client, list(futures)):
                yield futures[future], _receive(futures[future], outcome)
                future.release()
        finally:
            client.cancel(list(futures))
            client.close()


def _outcomes(client: Client, futures: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Each future with its outcome, as soon as it has ended.

    The thread of the client fetches outcomes, since a blocking call prints a traceback on Ctrl-C. If the scheduler is
    lost, the client cancels all futures except those with an outcome on its way, which never arrives.
    """
    from distributed import as_completed

    ended = as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)
    is_lost = False
    while not ended.is_empty():
        if ended.has_ready():
            future, outcome = next(ended)
            if future.cancelled():  # not by us
                is_lost = True
            else:
                yield future, outcome
        elif is_lost or client.status != "running":
            raise SchedulerLostError
        else:
            time.sleep(_PAUSE)
    if is_lost:
        raise SchedulerLostError


def connect(address: str) -> Client:
    """Connect to a scheduler by its address (``tcp://host:8786``) or the path of its scheduler file (``.json``).

    `UserError` if dask.distributed is not installed, or no scheduler answers.
    """
    if importlib.util.find_spec("distributed") is None:
        raise UserError("--scheduler", "needs dask.distributed", "pip install distributed")
    from distributed import Client

    target: dict[str, Any] = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    if address.endswith(".json") and not Path(address).is_file():
        raise UserError(
            "--scheduler", f"there is no file '{address}'", "name the scheduler file of a running scheduler"
        )
    try:
        client = Client(**target, timeout=_TIMEOUT, set_as_default=False)
    except TypeError as error:  # of distributed
        remedy = "set distributed.comm.tls in dask's configuration (docs/sweeps.md)"
        raise UserError("--scheduler", f"'{address}' needs TLS, which is not configured", remedy) from error
    except (OSError, ValueError) as error:
        remedy = "give the address that 'dask scheduler' prints (tcp://host:8786)"
        raise UserError("--scheduler", f"no scheduler answers at '{address}'", remedy) from error
    if not client.scheduler_info().get("workers"):
        text = f"the scheduler at '{address}' has no workers yet: the points wait for one ('dask worker ADDRESS')"
        warnings.warn(text, FusionkitWarning, stacklevel=2)
    return client


@contextmanager
def _silenced_client() -> Iterator[None]:
    """Silence tracebacks of the client's thread when the client or its scheduler ends.

    A client that is closed while it fetches an outcome, or while it looks for a scheduler that is gone, would print
    them; the caller reports the cause.
    """

    def is_news(record: logging.LogRecord) -> bool:
        if record.exc_info is not None:
            return not isinstance(record.exc_info[1], OSError | CancelledError)
        return not record.getMessage().startswith("Failed to reconnect")

    # handlers, since the filter of a logger does not see records of loggers below it; None is the root
    names = (None, "distributed", "distributed.client", "tornado.application")
    handlers = {handler for name in names for handler in logging.getLogger(name).handlers}
    for handler in handlers:
        handler.addFilter(is_news)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(is_news)


def _receive(task: Task, outcome: Any) -> str:
    """Write the files of a point that has ended, and return why it failed, if it did."""
    match outcome:
        case (str(error), dict(files)):  # returned by `_solve_remotely`
            return error or _write(task, files)
        case (_, BaseException() as error, trace):  # raised by it, in the form of sys.exc_info()
            if type(error).__module__.partition(".")[0] == "distributed":  # for example, its workers died
                return " ".join(f"{type(error).__name__}: {error}".split())
            return describe_fault(error.with_traceback(trace))
    return "the cluster sent something other than a point"


def _write(task: Task, files: Files) -> str:
    """Write the files of a point to its folder, and return why that failed, if it did."""
    try:
        with whole_folder(Path(task.folder), task.overwrite) as partial:
            for name, content in files.items():
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                (partial / name).write_bytes(content)
    except UserError as problem:
        return str(problem)
    return ""


def _solve_remotely(task: Task, sweep: str) -> tuple[str, Files]:
    """On a worker: solve a point, and return why it failed, or its files by their paths in the folder."""
    from distributed import get_worker

    threads = get_worker().state.nthreads
    with _lock(), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "point")
        error = run_task(replace(task, folder=str(folder), threads=threads), _reader(sweep))
        files = [] if error else [path for path in folder.rglob("*") if path.is_file()]
        return error, {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@cache
def _lock() -> Lock:
    """A lock so that a worker process solves one point at a time, with all of its threads."""
    return Lock()


@lru_cache(maxsize=1)
def _reader(sweep: str) -> LastRead:
    """A reader for all points of a sweep; another sweep reads its data again, since they may have changed."""
    return LastRead()
