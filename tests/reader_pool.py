"""Child processes that read microscope files, kept for further tests, because starting one takes a second."""

from __future__ import annotations

import sys
import weakref

from fusionkit.microscope.reader_process import ReaderProcess


class Pool:
    """Provides idle child processes, or new ones.

    Parameters
    ----------
    memory : limit on the address space of each child in bytes, so that damaged lengths are refused at once.
    """

    def __init__(self, memory: int | None = None) -> None:
        self._idle: list[ReaderProcess] = []
        self._memory = memory

    def pids(self) -> list[int]:
        """The idle processes."""
        return [one.pid for one in self._idle if one._child.poll() is None]

    def __call__(self) -> ReaderProcess:
        """A process; it returns to the pool when the caller drops it."""
        while self._idle:
            process = self._idle.pop()
            if process._child.poll() is None:
                break
        else:
            process = self._start()
        return _Borrowed(process, self._idle)

    def _start(self) -> ReaderProcess:
        process = ReaderProcess()
        if self._memory is not None and sys.platform == "linux":
            import resource

            resource.prlimit(process.pid, resource.RLIMIT_AS, (self._memory, self._memory))
        return process


class _Borrowed(ReaderProcess):
    def __init__(self, process: ReaderProcess, idle: list[ReaderProcess]) -> None:
        self.__dict__.update(process.__dict__)
        weakref.finalize(self, idle.append, process)
