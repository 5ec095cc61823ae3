// Damped projected Newton steps of the joint prox at one pixel, as in fusionkit/engines/cpu/newton.py, with the same bounds
// and the same tolerance for rounding; fusionkit/pixelwise.py defines them.

struct Inverses {  // of the mean of the counts and of Z x, each at least its floor
    real mean[N], s[N];
};

// Gradient g, diagonal curvature c and coupling u (in place of y) of all terms and the quadratic.
DEVICE void expand(const real* x, const real* v, real* y, real* g, real* c, Inverses& over, real prediction,
                   const Data& data, const Fit& fit, real inverse) {
    EACH {
        g[i] = (x[i] - v[i]) * inverse;
        c[i] = inverse;
        if (POISSON) {
            const real mean = x[i] + fit.epsilon;
            over.mean[i] = (real)1 / (mean < fit.mean_floor ? fit.mean_floor : mean);
            const real ratio = data.counts[i] * over.mean[i];
            const real weight = data.of_counts[i] * fit.poisson_weight;
            g[i] += weight * ((real)1 - ratio);
            c[i] += weight * (ratio * over.mean[i]);
        }
        if (SQUARES) {
            const real weight = data.of_targets[i] * fit.squares_weight;
            g[i] += weight * (x[i] - data.targets[i]);
            c[i] += weight;
        }
        if (COUPLED) {
            const real residual = data.of_image * fit.coupled_weight * (prediction - data.image);
            const real s = fit.z[i] * x[i];
            over.s[i] = (real)1 / (s < fit.floor ? fit.floor : s);
            const real raised = y[i] < fit.floor_power ? fit.floor_power : y[i];
            const real curvature = residual * (fit.bend[i] * raised * over.s[i]);
            g[i] += residual * (fit.slope[i] * y[i]);
            c[i] += curvature < (real)0 ? (real)0 : curvature;
            y[i] = data.of_image * fit.coupled_root * (fit.slope[i] * y[i]);
        }
    }
}

// The projected Newton direction in place of g, by the Sherman-Morrison formula; overwrites c.
DEVICE void direct(const real* x, const real* u, real* g, real* c, const Fit& fit) {
    real along = 0, across = 1, total = 0;
    if (COUPLED) {
        EACH total += u[i];
    }
    EACH {
        // an element that the diagonal majorant moves to a bound stays there
        const real majorant = COUPLED ? c[i] + u[i] * total : c[i];
        const real down = x[i] - fit.lower, up = x[i] - fit.upper;
        const bool sinks = g[i] > (real)0 && g[i] >= down * majorant;
        const bool rises = g[i] < (real)0 && g[i] <= up * majorant;
        const real reciprocal = (real)1 / c[i];
        const real free = g[i] * reciprocal;
        g[i] = sinks ? down : (rises ? up : free);
        if (COUPLED) {
            c[i] = sinks || rises ? (real)0 : u[i] * reciprocal;
            along += u[i] * g[i];
            across += u[i] * c[i];
        }
    }
    if (COUPLED) {
        along /= across;
        EACH g[i] -= c[i] * along;
    }
}

// Whether the pixel's objective decreases from x to fresh, up to rounding. Overwrites y.
DEVICE bool falls(const real* x, const real* v, const real* fresh, real* y, real prediction, const Data& data,
                  const Fit& fit, real inverse) {
    real change = 0, before = 0;
    EACH {
        const real far = x[i] - v[i], d = fresh[i] - x[i];
        change += (real)0.5 * inverse * (d * ((fresh[i] - v[i]) + far));
        before += (real)0.5 * inverse * (far * far);
        if (POISSON) {
            real old = x[i] + fit.epsilon, mean = fresh[i] + fit.epsilon;
            const bool outside = mean < (real)0 || (mean == (real)0 && data.counts[i] > (real)0);
            old = old < TINY ? TINY : old;
            mean = mean < TINY ? TINY : mean;
            const real gain = d - data.counts[i] * logarithm(mean / old), weight = data.of_counts[i] * fit.poisson_weight;
            change += outside && weight > (real)0 ? INFINITE : weight * gain;
            before += weight * (x[i] - data.counts[i] * rough_logarithm(old));
        }
        if (SQUARES) {
            const real off = x[i] - data.targets[i], weight = data.of_targets[i] * ((real)0.5 * fit.squares_weight);
            change += weight * (d * ((fresh[i] - data.targets[i]) + off));
            before += weight * (off * off);
        }
    }
    if (COUPLED) {
        const real after = predict(fresh, y, fit), away = prediction - data.image;
        const real half = data.of_image * ((real)0.5 * fit.coupled_weight);
        change += half * ((after - prediction) * ((after - data.image) + away));
        before += half * (away * away);
    }
    return change <= fit.rounding * size_of(before);  // false for NaN
}

// Whether the upper bounds of newton.decreases show that the pixel's objective decreases.
DEVICE bool surely_falls(const real* x, const real* v, const real* fresh, const real* u, const Inverses& over,
                         real prediction, const Data& data, const Fit& fit, real inverse) {
    const real half = (real)0.5, one = 1, third = (real)(1.0 / 3.0);
    real low = 0, high = 0, change = 0, size = 0;
    EACH {
        const real d = fresh[i] - x[i];
        const real part = half * inverse * (d * ((fresh[i] - v[i]) + (x[i] - v[i])));
        change += part;
        size += size_of(part);
        if (POISSON) {
            const real mean = x[i] + fit.epsilon, b = data.counts[i];
            const real t = d * over.mean[i];
            const real bound = t * (one - t * (half - t * (third - half * t)));
            const real weight = data.of_counts[i] * fit.poisson_weight;
            const bool bounded = (t >= -half && mean >= fit.mean_floor) || !(weight > (real)0);
            change += bounded ? weight * (d - b * bound) : INFINITE;
            size += weight * (size_of(d) + b * size_of(t));
        }
        if (SQUARES) {
            const real off = fresh[i] - data.targets[i] + (x[i] - data.targets[i]);
            const real square = data.of_targets[i] * (half * fit.squares_weight * (d * off));
            change += square;
            size += size_of(square);
        }
        if (COUPLED) {
            const real ratio = d * (fit.z[i] * over.s[i]);
            low += u[i] * d;
            const real slope = u[i] < fit.steep[i] && d > (real)0 ? fit.steep[i] : u[i];
            const real up = one + fit.above * ratio;
            const real down = fit.z[i] * x[i] >= fit.floor && ratio >= -one ? one + fit.below * ratio : (real)0;
            high += slope * d * (d > (real)0 ? up : down);
        }
    }
    if (COUPLED) {
        const real off = data.of_image * fit.coupled_root * (prediction - data.image);
        const real a = low * (off + half * low), b = high * (off + half * high);
        change += data.of_image * (a > b ? a : b);
        size += size_of(high * off);
    }
    return change <= fit.rounding * size;
}

// fresh = the prox of v by STEPS damped Newton steps from x, which is overwritten if STEPS > 1.
DEVICE void newton(real* x, const real* v, real* fresh, const Data& data, const Fit& fit, real inverse) {
    real y[N], g[N], c[N];
    Inverses over;
    for (int step = 0; step < STEPS; ++step) {
        if (step > 0) EACH x[i] = fresh[i];
        const real prediction = COUPLED ? predict(x, y, fit) : (real)0;
        expand(x, v, y, g, c, over, prediction, data, fit, inverse);
        direct(x, y, g, c, fit);
        EACH fresh[i] = clipped(x[i] - g[i], fit.lower, fit.upper);
        if (BOUNDED && surely_falls(x, v, fresh, y, over, prediction, data, fit, inverse)) continue;
        for (int attempt = 0; attempt < ATTEMPTS; ++attempt) {
            if (falls(x, v, fresh, y, prediction, data, fit, inverse)) break;
            const real shorter = attempt == ATTEMPTS - 1 ? (real)0 : (real)0.25;
            EACH {
                g[i] *= shorter;
                fresh[i] = clipped(x[i] - g[i], fit.lower, fit.upper);
            }
        }
    }
}
