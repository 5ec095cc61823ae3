"""Vectorised power, exponential and logarithm against double precision."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionkit.engines.kernel_terms import power_parts
from fusionkit.terms import Array

REASON = "the compiled kernels need Numba"
fast_math: Any = pytest.importorskip("fusionkit.engines.cpu.maths", reason=REASON)
fast_jit: Any = pytest.importorskip("fusionkit.engines.cpu.compile", reason=REASON)

DTYPES = [np.float32, np.float64]
ERROR = {np.float32: 2.5e-7, np.float64: 4.5e-16}  # two units in the last place
EXPONENTS = [1e-4, 0.013, 0.4, 0.5, 0.6, 0.7, 1.0, 1.5, 1.6, 2.0, 3.0, 4.0]


@cache
def compiled(name: str) -> Any:
    """A compiled loop over an array with the function of that name."""
    function = getattr(fast_math, name)

    def loop(x: Any, out: Any) -> None:
        for k in range(x.size):
            out[k] = function(x[k])

    def power_loop(x: Any, out: Any, parts: Any) -> None:
        for k in range(x.size):
            out[k] = function(x[k], parts)

    return fast_jit.njit(**fast_jit.OPTIONS)(power_loop if name == "power" else loop)


def evaluate(name: str, x: Array, *arguments: Any) -> Array:
    out = np.empty_like(x)
    compiled(name)(x, out, *arguments)
    return out


def power(x: Array, y: float) -> Array:
    return evaluate("power", x, power_parts(y, x.dtype))


def positive(dtype: Any) -> Array:
    """The whole range with subnormal numbers, and many values around 1."""
    random = np.random.default_rng(1)
    return np.concatenate([np.exp(random.uniform(-103, 88.7, 50000)), random.uniform(0.5, 2.0, 50000)]).astype(dtype)


def normal(reference: Any, dtype: Any) -> Any:
    return (reference >= np.finfo(dtype).tiny) & (reference <= np.finfo(dtype).max)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", EXPONENTS)
def test_power_is_accurate_on_the_whole_range(y: float, dtype: Any) -> None:
    x = positive(dtype)
    reference = x.astype(np.float64) ** y
    ordinary = normal(reference, dtype)
    actual = power(x, y)
    np.testing.assert_allclose(actual[ordinary], reference[ordinary], rtol=ERROR[dtype])
    below = reference < np.finfo(dtype).tiny
    np.testing.assert_allclose(actual[below], reference[below], atol=2 * float(np.finfo(dtype).smallest_subnormal))
    assert np.all(np.isinf(actual[reference > 1.0001 * float(np.finfo(dtype).max)]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", EXPONENTS)
def test_power_of_special_values(y: float, dtype: Any) -> None:
    special = np.array([0.0, -0.0, -1.0, -np.inf, np.inf, 1.0, np.nan], dtype)
    np.testing.assert_array_equal(power(special, y), np.array([0, 0, 0, 0, np.inf, 1, np.nan], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_is_accurate_on_the_whole_range(dtype: Any) -> None:
    x = positive(dtype)
    np.testing.assert_allclose(evaluate("log", x), np.log(x.astype(np.float64)), rtol=ERROR[dtype])
    special = np.array([0.0, -0.0, -1.0, -np.inf, np.inf, 1.0, np.nan], dtype)
    expected = np.array([-np.inf, -np.inf, np.nan, np.nan, np.inf, 0, np.nan], dtype)
    np.testing.assert_array_equal(evaluate("log", special), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_is_accurate_on_the_whole_range(dtype: Any) -> None:
    x = np.linspace(-87.3, 88.7, 100001).astype(dtype)
    np.testing.assert_allclose(evaluate("exp", x), np.exp(x.astype(np.float64)), rtol=ERROR[dtype])
    special = np.array([0.0, -np.inf, np.inf, -1e5, 1e5, np.nan], dtype)
    np.testing.assert_array_equal(evaluate("exp", special), np.array([1, 0, np.inf, 0, np.inf, np.nan], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rough_log_is_close(dtype: Any) -> None:
    x = positive(dtype)
    x = x[x >= np.finfo(np.float32).tiny]
    np.testing.assert_allclose(evaluate("rough_log", x), np.log(x.astype(np.float64)), atol=0.06)


@settings(deadline=None, max_examples=25)
@given(
    x=st.floats(0.0, allow_nan=False, width=32),
    y=st.floats(1e-3, 4.0),
)
def test_power_is_never_nan(x: float, y: float) -> None:
    actual = float(power(np.array([x], np.float32), y)[0])
    assert not np.isnan(actual)
    with np.errstate(over="ignore"):
        reference = float(np.float64(x) ** y)
    if normal(np.array(reference), np.float32):
        assert actual == pytest.approx(reference, rel=ERROR[np.float32])


def damage_index(folder: Path) -> None:
    index = next(folder.rglob("*.nbi"))
    index.write_bytes(index.read_bytes()[:40])


def damage_code(folder: Path) -> None:
    next(folder.rglob("*.nbc")).write_bytes(b"")


def full_disk(_: Path) -> None:
    pass  # see `save` below


@pytest.mark.parametrize("damage", [damage_index, damage_code, full_disk])
def test_a_damaged_cache_costs_time_only(
    damage: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))

    def double(x: Any) -> Any:
        return 2.0 * x

    def hits() -> int:
        versions = fast_jit.kernel(double)
        assert versions.kept(1.5) == 3.0
        return sum(versions.kept.stats.cache_hits.values())

    def save(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if damage is full_disk:
        monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", save)
        assert [hits(), hits()] == [0, 0]
        return
    assert [hits(), hits()] == [0, 1]
    damage(tmp_path)
    assert [hits(), hits()] == [0, 1]
