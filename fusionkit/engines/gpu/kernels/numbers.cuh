// Numbers, and logarithm and power by polynomials on the bits of a float, as in fusionkit/engines/cpu/maths.py, which gives
// their sources. Doubles use the library. fusionkit/engines/gpu/source.py concatenates all files before it compiles them.
//
// REAL is float or double; EXACT is 1 for double.

typedef REAL real;

#define INFINITE ((real)__int_as_float(0x7F800000))
#define NOT_A_NUMBER ((real)__int_as_float(0x7FC00000))
#define TINY ((real)1.1754943508222875e-38)  // 2^-126

#define DEVICE static __device__ __forceinline__
#define EACH _Pragma("unroll") for (int i = 0; i < N; ++i)  // element; unrolled, so that arrays of N stay in registers

DEVICE real root(real x) {
#if EXACT
    return sqrt(x);
#else
    return sqrtf(x);
#endif
}

DEVICE real inverse_root(real x) {
#if EXACT
    return 1 / sqrt(x);
#else
    return rsqrtf(x);
#endif
}

DEVICE real size_of(real x) { return x < (real)0 ? -x : x; }

DEVICE real clipped(real x, real lower, real upper) {
    const real above = x < lower ? lower : x;
    return above > upper ? upper : above;
}

#if EXACT

DEVICE real logarithm(real x) { return log(x); }
DEVICE real rough_logarithm(real x) { return log(x); }
DEVICE real power(real x, real high, real low, real) { return pow(x < 0 ? 0 : x, high + low); }

#else

struct Mantissa { float exponent, f, square, rest; };  // x = 2^exponent (1 + f); rest = log(1 + f) - f + f^2 / 2

DEVICE Mantissa mantissa(float x) {
    const bool small = x < TINY;
    const int bits = __float_as_int(small ? x * 16777216.0f : x);
    const int exponent = (bits - 0x3F3504F3) >> 23;  // 0x3F3504F3: sqrt(1/2)
    const float f = __int_as_float(bits - exponent * 8388608) - 1.0f;
    const float z = f * f;
    float p = 7.0376836292e-2f * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    const Mantissa found = {(float)exponent - (small ? 24.0f : 0.0f), f, z, p * f * z};
    return found;
}

DEVICE float exp2_of(float k, float r) {  // 2^(k + r) for an integral k in [-252, 254] and |r| <= 1/2
    float p = 1.535336188319500e-4f * r + 1.339887440266574e-3f;
    p = p * r + 9.618437357674640e-3f;
    p = p * r + 5.550332471162809e-2f;
    p = p * r + 2.402264791363012e-1f;
    p = p * r + 6.931472028550421e-1f;
    p = p * r + 1.0f;
    const int whole = (int)k, half = whole >> 1;  // two factors: 2^k may be out of range where the result is not
    p *= __int_as_float((half + 127) * 8388608);
    return p * __int_as_float((whole - half + 127) * 8388608);
}

DEVICE float logarithm(float x) {
    const Mantissa m = mantissa(x);
    float found = m.f + (m.rest + m.exponent * -2.12194440e-4f - 0.5f * m.square) + m.exponent * 0.693359375f;
    found = x < INFINITE ? found : x;
    return x > 0.0f ? found : (x == 0.0f ? -INFINITE : NOT_A_NUMBER);
}

DEVICE float rough_logarithm(float x) {  // to within 0.06: the bits of a float are a piecewise linear logarithm
    return (float)__float_as_int(x) * (float)(0.6931471805599453 / 8388608.0) - (float)(126.957 * 0.6931471805599453);
}

DEVICE float power(float x, float high, float low, float scaled) {  // max(x, 0)^(high + low)
    const Mantissa m = mantissa(x);
    const float whole = high * m.exponent;  // exact: high has 16 bits at most
    const float part = low * m.exponent + scaled * (m.f + (m.rest - 0.5f * m.square));
    float t = whole + part;
    t = t < -151.0f ? -151.0f : t;
    t = t > 129.0f ? 129.0f : t;
    const float k = (t + 12582912.0f) - 12582912.0f;  // rounded to an integer
    float found = exp2_of(k, clipped((whole - k) + part, -1.0f, 1.0f));
    found = x < INFINITE ? found : x;
    return x <= 0.0f ? 0.0f : found;
}

#endif
