"""A child process that reads a microscope's file, so that a damaged file cannot harm the parent.

RosettaSciIO's parsers need a limit on memory, patched modules and silent loggers, which affect a whole process, and
some damaged files crash them or exhaust memory. All this stays in the child. It is started with ``python -m``, which
does not import the caller's main module, and ends with its `ReaderProcess`, with its parent or on Ctrl-C. Answers are
pickles; protocol 5 writes the bytes of an array to the pipe without a copy.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, BinaryIO, cast

import numpy.typing as npt

from fusionkit.errors import UserError
from fusionkit.microscope.damaged_files import bound, bytes_of, guarded
from fusionkit.microscope.signals import Channels, Image, Signal

_MEANINGS = {"SIGKILL": "as when memory runs out", "SIGXCPU": "it took far too long for a file of this size"}
_DAMAGED = "it is damaged, or needs a machine with more memory: copy or save it again"


class ReaderProcess:
    """The child process, which serves the file that was opened last.

    Attributes
    ----------
    pid : of the child.
    """

    def __init__(self) -> None:
        # -P: a module in the working directory must not replace one of the standard library
        command = [sys.executable, "-P", "-W", "ignore", "-m", __name__]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, env=environment)
        self._requests, self._answers = cast(IO[bytes], self._child.stdin), cast(IO[bytes], self._child.stdout)
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, _end, self._child)
        self.pid = self._child.pid

    def open(self, path: Path) -> tuple[Signal, ...]:
        """Every signal of the file; `UserError` if it is damaged or a library is missing."""
        described = self.ask(path, "the file", "open")
        return tuple(
            Signal(name, path, RemoteValues(self, path, name, shape), *facts) for name, shape, *facts in described
        )

    def ask(self, path: Path, what: str, request: str, *arguments: Any) -> Any:
        """The answer of the child to one request, a method of `_OpenFile`.

        `UserError` if the request fails, or the child dies of it.

        Parameters
        ----------
        path, what : the file and what is read of it, for messages.
        request, arguments : the method and its arguments after ``path``.
        """
        answered = False
        with self._lock:
            try:
                pickle.dump((request, path, *arguments), self._requests)
                self._requests.flush()
                error, answer = pickle.load(self._answers)
                answered = True
            except (OSError, EOFError, ValueError, pickle.UnpicklingError):  # the child ended, or had ended before
                self._end()
                problem = f"reading {what} crashed ({_cause(self._child.returncode)})"
                raise UserError(str(path), problem, _DAMAGED) from None
            finally:
                if not answered:  # after Ctrl-C the pipe may hold half an answer
                    self._end()
        if error is not None:
            raise UserError(*error)
        return answer


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    for pipe in (child.stdin, child.stdout):
        with suppress(OSError):  # a request that the child did not take stays in the buffer
            cast(IO[bytes], pipe).close()
    child.wait()


def _cause(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"exit status {status}"
    name = signal.Signals(-status).name
    return f"{name}, {_MEANINGS[name]}" if name in _MEANINGS else name


@dataclass(frozen=True)
class RemoteValues:
    """The values of a signal in the file of a `ReaderProcess`; see `fusionkit.microscope.signals.Values`."""

    process: ReaderProcess
    path: Path
    name: str
    shape: tuple[int, ...]

    def read(self) -> npt.NDArray[Any]:
        """All values."""
        return self._ask("read")

    def total(self) -> float:
        """Sum of all values in float64; NaN if they are not numbers."""
        return self._ask("total")

    def sums(self, axis: int, ranges: Sequence[Channels]) -> list[Image]:
        """Sums over ranges of channels along ``axis``."""
        return self._ask("sums", axis, list(ranges))

    def binned(self, axis: int, ranges: Sequence[Channels]) -> npt.NDArray[Any]:
        """Sums over ranges of channels along ``axis``, (ranges, ny, nx), in small integers if they hold the values."""
        return self._ask("binned", axis, list(ranges))

    def _ask(self, method: str, *arguments: Any) -> Any:
        return self.process.ask(self.path, f"'{self.name}'", "values", self.name, method, *arguments)


class _OpenFile:
    """The child's file; its methods answer the requests."""

    def __init__(self) -> None:
        self._signals: dict[str, Signal] = {}

    def open(self, path: Path) -> list[tuple[Any, ...]]:
        from fusionkit.microscope.rosettasciio import read_signals

        self._signals = {}
        self._signals = {one.name: one for one in read_signals(path)}
        return [(one.name, one.shape, one.axes, one.facts, one.notes) for one in self._signals.values()]

    def values(self, path: Path, name: str, method: str, *arguments: Any) -> Any:
        return guarded(path, lambda: getattr(self._signals[name].data, method)(*arguments), f"'{name}'")


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    queue: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests, queue), daemon=True).start()
    served = _OpenFile()
    while True:
        request, *arguments = queue.get()
        bound(bytes_of(arguments[0]), request != "open")
        error = answer = None
        try:
            answer = getattr(served, request)(*arguments)
        except UserError as failure:
            error = (failure.where, failure.problem, failure.remedy)
        pickle.dump((error, answer), answers, protocol=5)
        answers.flush()


def _listen(requests: BinaryIO, queue: SimpleQueue[tuple[Any, ...]]) -> None:
    """Pass requests on; end the process with its parent, even while a file is being read."""
    while True:
        try:
            queue.put(pickle.load(requests))
        except EOFError:
            os._exit(0)


def main() -> None:
    """Serve the parent through the standard streams."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # parsers swallow KeyboardInterrupt
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries must not print into the answers
    _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
