"""Chemical elements by symbol: atomic number and atomic weight, from ``periodictable``."""

import periodictable

from fusionkit.errors import UserError
from fusionkit.registry import suggestion

_NUMBERS: dict[str, int] = {element.symbol: element.number for element in periodictable.elements if element.number > 0}
_BY_LOWER = {symbol.lower(): symbol for symbol in _NUMBERS}


def is_element(symbol: str) -> bool:
    """Whether this is the symbol of a chemical element, in the correct case."""
    return symbol in _NUMBERS


def atomic_number(symbol: str, where: str = "elements") -> int:
    """Atomic number Z of the element, a chemical symbol in the correct case (``Co``, not ``CO``).

    `UserError` if no element has this symbol; it suggests the nearest.
    """
    if symbol not in _NUMBERS:
        # usually the case is wrong; difflib would prefer another symbol in the same case
        same = _BY_LOWER.get(symbol.lower())
        remedy = f"did you mean '{same}'?" if same else _nearest(symbol)
        raise UserError(where, f"there is no element '{symbol}'", remedy)
    return _NUMBERS[symbol]


def symbol_of(number: int) -> str:
    """The symbol of the element with this atomic number."""
    return str(periodictable.elements[number].symbol)


def atomic_weight(symbol: str, where: str = "elements") -> float:
    """Standard atomic weight of the element, in g/mol. `UserError` if no element has this symbol."""
    return float(periodictable.elements[atomic_number(symbol, where)].mass)


def _nearest(symbol: str) -> str:
    near = suggestion(symbol.capitalize(), _NUMBERS)
    return near if near.startswith("did you mean") else "use a chemical symbol, such as 'Co'"
