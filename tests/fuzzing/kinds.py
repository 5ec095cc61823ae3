"""The kinds of inputs: what a valid one looks like, how it is mutated, and what reads it."""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
import yaml
from microscope_files import FORMATS

from fusionkit import read_result
from fusionkit.cli import main
from fuzzing.mutate import mutate_bytes, mutate_bz2, mutate_config, mutate_hdf5, mutate_text, mutate_zip

Mutate = Callable[[bytes, random.Random], bytes]
TERMS: list[dict[str, Any]] = [
    {"type": "haadf", "weight": 1e-3, "gamma": 1.7, "z": "relative"},
    {"type": "poisson", "weight": 1.0, "epsilon": 0.1},
    {"type": "tv", "weight": 0.3},
    {"type": "nonnegative"},
]
OTHERS: list[dict[str, Any]] = [
    {"type": "tgv", "weight": 0.3, "ratio": 1.2, "coupling": "joint"},
    {"type": "l1", "weight": 0.1},
    {"type": "l2", "operator": "laplacian", "weight": 0.1},
    {"type": "huber_tv", "weight": 0.3, "smoothing": 0.1},
    {"type": "directional_tv", "weight": 0.3},
    {"type": "vectorial_tv", "weight": 0.3},
    {"type": "box", "lower": 0, "upper": 50},
    {"type": "least_squares", "data": "maps", "weight": 1.0},
    {"type": "poisson", "data": "maps", "forward": {"type": "blur", "sigma": 1.5}, "epsilon": 0.1},
    {"type": "penalty", "functional": {"type": "l21"}, "operator": {"type": "gradient"}, "weight": 0.3},
    {"type": "pyproximal", "operator": "L1", "arguments": {"sigma": 0.1}},
]
STEPS = [{"step": "crop", "rows": [2, 14], "columns": [2, 14]}, {"step": "bin", "factor": 2}, {"step": "outliers"}]
MORE: list[dict[str, Any]] = [
    {"uncertainty": {"method": "curvature"}},
    {"uncertainty": {"method": "bootstrap", "samples": 5}},
    {"composition": {"k_factors": {"Co": 1.0, "O": 1.9}, "regions": {"core": {"rows": [5, 8]}}}},
    {"checkpoint": {"every": 1.0}},
    {"init": "maps"},
    {"precision": "double"},
]
SOLVERS = ["chambolle_pock", "condat_vu", "admm", "linearized_admm", "proximal_gradient", "lbfgsb", "davis_yin"]
QUIET = {"figures": False, "report": False}


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Parameters
    ----------
    seeds : writes valid files into a folder and returns those to mutate, relative to it.
    use : reads a mutated file in a copy of the folder; returns the command lines to run there.
    mutate : the changes of the bytes, of which one is chosen.
    """

    seeds: Callable[[Path], list[str]]
    use: Callable[[str], Iterable[list[str]]]
    mutate: tuple[Mutate, ...] = (mutate_bytes,)


def arrays() -> dict[str, np.ndarray]:
    chance = np.random.default_rng(5)
    maps = {name: chance.poisson(6, (16, 14)).astype(np.uint16) for name in ("Co", "O")}
    return {"HAADF": chance.normal(100, 5, (16, 14)), **maps}


def config(path: str = "d.npz", **more: Any) -> dict[str, Any]:
    data = {"path": path, "haadf": "HAADF", "maps": {"Co": "Co", "O": "O"}}
    return {
        "version": 1,
        "data": data,
        "terms": TERMS,
        "solver": {"type": "chambolle_pock", "max_iterations": 6},
        "engine": "numpy",
        "output": QUIET,
        **more,
    }


def write_arrays(folder: Path) -> None:
    np.savez(folder / "d.npz", **arrays(), pixel_size=0.1, units="nm")  # type: ignore[arg-type]
    with h5py.File(folder / "d.h5", "w") as file:
        for name, array in arrays().items():
            file.create_dataset(name, data=array, chunks=(8, 7), compression="gzip")
        file.attrs["pixel_size"] = 0.1
    for name, array in arrays().items():
        tifffile.imwrite(folder / f"{name}.tif", array.astype(np.float32))


def _configs(folder: Path) -> list[str]:
    write_arrays(folder)
    return ["d.npz"]  # never mutated: `_new_config` replaces its text


def random_config(chance: random.Random) -> dict[str, Any]:
    """A valid configuration, mutated."""
    made = config(**(chance.choice(MORE) if chance.random() < 0.4 else {}))
    if chance.random() < 0.4:
        phantom: Any = {"preset": chance.choice(["cos_nanoparticle", "films"]), "size": 16, "seed": 0}
        made["data"] = {"phantom": phantom}
    if chance.random() < 0.5:
        terms = [*TERMS[:2], chance.choice(OTHERS) | {"name": "other"}, TERMS[3]]
        made["terms"] = terms if chance.random() < 0.7 else [*terms, chance.choice(OTHERS)]
    if chance.random() < 0.5:
        made["solver"] = {"type": chance.choice(SOLVERS), "max_iterations": 4}
    if chance.random() < 0.2:
        made["data"] |= {"prepare": [chance.choice(STEPS)]}
    return mutate_config(made, chance)


def _new_config(data: bytes, chance: random.Random) -> bytes:
    return yaml.safe_dump(random_config(chance), sort_keys=False, allow_unicode=True).encode(errors="replace")


def _run(name: str) -> Iterable[list[str]]:
    yield ["run", name, "--output", "out", "--quiet"]


def _data(name: str, many: bool = False) -> Callable[[Path], list[str]]:
    def seeds(folder: Path) -> list[str]:
        write_arrays(folder)
        made = config(name)
        if many:
            made["data"] = {
                "haadf": {"path": "HAADF.tif", "signal": "HAADF"},
                "maps": {element: {"path": f"{element}.tif", "signal": element} for element in ("Co", "O")},
            }
        (folder / "c.yaml").write_text(yaml.safe_dump(made))
        return [name]

    return seeds


def _read(name: str) -> Iterable[list[str]]:
    yield ["inspect", name]
    yield from _run("c.yaml")


def _results(folder: Path) -> list[str]:
    write_arrays(folder)
    for name in ("one", "two"):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config()))
        quiet(["run", f"{name}.yaml", "--output", name, "--quiet"], folder)
    (folder / "init.yaml").write_text(yaml.safe_dump(config(init="one/result.h5")))
    return ["one/result.h5", "one/summary.json", "one/config.resolved.yaml"]


def _use_result(name: str) -> Iterable[list[str]]:
    yield ["compare", "one", "two", "--output", "page.html"]
    yield from _run("init.yaml")
    if name.endswith(".yaml"):
        yield from _run(name)


def _sweep(folder: Path) -> list[str]:
    write_arrays(folder)
    (folder / "c.yaml").write_text(yaml.safe_dump(config()))
    quiet(SWEEP, folder)
    return ["sweep/table.csv", "sweep/sweep.yaml"]


SWEEP = ["sweep", "c.yaml", "--over", "terms.tv.weight=0.1,0.2", "--output", "sweep", "--workers", "1", "--quiet"]


def _checkpoints(folder: Path) -> list[str]:
    from fusionkit.checkpoint.folder import Checkpoint

    write_arrays(folder)
    (folder / "c.yaml").write_text(yaml.safe_dump(config()))
    due, remove = Checkpoint.due, Checkpoint.remove
    Checkpoint.due, Checkpoint.remove = lambda self, size: True, lambda self: None  # type: ignore[method-assign]
    try:
        quiet(["run", "c.yaml", "--output", "out", "--quiet"], folder)
    finally:
        Checkpoint.due, Checkpoint.remove = due, remove  # type: ignore[method-assign]
    shutil.rmtree(folder / "out")
    return [".out.checkpoint/solve.zip"]


def _microscope(format_: str) -> Callable[[Path], list[str]]:
    def seeds(folder: Path) -> list[str]:
        for index, write in enumerate(FORMATS[format_]):
            write(folder / f"{index}.{format_}")
        return [str(file.relative_to(folder)) for file in sorted(folder.rglob("*")) if file.is_file()]

    return seeds


def _inspect(format_: str) -> Callable[[str], Iterable[list[str]]]:
    """Commands that read a file if it, or a file in it or beside it, is mutated, and run the config made for it."""

    def use(name: str) -> Iterable[list[str]]:
        path = f"{name[0]}.{format_}"  # beside a .raw or .ser, or the folder of a .zspy
        yield ["inspect", path, "--write-config", "p.yaml"]
        yield [*RUN_PROPOSED, "--set", "solver.max_iterations=3", "--set", "engine=numpy"]

    return use


RUN_PROPOSED = ["run", "p.yaml", "--output", "out", "--quiet", "--set", "output={figures: false, report: false}"]
HDF5 = (mutate_bytes, mutate_hdf5, mutate_hdf5)
MUTATE: dict[str, tuple[Mutate, ...]] = {
    **dict.fromkeys(("hspy", "emd", "nxs", "h5oina"), HDF5),
    **dict.fromkeys(("ndata", "ndata1", "prz"), (mutate_zip,)),
    **dict.fromkeys(("rpl", "emi", "txt", "csv", "msa"), (mutate_text,)),
    "zspy": (mutate_text,),
    "elid": (mutate_bytes, mutate_bz2, mutate_bz2),
    "bcf": (mutate_bytes, mutate_text),
}
KINDS: dict[str, Kind] = {
    "config": Kind(_configs, lambda name: _run(name), (_new_config,)),
    "npz": Kind(_data("d.npz"), _read, (mutate_zip,)),
    "hdf5": Kind(_data("d.h5"), _read, HDF5),
    "tiff": Kind(_data("HAADF.tif", many=True), _read),
    "result": Kind(_results, _use_result, (mutate_text, mutate_hdf5)),
    "sweep": Kind(_sweep, lambda name: [SWEEP], (mutate_text,)),
    "checkpoint": Kind(_checkpoints, lambda name: _run("c.yaml"), (mutate_zip,)),
    **{one: Kind(_microscope(one), _inspect(one), MUTATE.get(one, (mutate_bytes,))) for one in FORMATS},
}


def quiet(command: list[str], folder: Path) -> tuple[int, str]:
    """Run a command line in a folder; its exit status and what it printed."""
    text = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stderr(text), contextlib.redirect_stdout(io.StringIO()):
        status = main([*command, "--debug"])
    return status, text.getvalue()


def fault(command: list[str], folder: Path) -> str:
    """What is wrong with the end of a command; empty if nothing is."""
    if command[0] == "run" and not (folder / command[1]).exists():
        return ""  # the command before this one refused to write it
    status, text = quiet(command, folder)
    if "Traceback" in text or "fault of fusionkit" in text or status not in (0, 2, 3, 4):
        return f"exit status {status}: {text[-3000:]}"
    if status == 2 and not text.strip():
        return "exit status 2 without a word"
    if status == 0 and command[0] == "run":
        x, summary = read_result(folder / "out").x, json.loads((folder / "out" / "summary.json").read_text("utf-8"))
        unusable = (summary.get("verdict") or {}).get("level") == "unusable"
        if not np.isfinite(x).all() and not unusable:
            return f"values that are not finite, and the verdict {summary.get('verdict')}"
    return ""
