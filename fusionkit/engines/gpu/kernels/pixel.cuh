// The parameters of a problem; fusionkit/engines/gpu/source.py makes the macros and the structures.
//
// N elements; COUPLED, POISSON, SQUARES: terms that are present; LINEAR: gamma = 1; BOUNDED: gamma <= 2; STEPS: of Newton.
// A thread processes all elements of one pixel.

struct Fit {
    real high, low, scaled;                          // gamma - 1 as arguments of power()
    real floor, floor_power;                         // below Z x = floor the second derivative is that at the floor
    real coupled_weight, coupled_root;               // w and its root
    real above, below;                               // (gamma - 1) / 2 and (gamma - 1) / gamma
    real poisson_weight, epsilon, mean_floor, squares_weight;
    real lower, upper, rounding;
    real z[N], slope[N], bend[N], steep[N];          // Z, gamma Z, gamma (gamma - 1) Z^2, gamma Z floor_power root(w)
};

struct Data {  // at one pixel, with the factor of each weight: 0 for a datum that is NaN, which was not measured
    real image, counts[N], targets[N];
    real of_image, of_counts[N], of_targets[N];
};

DEVICE void take(real datum, real& value, real& factor) {
    const bool missing = datum != datum;
    value = missing ? (real)0 : datum;
    factor = missing ? (real)0 : (real)1;
}

DEVICE Data data_at(const real* image, const real* counts, const real* targets, size_t plane, size_t at) {
    Data found;
    take(COUPLED ? image[at] : (real)0, found.image, found.of_image);
    EACH {
        take(POISSON ? counts[i * plane + at] : (real)0, found.counts[i], found.of_counts[i]);
        take(SQUARES ? targets[i * plane + at] : (real)0, found.targets[i], found.of_targets[i]);
    }
    return found;
}

// y = (Z x)^(gamma - 1); returns sum_i y_i Z_i x_i
DEVICE real predict(const real* x, real* y, const Fit& fit) {
    real prediction = 0;
    EACH {
        const real s = fit.z[i] * x[i];
        if (LINEAR) {
            y[i] = 1;
            prediction += s;
        } else {
            const real positive = s < (real)0 ? (real)0 : s;
            y[i] = power(positive, fit.high, fit.low, fit.scaled);
            prediction += y[i] * positive;
        }
    }
    return prediction;
}
