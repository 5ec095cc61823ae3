"""``python -m fuzzing [KIND ...] [--cases N] [--seconds S] [--seed SEED] [--findings FOLDER]``, with PYTHONPATH=tests.

Each finding is copied to a folder named after its kind, seed and case, with the reason; ``--case N`` repeats one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from reader_pool import Pool

import fusionkit.microscope.reader as microscope
from fusionkit import cli
from fuzzing.kinds import KINDS, Kind, fault
from fuzzing.mutate import mutate_bytes

_BATCH = 500  # cases in one child process
_FAST = "/dev/shm"  # a file system in memory
_LONGEST = 60  # seconds of a case
_MEMORY = 8 << 30  # bytes of addresses of a child
_LIBRARIES = 100_000_000  # bytes of a process that has just started
_MOST_MEMORY = 300_000_000  # bytes that a case may take beside three times its files


def fuzz(name: str, seed: int, cases: range, until: float, findings: Path) -> list[str]:
    """Run mutated inputs of one kind in child processes, and report those that end badly."""
    kind, problems = KINDS[name], []
    with tempfile.TemporaryDirectory(prefix="fuzzing-", dir=_FAST if os.path.isdir(_FAST) else None) as temporary:
        valid, work = Path(temporary) / "valid", Path(temporary) / "work"
        work.mkdir()
        seeds = kind.seeds(work)
        work.rename(valid)  # each case runs where they were made, since some hold absolute paths
        start = cases.start
        while start < cases.stop and time.monotonic() < until:
            batch = range(start, min(start + _BATCH, cases.stop))
            last, faults = _in_child(name, kind, seeds, seed, batch, valid, work)
            for case, problem in faults:
                place = findings / f"{name}-{seed}-{case}"
                shutil.rmtree(place, ignore_errors=True)
                _prepare(kind, name, seeds, seed, case, valid, place)
                (place / "fault.txt").write_text(problem)
                problems.append(f"{name} {case}: {problem}")
            start = last + 1
    print(f"{name}: {start - cases.start} cases", file=sys.stderr, flush=True)
    return problems


def _prepare(kind: Kind, name: str, seeds: list[str], seed: int, case: int, valid: Path, work: Path) -> str:
    """A fresh copy of the valid files with one of them mutated; its name."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(valid, work)
    chance = random.Random(f"{name}/{seed}/{case}")
    chosen = chance.choice(seeds)
    mutated = "c.yaml" if name == "config" else chosen
    content = (valid / chosen).read_bytes()
    change = chance.choice(kind.mutate) if content else mutate_bytes
    (work / mutated).write_bytes(change(content, chance))
    return mutated


@contextmanager
def peak_below(limit: int, readers: Pool) -> Iterator[list[str]]:
    """Add a problem if this process or one that reads for it takes more memory within than ``limit``."""
    problems: list[str] = []
    before = {pid: status_bytes(pid, "VmRSS") for pid in (os.getpid(), *readers.pids())}
    for pid in before:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    yield problems
    for pid in (os.getpid(), *readers.pids()):
        taken = status_bytes(pid, "VmHWM") - before.get(pid, _LIBRARIES)
        if taken > limit:
            who = "the process" if pid == os.getpid() else "its reader"
            problems.append(f"{taken / 1e6:.0f} MB of memory in {who}")


def status_bytes(pid: int, key: str) -> int:
    """VmRSS (now) or VmHWM (peak) of a process; 0 if it has ended."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), 0)
    return 0


def _in_child(
    name: str, kind: Kind, seeds: list[str], seed: int, cases: range, valid: Path, work: Path
) -> tuple[int, list[tuple[int, str]]]:
    """The last case that was run, and the cases that ended badly: by a fault, a signal or a hang."""
    ends, readers = os.pipe(), Pool()
    child = os.fork()
    if child == 0:
        os.close(ends[0])
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        warnings.simplefilter("error", RuntimeWarning)  # of numbers that nobody checked
        os.environ["NUMBA_DISABLE_JIT"] = "1"  # compiling what a case asks for may take a minute
        tempfile.tempdir = str(valid.parent)  # for the tracebacks of faults that cost a part of a report only
        # starting a process takes a second, and making the parser as long as reading a small file
        microscope.ReaderProcess, cli.build_parser = readers, cache(cli.build_parser)  # type: ignore[misc,assignment]
        try:
            with os.fdopen(ends[1], "w") as channel:
                for case in cases:
                    signal.alarm(_LONGEST)
                    print(json.dumps([case, None]), file=channel, flush=True)
                    try:
                        mutated = _prepare(kind, name, seeds, seed, case, valid, work)
                        largest = sum(file.stat().st_size for file in work.rglob("*") if file.is_file())
                        with peak_below(_MOST_MEMORY + 3 * largest, readers) as problems:
                            problems += filter(None, (fault(command, work) for command in kind.use(mutated)))
                        for traced in valid.parent.glob("fusionkit-fault-*"):
                            problems.append(traced.read_text())
                            traced.unlink()
                        problem = "\n".join(problems)
                    except BaseException:  # noqa: BLE001 - each fault is a finding
                        problem = traceback.format_exc()
                    print(json.dumps([case, problem]), file=channel, flush=True)
        finally:  # a child must not return to the code of its parent
            os._exit(0)
    os.close(ends[1])
    with os.fdopen(ends[0]) as lines:
        seen = dict(json.loads(line) for line in lines)
    status = os.waitpid(child, 0)[1]
    faults = [(case, problem or f"the process ended with the status {status}") for case, problem in seen.items()]
    return max(seen, default=cases.start), [one for one in faults if seen[one[0]] != ""]


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzzing")
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; all by default")
    parser.add_argument("--cases", type=int, default=10_000, help="of each kind")
    parser.add_argument("--case", type=int, help="only this one")
    parser.add_argument("--seconds", type=float, default=1e9, help="for each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, default=Path("runs/fuzzing"))
    return parser.parse_args(arguments)


def _lines(options: argparse.Namespace) -> Iterator[str]:
    cases = range(options.cases) if options.case is None else range(options.case, options.case + 1)
    for name in options.kinds or KINDS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        yield from fuzz(name, options.seed, cases, time.monotonic() + options.seconds, options.findings)


if __name__ == "__main__":
    found = list(_lines(_parsed(sys.argv[1:])))
    print(*found, f"{len(found)} findings", sep="\n\n")
    sys.exit(1 if found else 0)
