"""Chemical elements by symbol: atomic number and atomic weight, from ``periodictable``."""

import difflib

import periodictable

from fusionkit.errors import UserError

_NUMBERS: dict[str, int] = {element.symbol: element.number for element in periodictable.elements if element.number > 0}
_BY_NAME = {element.name.lower(): element.symbol for element in periodictable.elements if element.number > 0}
_BY_NAME |= {symbol.lower(): symbol for symbol in _NUMBERS}
_ALIKE = 0.8  # least similarity of names, of which many end in -ium


def is_element(symbol: str) -> bool:
    """Whether this is the symbol of a chemical element, in the correct case."""
    return symbol in _NUMBERS


def atomic_number(symbol: str, where: str = "elements") -> int:
    """Atomic number Z of the element, a chemical symbol in the correct case (``Co``, not ``CO``).

    `UserError` if no element has this symbol; it suggests the nearest.
    """
    if symbol not in _NUMBERS:
        near = difflib.get_close_matches(symbol.lower(), _BY_NAME, n=1, cutoff=_ALIKE)
        remedy = f"did you mean '{_BY_NAME[near[0]]}'?" if near else "use a chemical symbol, such as 'Co'"
        raise UserError(where, f"there is no element '{symbol}'", remedy)
    return _NUMBERS[symbol]


def symbol_of(number: int) -> str:
    """The symbol of the element with this atomic number."""
    return str(periodictable.elements[number].symbol)


def atomic_weight(symbol: str, where: str = "elements") -> float:
    """Standard atomic weight of the element, in g/mol. `UserError` if no element has this symbol."""
    return float(periodictable.elements[atomic_number(symbol, where)].mass)
