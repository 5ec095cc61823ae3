"""One config of ``inspect`` for 20 recordings: ``python -m benchmarks.batch [--seed 0] [--specimen cathode]``.

The recordings differ in dose, detector, contrast of the image, specimen and file format; the config comes from the
first. Each row names the elements whose fused total is off by more than 2 % and two errors of the net counts, and those
whose error exceeds that of the raw map or of the Gaussian filter of least error.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.accuracy.filters import WIDTHS
from benchmarks.accuracy.specimens import INDEPENDENT, Case, Recording, case
from fusionkit.arrays import Array
from fusionkit.cli import main as fusionkit

SIZES = {"lattice": 80}  # pixels along an axis; others have 64
# the elements of a batch are the same; only the contrast of the image differs
GROUPS: dict[str, tuple[str, ...]] = {
    "nanoparticle": ("nanoparticle",),
    "lattice": ("lattice",),
    "films": ("films",),
    **{name.rpartition("_")[0]: () for name in INDEPENDENT},
}


def specimens(group: str) -> list[str]:
    """The specimens of a batch, all of which the model describes."""
    return [*GROUPS[group], *(f"{group}_{variant}" for variant in ("model", "physics") if not GROUPS[group])]


def recordings(group: str, count: int, seed: int) -> Iterator[tuple[str, Case]]:
    """Recordings of one kind of specimen, by name."""
    random, kinds = np.random.default_rng([20, seed]), specimens(group)
    for index in range(count):
        dose = float(np.exp(random.uniform(np.log(2.0), np.log(500.0))))
        one = case(Recording(kinds[index % len(kinds)], SIZES.get(group, 64), dose, 100 * seed + index))
        gain, offset = np.exp(random.uniform(-4.0, 8.0)), random.uniform(-0.5, 5.0)
        image = one.dataset.arrays["haadf"]
        arrays = {**one.dataset.arrays, "haadf": gain * (image + offset * np.ptp(image))}
        dataset = replace(one.dataset, arrays=arrays)
        yield f"{index:02d} {kinds[index % len(kinds)]} dose {dose:.3g}", replace(one, dataset=dataset)


def write(path: Path, one: Case) -> Path:
    """The recording as ``.npz`` or ``.h5``."""
    maps = dict(zip(one.dataset.elements, one.dataset.arrays["maps"], strict=True))
    if path.suffix == ".npz":
        np.savez(path, HAADF=one.dataset.arrays["haadf"], **maps)
        return path
    with h5py.File(path, "w") as file:
        for name, array in {"HAADF": one.dataset.arrays["haadf"], **maps}.items():
            file[name] = array
    return path


def faults(one: Case, fused: Array, counts: dict[str, dict[str, float]]) -> Iterator[str]:
    """The elements that are off by more than the limits."""
    assert one.dataset.truth is not None
    rows = zip(one.dataset.elements, one.dataset.arrays["maps"], fused, one.dataset.truth, strict=True)
    for element, raw, x, truth in rows:
        net, error = counts[element]["net"], counts[element]["error"]
        if abs(counts[element]["fused"] - net) > 0.02 * net + 2.0 * error:
            yield f"{element} total {counts[element]['fused'] / net:.3f}"
        best = min(np.linalg.norm(gaussian_filter(raw, width, mode="nearest") - truth) for width in WIDTHS)
        off = float(np.linalg.norm(x - truth))
        for name, limit in (("raw", float(np.linalg.norm(raw - truth))), ("Gaussian", float(best))):
            if off > limit:
                yield f"{element} {off / limit:.2f} x {name}"


def score(group: str, count: int, seed: int, out: Path) -> tuple[int, int]:
    """Run the batch in a folder; the number of recordings without a fault, and of all."""
    cases, paths = list(recordings(group, count, seed)), list[Path]()
    for index, (_, one) in enumerate(cases):
        paths.append(write(out / f"r{index:02d}{('.npz', '.h5')[index % 2]}", one))
    config, runs = out / "config.yaml", out / "runs"
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        fusionkit(["inspect", str(paths[0]), "--write-config", str(config)])
        fusionkit(["batch", str(config), *map(str, paths), "--output", str(runs), "--workers", "1"])
    sound = 0
    for path, (name, one) in zip(paths, cases, strict=True):
        folder = next(runs.glob(f"*{path.stem}*"))
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        with h5py.File(folder / "result.h5") as file:
            found = list(faults(one, np.asarray(file["maps"], np.float64), summary["counts"]))
        sound += not found
        print(f"{name}: {summary['verdict']['level']}; {', '.join(found) or 'within the limits'}", flush=True)
    return sound, len(cases)


def main(arguments: Sequence[str] | None = None) -> None:
    """Score a batch of each specimen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--specimen", choices=GROUPS, action="append", help="all where not given")
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    for group in chosen.specimen or GROUPS:
        with TemporaryDirectory() as folder:
            sound, count = score(group, chosen.files, chosen.seed, Path(folder))
        print(f"{group}: {sound} of {count} recordings within the limits", flush=True)


if __name__ == "__main__":
    main()
