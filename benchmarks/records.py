"""The results of a run, read from the JSON file of pytest-benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Record:
    """One benchmark.

    Parameters
    ----------
    group : the kind of measurement.
    median : of its rounds, in seconds.
    rounds : number of timings.
    info : engine, size, iterations, ...
    """

    group: str
    median: float
    rounds: int
    info: Mapping[str, Any]

    @property
    def per_iteration(self) -> float:
        """Seconds per iteration."""
        return self.median / self.info["iterations"]


@dataclass(frozen=True)
class Records:
    """All benchmarks of one run, and a description of the machine."""

    records: tuple[Record, ...]
    machine: str

    def of(self, group: str, **info: Any) -> list[Record]:
        """Those of a group whose info has these values, sorted by size."""
        found = [r for r in self.records if r.group == group and all(r.info.get(k) == v for k, v in info.items())]
        return sorted(found, key=lambda record: record.info.get("size", 0))

    def one(self, group: str, **info: Any) -> Record | None:
        """The first of a group with these values; None if it was not measured."""
        found = self.of(group, **info)
        return found[0] if found else None

    def engines(self, group: str) -> list[str]:
        """Engines measured in a group, in the order of the run."""
        return list(dict.fromkeys(r.info["engine"] for r in self.records if r.group == group and "engine" in r.info))


def read(path: Path) -> Records:
    """The records of a run.

    Parameters
    ----------
    path : what ``--benchmark-json`` wrote.
    """
    raw = json.loads(path.read_text(encoding="utf-8"))
    records = [
        Record(b["group"], b["stats"]["median"], b["stats"]["rounds"], b["extra_info"]) for b in raw["benchmarks"]
    ]
    machine, cpu = raw["machine_info"], raw["machine_info"].get("cpu", {})
    cores = f"{cpu.get('brand_raw', machine['processor'])}, {cpu.get('count', '?')} cores"
    return Records(
        tuple(records), f"{cores}; {machine['system']}, Python {machine['python_version']}; {raw['datetime'][:10]}"
    )
