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

struct Data {  // at one pixel
    real image, counts[N], targets[N];
};

DEVICE Data data_at(const real* image, const real* counts, const real* targets, size_t plane, size_t at) {
    Data found;
    found.image = COUPLED ? image[at] : (real)0;
    EACH {
        found.counts[i] = POISSON ? counts[i * plane + at] : (real)0;
        found.targets[i] = SQUARES ? targets[i * plane + at] : (real)0;
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
