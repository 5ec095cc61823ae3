"""A small recording, as arrays and as HyperSpy's signals, for the tests of `fusionkit.fuse`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.options import parse

SPEC = {"phantom": {"preset": "cos_nanoparticle", "size": 32, "seed": 0}}
DATA = load(parse(DataOptions, SPEC, "data"), Path())
HAADF, MAPS = DATA.arrays["haadf"][:28], {e: m[:28] for e, m in zip(DATA.elements, DATA.arrays["maps"], strict=True)}
STACK = np.stack([*MAPS.values()])
NAMES = ("Co", "S", "O")
SHAPE = (28, 32)
FAST: dict[str, Any] = {"tv": 0.1, "solver": {"type": "chambolle_pock", "max_iterations": 20}}


def hyperspy() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("exspy.signals", reason="the extra 'io' is not installed")
        return pytest.importorskip("hyperspy.api", reason="the extra 'io' is not installed")


def signal(values: np.ndarray, title: str = "", **metadata: Any) -> Any:
    """A signal with 0.4 nm pixels and an origin other than zero."""
    made = hyperspy().signals.Signal2D(values.copy())
    for axis, offset in zip(made.axes_manager.signal_axes, (3.0, 5.0), strict=True):
        axis.name, axis.scale, axis.units, axis.offset = "xy"[offset == 5.0], 0.4, "nm", offset
    made.metadata.General.title = title
    made.metadata.add_dictionary({"Acquisition_instrument": {"TEM": {"beam_energy": 200.0}}, **metadata})
    made.original_metadata.add_dictionary({"vendor": {"serial": 7}})
    return made
