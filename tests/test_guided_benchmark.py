"""The specimens of docs/guided.md have their edges where stated, and its tables the measurements."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.guided import figures
from benchmarks.guided.misled import COUNTS, GAMMA, NOISE, SHIFT, Z, contrast, disc, recording


@pytest.mark.parametrize(
    ("case", "image_edge", "map_edge"), [("unmapped", 0.3, 0.0), ("blind", 0.0, 0.56), ("shifted", 0.3, 0.56)]
)
def test_edges_are_in_one_modality(case: str, image_edge: float, map_edge: float) -> None:
    dataset = recording(case)
    truth, image = dataset.truth, dataset.arrays["haadf"]
    assert truth is not None
    outside = np.full_like(image, np.sum((Z / Z.mean() * COUNTS) ** GAMMA))
    assert contrast(image[None], outside[None], disc())[0] == pytest.approx(image_edge, abs=NOISE / 10)
    moved = disc(SHIFT if case == "shifted" else 0.0)
    assert contrast(truth, truth, moved)[1] == pytest.approx(map_edge, abs=0.01)


def test_blind_maps_predict_the_image_without_its_noise() -> None:
    dataset = recording("blind")
    assert dataset.truth is not None
    predicted = np.sum(((Z / Z.mean())[:, None, None] * dataset.truth) ** GAMMA, axis=0)
    assert np.ptp(predicted) < 1e-9 * predicted.max()


def test_the_table_leaves_open_what_is_not_measured() -> None:
    row = {"phantom": "films", "size": 64, "dose": 20, "method": "tv", "auto": [0.1, 0.3], "best": [0.1, 0.1]}
    (line,) = (line for line in figures.table([row], 64).splitlines() if line.startswith("| tv"))
    assert [cell.strip() for cell in line.split("|")[1:-1]] == ["tv", *4 * ["–"], "0.2000 (0.1000)", *4 * ["–"]]
