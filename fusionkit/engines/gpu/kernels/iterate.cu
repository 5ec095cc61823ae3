// One iteration of fusionkit/engines/cpu/tv.py, from (x, p) to (x_new, p_new); every value is read and written once. The dual
// steps of the pixels above and to the left are recomputed rather than exchanged.

struct Steps {
    real sigma, tau, inverse, ahead, behind;
};

// K'(2 p~ - p) of all elements at a pixel, and p_new there
DEVICE void dual_part(const real* x, const real* p, const real* xi, real* p_new, const Ball& ball, const Steps& steps,
                      Shape shape, int j, int k, real* pulled) {
    const size_t plane = plane_of(shape), at = (size_t)j * shape.nx + k;
    real down[N], right[N];
    ascend(x, p, xi, steps.sigma, ball, shape, j, k, down, right);
    EACH {
        p_new[i * plane + at] = steps.behind * p[i * plane + at] + steps.ahead * down[i];
        p_new[(N + i) * plane + at] = steps.behind * p[(N + i) * plane + at] + steps.ahead * right[i];
        beyond(p, xi, plane, at, i, down[i], right[i]);
        pulled[i] = -(j < shape.ny - 1 ? down[i] : (real)0) - (k < shape.nx - 1 ? right[i] : (real)0);
    }
    if (j > 0) {
        ascend(x, p, xi, steps.sigma, ball, shape, j - 1, k, down, right);
        EACH {
            beyond(p, xi, plane, at - shape.nx, i, down[i], right[i]);
            pulled[i] += down[i];
        }
    }
    if (k > 0) {
        ascend(x, p, xi, steps.sigma, ball, shape, j, k - 1, down, right);
        EACH {
            beyond(p, xi, plane, at - 1, i, down[i], right[i]);
            pulled[i] += right[i];
        }
    }
}

extern "C" __global__ void iterate(const real* __restrict__ x, const real* __restrict__ p, real* __restrict__ x_new,
                                   real* __restrict__ p_new, const real* __restrict__ image,
                                   const real* __restrict__ counts, const real* __restrict__ targets,
                                   const real* __restrict__ xi, const Fit fit, const Ball ball, const Steps steps,
                                   const Shape shape) {
    const int k = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
    if (k >= shape.nx || j >= shape.ny) return;
    const size_t plane = plane_of(shape), at = (size_t)j * shape.nx + k;
    real pulled[N], held[N], target[N], fresh[N];
    EACH pulled[i] = 0;
    if (PENALTY) dual_part(x, p, xi, p_new, ball, steps, shape, j, k, pulled);
    EACH {
        const real here = x[i * plane + at];
        target[i] = here - steps.tau * pulled[i];
        held[i] = clipped(here, fit.lower, fit.upper);
    }
    const Data data = data_at(image, counts, targets, plane, at);
    newton(held, target, fresh, data, fit, steps.inverse);
    EACH x_new[i * plane + at] = steps.behind * x[i * plane + at] + steps.ahead * fresh[i];
}

// The joint prox at v by Newton's method from ``start``, which may be ``found``
extern "C" __global__ void prox(const real* __restrict__ v, const real* start, real* found,
                                const real* __restrict__ image, const real* __restrict__ counts,
                                const real* __restrict__ targets, const Fit fit, const real inverse,
                                const Shape shape) {
    const int k = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
    if (k >= shape.nx || j >= shape.ny) return;
    const size_t plane = plane_of(shape), at = (size_t)j * shape.nx + k;
    real held[N], target[N], fresh[N];
    EACH {
        target[i] = v[i * plane + at];
        held[i] = start[i * plane + at];
    }
    newton(held, target, fresh, data_at(image, counts, targets, plane, at), fit, inverse);
    EACH found[i * plane + at] = fresh[i];
}
