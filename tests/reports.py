"""Runs for the tests of the report and of the comparison; on the NumPy engine, which needs no compilation."""

from __future__ import annotations

import base64
import dataclasses
import json
import zlib
from html.parser import HTMLParser
from typing import Any

import numpy as np

import fusionkit as fk
from fusionkit.reconstruct import Job
from fusionkit.results.record import RunRecord

NUMPY = "engine=numpy"


def solved(config: str, *overrides: str) -> RunRecord:
    """The record of a run of a config."""
    job = fk.prepare(config, (NUMPY, *overrides))
    return job.record(job.solve())


def large(iterations: int = 2) -> RunRecord:
    """A run of 1024 x 1024 pixels and four elements, with a ground truth and noise in every image."""
    job = fk.prepare("cos_nanoparticle", (NUMPY, "data.phantom.size=1024", f"solver.max_iterations={iterations}"))
    data, rng = job.dataset, np.random.default_rng(0)
    assert data.truth is not None
    truth = np.concatenate([data.truth, data.truth[:1] / 2.0])
    maps = np.concatenate([data.arrays["maps"], rng.poisson(truth[3:]).astype(np.float64)])
    arrays = {"haadf": data.arrays["haadf"], "maps": maps}
    data = dataclasses.replace(data, arrays=arrays, elements=(*data.elements, "Fe"), truth=truth)
    problem = fk.compose(data, job.loaded.raw["terms"], engine="numpy")
    start = fk.starting_point("auto", problem, data)
    job = Job(job.loaded, data, problem, job.solver, start, 0.0)
    return job.record(job.solve())


@dataclasses.dataclass(frozen=True)
class Read:
    """A parsed page: its content, its elements with their attributes, the texts of its scripts."""

    content: dict[str, Any]
    tags: list[tuple[str, dict[str, str]]]
    blobs: dict[int, str]

    def image(self, key: str) -> np.ndarray:
        """An image, decoded like in the page's script."""
        head = self.content["images"][key]
        planes = np.frombuffer(zlib.decompress(base64.b64decode(self.blobs[head["id"]])), np.uint8).astype(np.int64)
        low, high = planes.reshape(2, head["ny"], head["nx"])
        folded = low | (high << 8)
        codes = np.cumsum((folded >> 1) ^ -(folded & 1), axis=1)
        return np.where(codes == head["missing"], np.nan, head["low"] + head["step"] * codes)


def read(text: str) -> Read:
    """Take a page apart."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    content = next(inside for attributes, inside in parser.scripts if attributes.get("id") == "content")
    blobs = {
        int(attributes["id"].removeprefix("image-")): inside
        for attributes, inside in parser.scripts
        if attributes.get("id", "").startswith("image-")
    }
    return Read(json.loads(content), parser.tags, blobs)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self._open: dict[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        self._open = attributes if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.scripts.append((self._open, data))
            self._open = None
