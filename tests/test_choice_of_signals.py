"""What ``inspect`` takes from recordings: the image, and one map of each element; it warns of all that is doubtful."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusionkit.data.names import element_named
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.facts import Facts
from fusionkit.microscope.propose.sources import Choice, sources
from fusionkit.microscope.reader import MicroscopeRecording
from fusionkit.microscope.signals import ArrayValues, Axis, Signal

VALUES = np.random.default_rng(0).poisson(5.0, (6, 5)).astype(np.float64)


def recording(*titles: str, empty: bool = False) -> MicroscopeRecording:
    """Images of these titles, which readers number where they repeat."""
    signals: dict[str, Signal] = {}
    for title in titles:
        name = title if title not in signals else f"{title} 2"
        axes = tuple(Axis(axis, n, 1.0, 0.0, "nm", True) for axis, n in zip("yx", VALUES.shape, strict=True))
        values = VALUES * (not (empty and element_named(title)))
        signals[name] = Signal(name, Path("a.hspy"), ArrayValues(values), axes, Facts(title))
    return MicroscopeRecording(Path("a.hspy"), signals)


def chosen(*titles: str, **choice: Any) -> tuple[dict[str, Any], list[str]]:
    """The config's data, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FusionkitWarning)
        data = sources({Path("a.hspy"): recording(*titles)}, Path(), None, Choice(**choice))[0]
    return data, [str(one.message) for one in caught]


# titles of the images, the one that is taken, and the doubts
IMAGES: list[tuple[tuple[str, ...], str, tuple[str, ...]]] = [
    (("O", "Fe", "HAADF", "BF"), "HAADF", ()),
    (("BF", "O", "MAADF"), "MAADF", ()),
    (("O", "Fe", "O", "Fe", "BF"), "BF", ("further maps of its elements, O 2, Fe 2;", "'BF' is a bright-field image")),
    (("O", "Fe", "O", "HAADF"), "HAADF", ("further maps of its elements, O 2;",)),
    (("SE", "BSE", "O"), "BSE", ("nothing says that 'BSE' is a HAADF image",)),
    (("Inlens", "O"), "Inlens", ("'Inlens' shows secondary electrons",)),
    (("survey", "O"), "survey", ("nothing says that 'survey' is a HAADF image",)),
    (("Fe-EELS", "O-EELS", "HAADF"), "HAADF", ()),
]


@pytest.mark.parametrize(("titles", "image", "doubts"), IMAGES)
def test_the_image(titles: tuple[str, ...], image: str, doubts: tuple[str, ...]) -> None:
    data, said = chosen(*titles)
    assert data["haadf"]["signal"] == image
    elements = {element_named(title) for title in titles} - {None}
    assert {element: source["signal"] for element, source in data["maps"].items()} == {
        str(one): next(title for title in titles if element_named(title) == one) for one in elements
    }
    assert len(said) == len(doubts)
    assert all(re.search(doubt, one) for doubt, one in zip(doubts, said, strict=True))


def test_a_named_image_is_taken_at_its_name() -> None:
    assert chosen("O", "HAADF", "survey", image="survey")[1] == []
    assert "bright-field" in chosen("O", "HAADF", "BF", image="BF")[1][0]


def test_maps_alone_are_not_fused_with_one_of_them() -> None:
    with pytest.raises(UserError, match="holds no HAADF image"), pytest.warns(FusionkitWarning, match="further maps"):
        sources({Path("a.hspy"): recording("O", "Fe", "O", "Fe")}, Path(), None)


def test_losses_without_an_image_need_it_and_their_elements() -> None:
    axes = [Axis(name, 6, 1.0, 0.0, unit, unit == "nm") for name, unit in (("y", "nm"), ("x", "nm"), ("energy", "eV"))]
    facts = Facts("EELS", signal_type="EELS")
    losses = Signal("EELS", Path("a.hspy"), ArrayValues(np.ones((6, 6, 6))), tuple(axes), facts)
    said = r"no HAADF image and no .* elements; name both, for example fusionkit inspect IMAGE a.hspy --elements Fe,O"
    with pytest.raises(UserError, match=said):
        sources({Path("a.hspy"): MicroscopeRecording(Path("a.hspy"), {"EELS": losses})}, Path(), None)


def test_maps_without_counts_are_refused() -> None:
    with pytest.raises(UserError, match="the maps hold no counts"):
        sources({Path("a.hspy"): recording("HAADF", "O", empty=True)}, Path(), None)
