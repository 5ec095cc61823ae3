"""YAML in and out: the scalars of YAML 1.2, errors with line and column, and a round trip to the last bit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionkit.config import yaml as yamlio
from fusionkit.errors import UserError

SCALARS = [
    ("1e-3", 0.001),
    ("1E-3", 0.001),
    ("-1.5e+3", -1500.0),
    (".5", 0.5),
    ("1.", 1.0),
    ("-7", -7),
    ("010", 10),
    ("0.1", 0.1),
    (".inf", math.inf),
    ("-.inf", -math.inf),
    ("true", True),
    ("False", False),
    ("No", "No"),
    ("no", "no"),
    ("Y", "Y"),
    ("N", "N"),
    ("On", "On"),
    ("off", "off"),
    ("yes", "yes"),
    ("1:30", "1:30"),
    ("1_000", "1_000"),
    ("2024-01-01", "2024-01-01"),
    ("~", None),
    ("null", None),
    ("'1e-3'", "1e-3"),
    ("nan", "nan"),
    ("9" * 5000, math.inf),
]


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text[:12] for text, _ in SCALARS])
def test_scalar(text: str, value: Any) -> None:
    actual = yamlio.parse(f"key: {text}", "F.yaml")["key"]
    assert actual == value
    assert type(actual) is type(value)


def test_elements_that_look_like_booleans_stay_text_as_keys_and_values() -> None:
    assert yamlio.parse("maps: {No: No, Y: Y, N: N}", "F.yaml") == {"maps": {"No": "No", "Y": "Y", "N": "N"}}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
BROKEN = [
    ("duplicate key", "a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' is already in line 1; remove one"),
    ("duplicate inner key", "t: {w: 1, w: 2}", "line 1, column 11: the key 'w' is already in line 1"),
    ("tab", "a:\n\t- b", "line 2, column 1: found character '\\t' that cannot start any token; use spaces, not tabs"),
    ("open bracket", "a: [1,", "line 1, column 7: "),
    ("open quote", "a: 'b", "line 1, column 6: "),
    ("indentation", "a: 1\n b: 2", "line 2, column 3: mapping values are not allowed here; check indentation"),
    ("number as key", "a:\n  1: b", "line 2, column 3: the key 1 is not text; write it in quotes: '1'"),
    ("boolean as key", "true: b", "the key true is not text"),
    ("list as key", "? [a]\n: b", "line 1, column 3: a key is a list or a mapping"),
    (
        "python tag",
        "a: !!python/object/apply:os.system [ls]",
        "column 4: the tag '!!python/object/apply:os.system'",
    ),
    ("python name", "a: !!python/name:os.system", "is not allowed; write a plain value"),
    ("own tag", "!foo a: b", "line 1, column 1: the tag '!foo' is not allowed"),
    ("recursive alias", "a: &x [*x]", "line 1, column 8: the alias *x refers to nothing before it"),
    ("unknown alias", "a: *b", "line 1, column 4: the alias *b refers to nothing before it"),
    ("deep nesting", "[" * 5000, "nested deeper than 32 levels"),
    ("deep mappings", "".join(" " * i + f"k{i}:\n" for i in range(100)), "nested deeper than 32 levels"),
    ("alias bomb", BOMB, "values once aliases are expanded"),
    ("control character", "a: 1\nb: \x07", "line 2, column 4: a control character"),
    ("two documents", "a: 1\n---\nb: 2", "line 2, column 1: a second document begins; remove the '---'"),
    ("reserved character", "a: @b", "line 1, column 4: found character '@'"),
]


@pytest.mark.parametrize(("text", "said"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_broken_text_is_one_line_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        yamlio.parse(text, "F.yaml")
    line = str(caught.value)
    assert line.startswith("F.yaml: line ")
    assert said in line
    assert "\n" not in line


FILES = [
    ("empty", b"", "is empty; write at least 'version', 'data' and 'terms'"),
    ("comments only", b"# nothing\n", "is empty"),
    ("list", b"- a\n", "holds a list, not a mapping; a config is a mapping"),
    ("text", b"hello\n", "holds a text, not a mapping"),
    ("number", b"3\n", "holds a number, not a mapping"),
    ("binary", b"PK\x03\x04\xff\xfe\x00\x80", "is not a text file; give a YAML file in UTF-8"),
    ("zeros", bytes(100), "a control character"),
    ("large", b"# " + b"x" * yamlio.LARGEST_FILE, "has more than 4 MiB; give a YAML file, not the data"),
]


@pytest.mark.parametrize(("content", "said"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_broken_file_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "F.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        yamlio.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder; name a YAML file in it"):
        yamlio.read(tmp_path)
    with pytest.raises(UserError, match="there is no such file"):
        yamlio.read(tmp_path / "none.yaml")


def test_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "F.yaml"
    path.write_text("version: 1\n", encoding="utf-8-sig")
    assert yamlio.read(path) == {"version": 1}


def test_shared_values_below_the_limit_are_expanded() -> None:
    assert yamlio.parse("a: &x {w: 1}\nb: *x", "F.yaml") == {"a": {"w": 1}, "b": {"w": 1}}


WORDS = ["No", "Y", "n", "on", "true", "1e-3", "010", "1:30", "~", "", " a", "#", "a: b", "0x1F", ".inf", "=", "<<"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
)
KEYS = st.sampled_from(WORDS) | st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_dump_round_trips(mapping: dict[str, Any]) -> None:
    actual = yamlio.parse(yamlio.dump(mapping), "F.yaml")
    assert actual == mapping
    assert repr(actual) == repr(mapping)  # the types too, and the order of keys


def test_dump_quotes_what_other_readers_take_for_booleans() -> None:
    assert yamlio.dump({"maps": {"No": "Y"}}) == "maps:\n  'No': 'Y'\n"
