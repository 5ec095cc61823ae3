"""Atomic numbers and weights by symbol."""

from __future__ import annotations

import pytest

from fusionkit.data.elements import atomic_number, atomic_weight
from fusionkit.errors import UserError


@pytest.mark.parametrize(
    ("symbol", "number"),
    [("H", 1), ("O", 8), ("S", 16), ("Sc", 21), ("Co", 27), ("Dy", 66), ("No", 102), ("N", 7), ("Y", 39), ("Og", 118)],
)
def test_atomic_number(symbol: str, number: int) -> None:
    assert atomic_number(symbol) == number


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("sc", "there is no element 'sc'; did you mean 'Sc'?"),
        ("CO", "did you mean 'Co'?"),
        ("no", "did you mean 'No'?"),
        ("Ti2", "did you mean 'Ti'?"),
        ("n", "did you mean 'N'?"),  # the neutron of the library is no element
        ("Xx", "use a chemical symbol"),
        ("Calcium", "did you mean 'Ca'?"),
        ("aluminium", "did you mean 'Al'?"),
        ("Ferrum", "use a chemical symbol"),  # not fermium
        ("", "use a chemical symbol"),
    ],
)
def test_unknown_element(symbol: str, words: str) -> None:
    with pytest.raises(UserError, match=r"^data\.maps: there is no element") as raised:
        atomic_number(symbol, "data.maps")
    assert words in str(raised.value)


@pytest.mark.parametrize(("symbol", "weight"), [("H", 1.008), ("O", 15.999), ("S", 32.06), ("Co", 58.933)])
def test_atomic_weight(symbol: str, weight: float) -> None:
    assert atomic_weight(symbol) == pytest.approx(weight, rel=1e-3)


def test_unknown_element_has_no_weight() -> None:
    with pytest.raises(UserError, match="did you mean 'Co'"):
        atomic_weight("co")
