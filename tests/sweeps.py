"""Common parts of the tests of sweeps: a tiny config, the command line in a process, and its workers."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from fusionkit.config import yaml as yamlio

CONFIG: dict[str, Any] = {
    "version": 1,
    "data": {"phantom": {"preset": "cos_nanoparticle", "size": 32}},
    "terms": ["haadf", {"type": "poisson", "weight": 870.0}, {"type": "tv", "weight": 100.0}, "nonnegative"],
    "solver": {"type": "chambolle_pock", "max_iterations": 20, "tolerance": 0.0},
    "engine": "numpy",  # nothing to compile
    "output": {"figures": False, "report": False},
}


def write_config(folder: Path, sweep: dict[str, Any] | None = None, **changes: Any) -> Path:
    """The config in a file, with the swept values."""
    path = folder / "mine.yaml"
    path.write_text(yamlio.dump({**CONFIG, **changes, **({"sweep": sweep} if sweep else {})}), encoding="utf-8")
    return path


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "fusionkit", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def table(folder: Path) -> list[dict[str, str]]:
    """The rows of a sweep."""
    with (folder / "table.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def statuses(folder: Path) -> list[str]:
    """The status of each point."""
    return [row["status"] for row in table(folder)]


def children(process: int, word: str) -> list[psutil.Process]:
    """The descendants of a process whose command contains the word."""
    try:
        found = psutil.Process(process).children(recursive=True)
        return [child for child in found if any(word in part for part in child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def wait_for(found: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true result of ``found``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"nothing in {seconds} s")


def addresses(processes: Iterable[int]) -> set[str]:
    """The addresses at which processes have internet sockets."""
    sockets = [each for process in processes for each in psutil.Process(process).net_connections("inet")]
    return {end.ip for each in sockets for end in (each.laddr, each.raddr) if end}
