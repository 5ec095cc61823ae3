"""The command line: its commands, its exit statuses, and one line on stderr for every error.

Exit status: 0 done, 2 wrong input, 3 diverged, 4 points of a sweep failed, 5 its scheduler is gone, 70 a fault of
fusionkit, 129, 130 or 143 interrupted. Nothing heavy is imported here, so that ``--help`` answers at once: each
command imports what it needs.
"""

import atexit
import errno
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from fusionkit.cli.parser import COMMANDS, DEBUG, build_parser
from fusionkit.errors import UserError, describe_fault, reason
from fusionkit.interrupts import Terminated, interrupt_behind, terminable
from fusionkit.terminal import Stream, one_line_warnings, painted, standard_streams

# exit statuses
DONE = 0  # summary.json has the status of the solve
WRONG = 2  # the user's input
DIVERGED = 3
FAILED = 4  # at least one point of a sweep
LOST = 5  # the scheduler of a sweep; the same command resumes
FAULT = 70  # of fusionkit: sysexits.h calls it EX_SOFTWARE
INTERRUPTED = 130  # by Ctrl-C; 128 and the number of another signal

_WRITES_FILES = ("run", "sweep", "batch", "simulate", "export")  # they succeed even if nobody reads their output

# what the system may run out of anywhere, and the remedy
_SCARCE = dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit (ulimit -n), or close other programs")
_SCARCE |= dict.fromkeys((errno.ENOMEM, errno.EAGAIN), "close other programs, or raise the limits (ulimit -v, -u)")
_SCARCE |= dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room on the disk")

# imports create some 300,000 permanent objects: a collection every 700 of them took 0.2 s of a small run
_RARE = (100_000, 50, 100)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (that of the process if None) and return its exit status."""
    with standard_streams() as (output, _):
        return _guarded(argv, output)


def _guarded(argv: Sequence[str] | None, output: Stream) -> int:
    try:
        with _rare_garbage_collection(), one_line_warnings() as texts, terminable():
            return _run_command(argv, texts, output)
    except (KeyboardInterrupt, Exception) as fault:  # noqa: BLE001 - the outermost frame: others are faults of ours
        if (interrupt := interrupt_behind(fault)) is not None:
            print("fusionkit: interrupted", file=sys.stderr)
            return interrupt.number + 128 if isinstance(interrupt, Terminated) else INTERRUPTED
        if isinstance(fault, UserError):
            _print_error(str(fault))
            return WRONG
        if isinstance(fault, MemoryError):
            _print_error("memory: the machine has too little; use smaller data or close other programs")
            return WRONG
        if isinstance(fault, OSError) and fault.errno in _SCARCE:
            _print_error(f"the system: {reason(fault)}; {_SCARCE[fault.errno]}")
            return WRONG
        if DEBUG in (sys.argv[1:] if argv is None else argv):
            import traceback

            traceback.print_exc()
            _print_error("this is a fault of fusionkit; please report it with the traceback above")
        else:
            _print_error(describe_fault(fault))
        return FAULT


def _print_error(text: str) -> None:
    print(f"{painted('fusionkit:', 'red', sys.stderr)} {text}", file=sys.stderr)


def _run_command(argv: Sequence[str] | None, texts: list[str], output: Stream) -> int:
    status, writes_files = DONE, False
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit:  # --help and --version have printed their text
        pass
    else:
        arguments.warnings = texts
        if getattr(arguments, "output", None) is not None:
            arguments.output = os.path.expanduser(arguments.output)  # a shell leaves --output=~/name alone
        writes_files = arguments.command in _WRITES_FILES
        status = import_module(COMMANDS[arguments.command][0]).run(arguments)
    output.flush()
    # a reader may close our output, as ``head`` does
    if output.error is not None and not writes_files and not isinstance(output.error, BrokenPipeError):
        raise UserError("standard output", f"cannot be written: {reason(output.error)}", "check its disk")
    return status


@contextmanager
def _rare_garbage_collection() -> Iterator[None]:
    """Collect garbage rarely within the context, and not at all at the end of the process."""
    former = gc.get_threshold()
    gc.set_threshold(*_RARE)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # at exit, collections would take 0.2 s to free what ends with the process anyway
    try:
        yield
    finally:
        gc.set_threshold(*former)
