"""Kills at random moments of every command: ``python -m benchmarks.kills [CASE ...] [--kills 200] [--seed 0]``.

A command is ended by TERM, HUP, INT or KILL and given again. Each time nothing that was finished may be lost, no file
may be half-written under its final name, and the second run must leave the files, and the bits, of a run that nobody
ended, and no others. The exit status is 1 if a kill did harm.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
import yaml

from fusionkit.results.result_file import read_result

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL)
_CHILD = "import sys; from fusionkit.checkpoint import folder; {}from fusionkit.cli import main; sys.exit(main())"
_OFTEN = "folder._COST = 1e9; "  # every state is saved: at most 2 % of the time would be two a second
_LONGEST = 120.0  # seconds of a command
_FINISHED = ("holds a former run", "exists already")  # refusals of a second run whose first was finished
_SMALL = ["checkpoint.every=0.01", "engine=numpy", "data.phantom.size=24", "solver.max_iterations=400"]
_BARE = ["output.figures=false", "output.report=false"]


def _set(*values: str) -> list[str]:
    return [word for value in (*_SMALL, *values) for word in ("--set", value)]


_LONG = ["solver.type=chambolle_pock", "solver.tolerance=0"]
_OVER = ["--over", "terms.tv.weight=0.1,0.2,0.3", "--workers", "2", "--output", "o"]
CASES: dict[str, list[str]] = {
    "run": ["run", "cos_nanoparticle", *_set(*_LONG, "output.formats=[hspy]"), "--output", "o"],
    "overwrite": ["run", "cos_nanoparticle", *_set(*_LONG, *_BARE), "--output", "former", "--overwrite"],
    "bootstrap": [
        *("run", "cos_nanoparticle", *_set(*_LONG, *_BARE, "uncertainty.method=bootstrap", "uncertainty.samples=12")),
        *("--output", "o"),
    ],
    "search": ["run", "cos_auto", *_set(*_BARE), "--output", "o", "--resume"],
    "nonlocal": ["run", "cos_nonlocal", *_set(*_BARE, "solver.max_iterations=20"), "--output", "o"],
    "sweep": ["sweep", "cos_nanoparticle", *_set(*_BARE), *_OVER],
    "batch": ["batch", "c.yaml", "d.npz", "e.npz", *_set(*_BARE)[:4], "--workers", "2", "--output", "o"],
    "inspect": ["inspect", "d.npz", "--write-config", "n.yaml"],
    "simulate": ["simulate", "--set", "size=256", "--output", "n.npz"],
    "export hspy": ["export", "former", "--output", "n.hspy"],
    "export zspy": ["export", "former", "--output", "n.zspy", "--overwrite"],
    "export tiff": ["export", "former", "--output", "n.tif"],
    "compare": ["compare", "former", "other", "--output", "n.html"],
}


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit status, what it printed, and how long it took."""

    status: int
    text: str
    seconds: float


class Place:
    """A folder with the inputs of the commands, and fresh copies of it to run them in."""

    def __init__(self, home: Path) -> None:
        self.template, self.work, self._home = home / "template", home / "work", home
        self.template.mkdir()
        shutil.copytree(self.template, self.work)
        for name, seed in (("d", 1), ("e", 2)):
            self.run(["simulate", "--set", "size=24", "--set", f"seed={seed}", "--output", f"{name}.npz"])
        for name, weight in (("former", 0.3), ("other", 0.5)):
            values = _set(*_BARE, f"terms.tv.weight={weight}", "solver.type=chambolle_pock")
            self.run(["run", "cos_nanoparticle", *values, "--output", name])
        data = {"path": "d.npz", "haadf": "HAADF", "maps": {name: name for name in ("Co", "S", "O")}}
        terms = [{"type": "haadf", "weight": 1e-3}, "poisson", {"type": "tv", "weight": 0.3}, "nonnegative"]
        solver = {"type": "chambolle_pock", "max_iterations": 300}
        config = {"version": 1, "data": data, "terms": terms, "solver": solver, "output": {"figures": False}}
        (self.work / "c.yaml").write_text(yaml.safe_dump(config))
        shutil.rmtree(self.template)
        shutil.copytree(self.work, self.template)

    def reset(self) -> None:
        """A fresh copy of the inputs, without a cache or temporary files."""
        for name in ("work", "cache", "tmp"):
            shutil.rmtree(self._home / name, ignore_errors=True)
        shutil.copytree(self.template, self.work)

    def run(self, words: Sequence[str], end: tuple[float, int] | None = None, often: bool = True) -> Ended:
        """Run a command; with ``end`` a signal is sent after so many seconds; ``often`` saves every state."""
        (self._home / "tmp").mkdir(exist_ok=True)
        own = {"TMPDIR": "tmp", "XDG_CACHE_HOME": "cache", "MPLCONFIGDIR": "matplotlib"}
        environment = {**os.environ, **{name: str(self._home / folder) for name, folder in own.items()}}
        started, log = time.monotonic(), self._home / "log"
        with log.open("w") as text:
            command = [sys.executable, "-c", _CHILD.format(_OFTEN * often), *words]
            process = subprocess.Popen(command, cwd=self.work, env=environment, stdout=text, stderr=text)
            if end is not None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(end[0])
                process.send_signal(end[1])
            status = process.wait(_LONGEST)
        return Ended(status, log.read_text(errors="replace"), time.monotonic() - started)

    def files(self) -> dict[str, Any]:
        """The contents of every file by its path; also of caches and temporary folders, by their paths only."""
        names = {path.relative_to(self.work): path for path in _within(self.work)}
        # hidden ones are unfinished
        contents = {str(n): None if any(p[:1] == "." for p in n.parts) else _content(path) for n, path in names.items()}
        others = [path for name in ("cache", "tmp") for path in _within(self._home / name)]
        return contents | {str(path.relative_to(self._home)): None for path in others}


def _within(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _content(path: Path) -> Any:
    """What must not differ between two runs; an error if the file is not whole."""
    if path.name == "result.h5":
        saved = read_result(path)
        groups = (saved.trace, saved.looks, saved.duals, saved.auxiliary, saved.uncertainty)
        arrays = {f"{place} {name}": each for place, group in enumerate(groups) for name, each in group.items()}
        return {"x": saved.x} | {name: each for name, each in arrays.items() if "seconds" not in name}
    if path.suffix == ".npz":
        with np.load(path) as file:
            return dict(file)
    if path.suffix == ".hspy":
        with h5py.File(path) as file:
            return _numbers(file)
    if path.suffix == ".tif":
        return {"images": tifffile.imread(path)}
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return [{name: row[name] for name in row if "seconds" not in name and "memory" not in name} for row in rows]
    if path.suffix == ".html":
        assert path.read_text().rstrip().endswith("</html>"), "the page has no end"
        return None
    if path.suffix == ".json":
        json.loads(path.read_text())
        return None
    if path.suffix == ".png":
        assert path.read_bytes()[-8:-4] == b"IEND", "the figure has no end"
        return None
    return path.read_bytes() if path.suffix in (".yaml", ".zarray") else None


def _numbers(file: h5py.File) -> dict[str, Any]:
    """The arrays of numbers of an HDF5 file."""
    arrays: dict[str, Any] = {}

    def take(name: str, each: Any) -> None:
        if isinstance(each, h5py.Dataset) and each.ndim and each.dtype.kind in "fiu":
            arrays[name] = each[()]

    file.visititems(take)
    return arrays


def _differs(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping):
        return one.keys() != other.keys() or any(_differs(each, other[name]) for name, each in one.items())
    return not np.array_equal(one, other) if isinstance(one, np.ndarray) else one != other


def kill(
    place: Place, words: Sequence[str], whole: Mapping[str, Any], end: tuple[float, int], often: bool
) -> tuple[str, str]:
    """End the command and give it again: how it went, and what harm there is."""
    place.reset()
    before = place.files()
    first, number = place.run(words, end, often), end[1]
    problems = [] if first.status in (0, -number, 128 + number) else [f"exit status {first.status}: {first.text}"]
    problems += ["a traceback"] if "Traceback" in first.text and first.status != -number else []
    after = {name: each for name, each in place.files().items() if not name.startswith(".") and "/." not in name}
    for name, content in before.items():
        # a former result stays, or the new one stands in its place
        if name not in after or (_differs(content, after[name]) and _differs(whole.get(name), after[name])):
            problems.append(f"{name} is lost") if not _may_be_interrupted(name, first) else None
    again = place.run(words, None, often)
    is_finished = again.status == 2 and any(text in again.text for text in _FINISHED)
    problems += [] if again.status == 0 or is_finished else [f"the second run ends with {again.status}: {again.text}"]
    files = place.files()
    problems += [f"{name} is left over" for name in files.keys() - whole.keys()]
    problems += [f"{name} is missing" for name in whole.keys() - files.keys()]
    problems += [f"{name} differs" for name in files.keys() & whole.keys() if _differs(files[name], whole[name])]
    resumed = "resumed" if "going on" in again.text else "finished" if is_finished else "from the beginning"
    return resumed, "; ".join(problems)


def _may_be_interrupted(name: str, first: Ended) -> bool:
    """Whether the file is of an interrupted result, which replaced the former one as told."""
    return name.startswith("former/") and "interrupted" in first.text


def main(arguments: list[str]) -> int:
    """Kill every case in turn, and print a line for each case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills")
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    names, chance, harm = options.cases or list(CASES), random.Random(options.seed), 0
    with tempfile.TemporaryDirectory(prefix="kills-") as home:
        place = Place(Path(home))
        for index, name in enumerate(names):
            place.run(CASES[name])  # compiles kernels
            place.reset()
            whole = place.run(CASES[name])
            assert whole.status == 0, whole.text
            files, ends = place.files(), list[str]()
            for each in range(options.kills // len(names) + (index < options.kills % len(names))):
                # later ones more often: the first second is spent on imports
                moment = max(chance.uniform(0.1, whole.seconds) for _ in range(2))
                number = SIGNALS[each % len(SIGNALS)]
                end, problem = kill(place, CASES[name], files, (moment, number), each % 8 < 6)
                ends.append(end)
                if problem:
                    harm += 1
                    print(f"{name}, {signal.Signals(number).name} after {moment:.2f} s: {problem}", flush=True)
            counts = ", ".join(f"{ends.count(end)} {end}" for end in dict.fromkeys(ends))
            print(f"{name} ({whole.seconds:.1f} s): {len(ends)} kills, then {counts}", flush=True)
    print(f"{harm} of {options.kills} kills did harm")
    return int(harm > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
