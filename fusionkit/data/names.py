"""The meaning of array names in a recording: HAADF image, map of an element, image of a stack."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

from fusionkit.data.elements import is_element
from fusionkit.data.readers import RawArray, Recording
from fusionkit.errors import FusionkitWarning, UserError

# in the order of preference: HAADF, other dark fields, possible ones, anything else, and bright fields last
_KINDS = tuple(
    re.compile(kind, re.IGNORECASE) for kind in ("haadf", "dark|adf|(?<![a-z])df", "stem|image|bse|backscatter")
)
_BRIGHT = re.compile(r"bright|(?<![a-z])a?bf(?![a-z])", re.IGNORECASE)
_SURFACE = re.compile(r"secondary|in-?lens|(?<![a-z])(se\d?|etd|tld)(?![a-z])", re.IGNORECASE)  # secondary electrons
# an element with its line or technique, as microscopes label maps: ``Co Ka1``, ``SiK``, ``Ti Kα1,2``, ``Fe-EELS``
_LINE = r"(?:[ _-]+[KLM]|K|(?<=[a-z])[LM])(?:[abglαβγ]|alpha|beta)?\d?(?:[,_]\d)?(?: series)?"
_LABEL = re.compile(rf"([A-Z][a-z]?)(?:{_LINE}|[ _-]+(?:EELS|EDX|EDS|XEDS))?(?: \d+)?")  # the last: of several maps
_REMEDY = "write the config by hand, with data.maps"


@runtime_checkable
class NamesElements(Protocol):
    """A recording whose file states the element of a map, whatever its name."""

    def element(self, name: str) -> str | None:
        """The element of the map ``name``; None if the file does not state it."""
        ...


def image_rank(name: str) -> int:
    """How likely a name is that of the HAADF image: 0 for HAADF itself, more for less likely names."""
    if _BRIGHT.search(name) or _SURFACE.search(name):
        return len(_KINDS) + 1
    return next((rank for rank, kind in enumerate(_KINDS) if kind.search(name)), len(_KINDS))


def image_doubt(name: str) -> str | None:
    """Why an image of that name may not suit the model of a HAADF image; None for dark fields."""
    if _SURFACE.search(name):
        return f"'{name}' shows secondary electrons, which tell the surface and not the elements"
    if _BRIGHT.search(name):
        return f"'{name}' is a bright-field image, in which heavy elements are dark"
    return None if image_rank(name) < 2 else f"nothing says that '{name}' is a HAADF image"


def is_image(name: str) -> bool:
    """Whether the name is that of an electron image, dark or bright field."""
    return image_rank(name) != len(_KINDS)


def element_named(name: str) -> str | None:
    """The element in the last part of an array's name, alone or with a line (``Co Ka1``); None if there is none."""
    label = _LABEL.fullmatch(name.rsplit("/", 1)[-1].strip())
    return label[1] if label is not None and is_element(label[1]) else None


def element_in(recording: Recording, name: str) -> str | None:
    """The element of a map, from the file or from its name; None if it is unknown."""
    stated = recording.element(name) if isinstance(recording, NamesElements) else None
    return stated or element_named(name)


def map_names(elements: Mapping[str, str | None], source: str) -> dict[str, str]:
    """The name of each element's map; of several, the one in the fewest groups (``Co``, not ``truth/Co``).

    Further ones that a reader numbered (``Co 2``) give a warning. `UserError` if two arrays could be the map of an
    element.
    """
    result: dict[str, str] = {}
    names, further = list(elements), list[str]()
    for name in sorted(names, key=_depth):
        element = elements[name]
        if element is None:
            continue
        former = result.setdefault(element, name)
        if re.fullmatch(rf"{re.escape(former)} \d+", name):  # as readers number signals of one name
            further.append(name)
        elif former != name and _depth(former) == _depth(name):
            raise UserError(source, f"'{former}' and '{name}' could both be the map of {element}", _REMEDY)
    if further:
        message = f"{source} holds further maps of its elements, {', '.join(further)}; the first of each is used"
        warnings.warn(f"{message}: a config names others in data.maps", FusionkitWarning, stacklevel=2)
    return dict(sorted(result.items(), key=lambda pair: names.index(pair[1])))


def _depth(name: str) -> int:
    return name.count("/")


def shape_of(recording: Recording, name: str) -> tuple[int, ...] | None:
    """Shape of the array ``name``, or of an image of a stack (``maps/0``); None if there is neither."""
    own = recording.shape(name)
    if own is not None:
        return own
    place = _place(recording, name)
    shape = None if place is None else recording.shape(place[0])
    return None if shape is None else shape[1:]


def read_named(recording: Recording, name: str) -> RawArray:
    """The array ``name``, or an image of a stack (``maps/0``), one that has a `shape_of`."""
    place = _place(recording, name) if recording.shape(name) is None else None
    if place is None:
        return recording.read(name)
    stack, index = place
    raw = recording.read(stack)
    return replace(raw, values=raw.values[index])


def _place(recording: Recording, name: str) -> tuple[str, int] | None:
    """The stack and the index in ``name``; None if it is not of that form."""
    stack, _, number = name.rpartition("/")
    shape = recording.shape(stack) if stack else None
    if shape is None or len(shape) != 3 or not (number.isascii() and number.isdigit()):
        return None
    return (stack, int(number)) if int(number) < shape[0] else None
