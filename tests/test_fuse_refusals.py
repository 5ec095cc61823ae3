"""`fusionkit.fuse`: bad input gives one line with the place, the problem and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuse_data import FAST, HAADF, MAPS, SHAPE, STACK, hyperspy, signal

import fusionkit as fk
from fusionkit.data.counts.kind import guess_note
from fusionkit.notebook.inputs import in_python

REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "haadf is a number": ({"haadf": 1}, "haadf: array 'haadf' of fusionkit.fuse is not 2-D"),
    "haadf is a stack": ({"haadf": STACK}, "is not 2-D"),
    "no file": ({"haadf": "nothing.npz"}, "haadf: there is no file 'nothing.npz'"),
    "not finite": ({"haadf": np.where(HAADF.max() == HAADF, np.nan, HAADF)}, "leave NaN out with mask='nan'"),
    "infinite": ({"haadf": np.where(HAADF.max() == HAADF, -np.inf, HAADF)}, "haadf' of fusionkit.fuse has 1 infinite"),
    "infinite and masked": (
        {"haadf": np.where(HAADF.max() == HAADF, np.inf, HAADF), "mask": "nan"},
        "; replace infinite values by NaN",
    ),
    "constant": ({"haadf": np.ones(SHAPE), "normalize": "minmax"}, "use normalize='max' or none"),
    "another shape": ({"haadf": HAADF[1:]}, "has shape (28, 32), but 'haadf' has (27, 32)"),
    "ragged": ({"maps": {"Co": [[1, 2], [3]]}}, "maps.Co: is no array"),
    "maps is a number": ({"maps": 1}, "maps: is of the type int"),
    "no maps": ({"maps": {}}, "maps: is empty"),
    "no list": ({"maps": []}, "maps: is of the type list"),
    "no element": ({"maps": {"Xx": MAPS["Co"]}}, "maps.Xx: there is no element 'Xx'"),
    "no names": ({"maps": STACK}, "elements: is missing"),
    "too few names": ({"maps": STACK, "elements": ["Co"]}, "elements: names 1 elements for 3 maps"),
    "twice": ({"maps": STACK, "elements": ["Co", "O", "O"]}, "elements: there are two of O"),
    "names twice": ({"elements": ["Co", "S", "O"]}, "elements: is given beside maps that have names"),
    "a text of names": ({"elements": "Co"}, "elements: is the text 'Co'"),
    "z is no word": ({"z": "rel"}, "z: is 'rel'; write relative"),
    "z is a number": ({"z": 3}, "z: is 3; write relative"),
    "z lacks one": ({"z": {"Co": 1}}, "z: has no value for S, O"),
    "gamma": ({"gamma": -1}, "gamma: must be a number > 0"),
    "tv": ({"tv": "x"}, "tv: must be a number >= 0"),
    "no such solver": ({"solver": "adm"}, "solver.type: there is no solver 'adm'; did you mean 'admm'?"),
    "solver is a number": ({"solver": 3}, "solver.type: "),
    "solver without type": ({"solver": {"tolerance": 1.0}}, "solver.type: is missing"),
    "option": ({"solver": {"type": "admm", "tolerence": 1.0}}, "solver.tolerence"),
    "terms is a text": ({"terms": "tv"}, "terms: is no list"),
    "no terms": ({"terms": []}, "terms: is no list"),
    "a term is a number": ({"terms": [3]}, "terms[0]: is 3"),
    "knob and terms": ({"terms": ["haadf"], "gamma": 1.6}, "gamma: is given beside terms"),
    "engine": ({"engine": "gpu"}, "engine: is 'gpu'; write 'numpy' or 'numba' or 'cupy' or 'auto'"),
    "precision": ({"precision": "half"}, "precision: is 'half'"),
    "normalize": ({"normalize": "z"}, "normalize: is 'z'"),
    "a solver that cannot": ({"terms": ["tv"], "solver": "schwartz2022"}, "schwartz2022"),
    "weights of a config": ({"terms": [{"type": "tv", "weight": "much"}]}, "terms[0].weight: must be a number"),
    "init": ({"init": "nothing.h5"}, "nothing.h5: there is no such file"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal(name: str) -> None:
    options, said = REFUSALS[name]
    with pytest.raises(fk.UserError) as caught:
        fk.fuse(**{"haadf": HAADF, "maps": MAPS, **options})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_machine_with_too_little_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusionkit.machine.available", lambda: 1000)
    with pytest.raises(fk.UserError, match="maps: the run needs about"):
        fk.fuse(HAADF, MAPS)


def test_messages_name_no_keys_of_a_config() -> None:
    texts = [guess_note("rates"), "use precision: double or solver: auto", "one of those: data.maps_are makes counts"]
    assert [in_python(text) for text in texts] == [
        "The maps are rates, counts times a factor; with weight='auto' they become counts again.",
        "use precision='double' or solver: auto",
        "one of those: weight='auto' makes counts",
    ]


def titled(*titles: str) -> list[Any]:
    return [signal(MAPS["Co"], title) for title in titles]


SIGNAL_REFUSALS: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "nobody's": (lambda: titled("Co", "first"), {}, "maps[1]: the signal 'first' does not name its element"),
    "an array of nobody": (lambda: [*titled("Co"), MAPS["O"]], {}, "elements: is missing"),
    "another": (lambda: titled("Co", "O"), {"elements": ["Co", "S"]}, "elements: names S for maps[1], which says that"),
    "others' order": (lambda: titled("Co", "?", "S"), {"elements": ["S", "O", "Co"]}, "elements: names S for maps[0]"),
    "twice": (lambda: titled("Co", "Co"), {"elements": ["Co", "O"]}, "it is the map of Co; correct the order"),
    "stack without elements": (lambda: signal(STACK), {}, "is a stack of 3 maps for 0 elements (none)"),
    "elements of others": (lambda: signal(STACK, "", Sample={"elements": ["Co"]}), {}, "3 maps for 1 elements (Co)"),
    "spectra": (
        lambda: signal(STACK).as_signal1D(0),
        {},
        "maps: is a signal of spectra, of shape (28, 32, 3); save it",
    ),
    "spectra of one": (lambda: {"Co": signal(STACK).as_signal1D(0)}, {}, "maps.Co: is a signal of spectra"),
    "a transposed stack": (
        lambda: signal(STACK).transpose(signal_axes=3),
        {},
        "of 0 navigation and 3 signal dimensions",
    ),
}


@pytest.mark.parametrize("name", SIGNAL_REFUSALS)
def test_signal_refusal(name: str) -> None:
    hyperspy()
    maps, options, said = SIGNAL_REFUSALS[name]
    with pytest.raises(fk.UserError) as caught:
        fk.fuse(HAADF, maps(), **options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_spectra_are_no_image() -> None:
    hyperspy()
    with pytest.raises(fk.UserError, match=r"haadf: is a signal of spectra, of shape \(28, 32, 3\); give an image"):
        fk.fuse(signal(STACK).as_signal1D(0), MAPS)


def test_a_file_that_does_not_say_whose_map_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", first=MAPS["Co"])
    with pytest.raises(fk.UserError, match=r"maps\[0\]: '.*a.npz' does not name its element"):
        fk.fuse(HAADF, [tmp_path / "a.npz"])


def test_a_lazy_array_with_an_empty_mask_is_taken_whole() -> None:
    dask = pytest.importorskip("dask.array", reason="the extra 'io' is not installed")
    open_to_all = dask.ma.masked_array(dask.from_array(np.asarray(MAPS["Co"], np.float64)), np.zeros(SHAPE, bool))
    found = fk.fuse(HAADF, {**MAPS, "Co": open_to_all}, **FAST).given.arrays["maps"]
    np.testing.assert_array_equal(found[0], MAPS["Co"])
