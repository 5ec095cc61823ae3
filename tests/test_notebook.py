"""The notebook in docs/ runs from first to last cell in its own kernel, with the expected output."""

from __future__ import annotations

import base64
import warnings
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


def notebook() -> Any:
    nbformat = pytest.importorskip("nbformat", reason="the extra 'test' is not installed")
    return nbformat.read(PAGE, as_version=4)


def test_outputs_are_not_stored() -> None:
    for cell in notebook().cells:
        assert cell.cell_type != "code" or (cell.outputs == [] and cell.execution_count is None), cell.id


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder. Whether the figures look right is for the author; here they only have to exist."""
    pytest.importorskip("hyperspy", reason="the extra 'io' is not installed")
    pytest.importorskip("ipykernel", reason="the extra 'test' is not installed")
    page = notebook()
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    with warnings.catch_warnings():  # of Jupyter's own parts on each other
        warnings.simplefilter("ignore")
        from nbclient import NotebookClient

        NotebookClient(page, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in page.cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)
    for word in ("converged", "stationarity", "Signal2D, title: Co", "joint_nonlocal", "fitted", "nm", "optimality"):
        assert word in said, word
    pictures = [
        base64.b64decode(output.data["image/png"]) for output in outputs if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 3
    assert all(len(picture) > 10_000 for picture in pictures)
    errors = "".join(output.text for output in outputs if output.get("name") == "stderr").splitlines()
    # no warnings in the output; a search of more than five seconds shows its progress
    assert not [line for line in errors if not line.startswith("fusionkit: search of the weight of")]
    assert {path.name for path in tmp_path.iterdir()} == {"fused.hspy"}
