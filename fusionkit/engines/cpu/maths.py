r"""Logarithm, exponential and power that compilers vectorise: polynomials on the bits of float32 numbers.

A positive float32 is :math:`x = 2^e m` with :math:`m \in [1/\sqrt2, \sqrt2)`, both read from its bits, and

.. math:: \log x = e \log 2 + \log m, \qquad x^y = 2^{y e + y \log_2 m},

with a polynomial for log m and one for the fractional part of the exponent. Without branches and tables, eight or
sixteen numbers are computed at a time; the C library computes one. The power splits y into two parts, so that y e has
no rounding error and the result is accurate for any exponent of x. Relative errors stay below 2.5e-7, two units in the
last place of float32. float64 numbers use the C library.

Source of the polynomials: S. L. Moshier, Cephes mathematical library, logf and exp2f (1989).
"""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from fusionkit.engines.cpu.compile import INSIDE, OPTIONS, inlined
from fusionkit.engines.losses import exp, log

f4, i4 = np.float32, np.int32
_TINY = f4(2.0**-126)  # least normal number
_ROUND = f4(1.5 * 2.0**23)  # adding and subtracting it rounds to an integer
_LOG2E = f4(math.log2(math.e))
_LN2_HIGH, _LN2_LOW = f4(0.693359375), f4(-2.12194440e-4)
_LN2_SHORT, _LN2_REST = f4(0.693145751953125), f4(math.log(2.0) - 0.693145751953125)  # 15 bits: k * short is exact
_HALF_ROOT = i4(0x3F3504F3)  # the bits of sqrt(1/2)
_vectorised: Any = {**OPTIONS, **INSIDE}


def power(x: Any, parts: Any) -> Any:
    """max(x, 0)^y in compiled functions, for y in (0, 4] from `power_parts`; NaN only if x is NaN."""
    raise NotImplementedError("only for compiled functions")


def rough_log(x: Any) -> Any:
    """Natural logarithm of x > 0 to within 0.06, for tolerances in compiled functions."""
    raise NotImplementedError("only for compiled functions")


@inlined
def _mantissa(x: Any) -> Any:
    """e, f = m - 1, f^2 and the part of log m beyond f - f^2 / 2, for x = 2^e m > 0."""
    # one constant a line: literals would be float64, integer literals int64
    small = x < _TINY
    bits = f4(x * f4(2.0**24) if small else x).view(i4)
    exponent = i4(i4(bits - _HALF_ROOT) >> i4(23))
    f = i4(bits - i4(exponent << i4(23))).view(f4) - f4(1)
    z = f * f
    p = f4(7.0376836292e-2) * f - f4(1.1514610310e-1)
    p = p * f + f4(1.1676998740e-1)
    p = p * f - f4(1.2420140846e-1)
    p = p * f + f4(1.4249322787e-1)
    p = p * f - f4(1.6668057665e-1)
    p = p * f + f4(2.0000714765e-1)
    p = p * f - f4(2.4999993993e-1)
    p = p * f + f4(3.3333331174e-1)
    return f4(exponent) - (f4(24) if small else f4(0)), f, z, p * f * z


@inlined
def _exp2(k: Any, r: Any) -> Any:
    """2^(k + r) for an integer k in [-252, 254] and abs(r) <= 1/2."""
    p = f4(1.535336188319500e-4) * r + f4(1.339887440266574e-3)
    p = p * r + f4(9.618437357674640e-3)
    p = p * r + f4(5.550332471162809e-2)
    p = p * r + f4(2.402264791363012e-1)
    p = p * r + f4(6.931472028550421e-1)
    p = p * r + f4(1)
    # two factors, since 2^k alone may be out of range where the result is not
    whole = i4(k)
    half = i4(whole >> i4(1))
    p *= i4(i4(half + i4(127)) << i4(23)).view(f4)
    p *= i4(i4(i4(whole - half) + i4(127)) << i4(23)).view(f4)
    return p


@overload(log, jit_options=_vectorised)
def _log(x: Any) -> Any:
    if x != types.float32:

        def double(x: Any) -> Any:
            return np.log(x)

        return double

    def single(x: Any) -> Any:
        e, f, z, rest = _mantissa(x)
        result = f + (rest + e * _LN2_LOW - f4(0.5) * z) + e * _LN2_HIGH
        result = result if x < f4(np.inf) else x  # infinity and NaN
        return result if x > f4(0) else (f4(-np.inf) if x == f4(0) else f4(np.nan))

    return single


@overload(exp, jit_options=_vectorised)
def _exp(x: Any) -> Any:
    if x != types.float32:

        def double(x: Any) -> Any:
            return np.exp(x)

        return double

    def single(x: Any) -> Any:
        t = f4(-104) if x < f4(-104) else x  # 0 below
        t = f4(89) if t > f4(89) else t  # infinity above
        k = (t * _LOG2E + _ROUND) - _ROUND
        r = (t - k * _LN2_SHORT) - k * _LN2_REST
        return _exp2(k, r * _LOG2E) if x == x else x

    return single


@overload(power, jit_options=_vectorised)
def _power(x: Any, parts: Any) -> Any:
    if x != types.float32:

        def double(x: Any, parts: Any) -> Any:
            return (0.0 if x < 0 else x) ** (parts[0] + parts[1])

        return double

    def single(x: Any, parts: Any) -> Any:
        high, low, scaled = parts
        e, f, z, rest = _mantissa(x)
        whole = high * e  # exact
        part = low * e + scaled * (f + (rest - f4(0.5) * z))
        t = whole + part
        t = f4(-151) if t < f4(-151) else t
        t = f4(129) if t > f4(129) else t
        k = (t + _ROUND) - _ROUND
        r = (whole - k) + part
        r = f4(1) if r > f4(1) else r  # out of range the result must be infinite
        r = f4(-1) if r < f4(-1) else r  # or 0, not the polynomial's value
        result = _exp2(k, r)
        result = result if x < f4(np.inf) else x  # infinity and NaN
        return f4(0) if x <= f4(0) else result

    return single


@overload(rough_log, jit_options=_vectorised)
def _rough_log(x: Any) -> Any:
    if x != types.float32:

        def double(x: Any) -> Any:
            return np.log(x)

        return double

    def single(x: Any) -> Any:
        # the bits of a float, read as an integer, are a piecewise linear logarithm
        return f4(f4(x).view(i4)) * f4(math.log(2.0) / 2.0**23) - f4(126.957 * math.log(2.0))

    return single
