// Objective and certificate: the sums of fusionkit/engines/sums.py in double precision. Each thread sums its pixels in a
// fixed order, in its own column of ``table`` (SUMS, threads); the columns are added afterwards.

DEVICE double squared(real x) { return (double)x * (double)x; }

// Values of the pixelwise terms and squares of their gradients; the gradients are added to r.
DEVICE void gradients(const real* x, real* r, const Data& data, const Fit& fit, double* sums) {
    real y[N];
    real residual = 0;
    if (COUPLED) {
        const real off = data.of_image * (predict(x, y, fit) - data.image);
        residual = fit.coupled_weight * off;
        sums[COUPLED_VALUE] += (double)((real)0.5 * (off * off));
    }
    EACH {
        if (COUPLED) {
            const real slope = residual * (fit.slope[i] * y[i]);
            r[i] += slope;
            sums[COUPLED_VALUE + 1] += squared(slope);
        }
        if (POISSON) {
            const real mean = x[i] + fit.epsilon, b = data.counts[i];
            const bool outside = mean < (real)0 || (mean == (real)0 && b > (real)0);
            const real weight = data.of_counts[i] * fit.poisson_weight;
            const real slope = weight * ((real)1 - b / (mean < fit.mean_floor ? fit.mean_floor : mean));
            r[i] += slope;
            const real loss = outside ? INFINITE : x[i] - b * logarithm(mean < TINY ? TINY : mean);
            sums[POISSON_VALUE] += (double)(data.of_counts[i] > (real)0 ? loss : (real)0);
            sums[POISSON_VALUE + 1] += squared(slope);
        }
        if (SQUARES) {
            const real off = data.of_targets[i] * (x[i] - data.targets[i]), slope = fit.squares_weight * off;
            r[i] += slope;
            sums[SQUARES_VALUE] += (double)((real)0.5 * (off * off));
            sums[SQUARES_VALUE + 1] += squared(slope);
        }
    }
}

// Sums of one dual ball: the length of D grad x, the squared distance of p from the ball, and <proj p, D grad x>
DEVICE void compare(real length, real square, real inner, real radius, real factor, double* sums) {
    const real size = root(square);
    const bool over = size > radius;
    const real excess = size - radius;
    sums[TV_VALUE] += (double)(factor * root(length));
    sums[DUAL] += (double)square;
    sums[OUTSIDE] += (double)(over ? excess * excess : (real)0);
    sums[INNER] += (double)(over ? inner * (radius / size) : inner);
}

// The sums of the total variation at a pixel, and r = K'p
DEVICE void variation(const real* x, const real* p, const real* xi, const Ball& ball, Shape shape, int j, int k,
                      real* r, double* sums) {
    const size_t plane = plane_of(shape), at = (size_t)j * shape.nx + k;
    real length = 0, square = 0, inner = 0;
    EACH {
        real down, right;
        differences(x + i * plane, down, right, shape, j, k);
        project_out(down, right, xi, plane, at);
        real a = p[i * plane + at], b = p[(N + i) * plane + at];
        const bool begins = i == 0 || !JOINT;
        length = down * down + right * right + (begins ? (real)0 : length);
        square = a * a + b * b + (begins ? (real)0 : square);
        inner = a * down + b * right + (begins ? (real)0 : inner);
        if (!JOINT || i == N - 1) {
            const int own = JOINT ? 0 : i;
            compare(length, square, inner, ball.radius[own], ball.factor[own], sums);
        }
        project_out(a, b, xi, plane, at);
        r[i] = -(j < shape.ny - 1 ? a : (real)0) - (k < shape.nx - 1 ? b : (real)0);
        if (j > 0) {
            a = p[i * plane + at - shape.nx];
            b = p[(N + i) * plane + at - shape.nx];
            project_out(a, b, xi, plane, at - shape.nx);
            r[i] += a;
        }
        if (k > 0) {
            a = p[i * plane + at - 1];
            b = p[(N + i) * plane + at - 1];
            project_out(a, b, xi, plane, at - 1);
            r[i] += b;
        }
        sums[DUAL_GRADIENT] += squared(r[i]);
    }
}

// The rows to evaluate: all of them, or a sample
struct Rows {
    int first, step, count;
};

extern "C" __global__ void collect(const real* __restrict__ x, const real* __restrict__ p,
                                   const real* __restrict__ image, const real* __restrict__ counts,
                                   const real* __restrict__ targets, const real* __restrict__ xi,
                                   real* __restrict__ residual, double* __restrict__ table, const Fit fit,
                                   const Ball ball, const Shape shape, const Rows rows) {
    const int thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
    const size_t plane = plane_of(shape), among = (size_t)rows.count * shape.nx;
    double sums[SUMS];
    _Pragma("unroll") for (int c = 0; c < SUMS; ++c) sums[c] = 0;
    for (size_t place = thread; place < among; place += threads) {
        const int j = rows.first + rows.step * (int)(place / shape.nx), k = (int)(place % shape.nx);
        const size_t at = (size_t)j * shape.nx + k;
        real here[N], r[N];
        EACH {
            here[i] = x[i * plane + at];
            r[i] = 0;
            sums[SIZE] += squared(here[i]);
        }
        if (PENALTY) variation(x, p, xi, ball, shape, j, k, r, sums);
        gradients(here, r, data_at(image, counts, targets, plane, at), fit, sums);
        EACH residual[i * plane + at] = r[i];
    }
    _Pragma("unroll") for (int c = 0; c < SUMS; ++c) table[(size_t)c * threads + thread] = sums[c];
}

// The sum of (x - clip(x - step r))^2 over all elements
extern "C" __global__ void stationarity(const real* __restrict__ x, const real* __restrict__ residual,
                                        double* __restrict__ table, const Fit fit, const real step,
                                        const Shape shape) {
    const int thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
    const size_t size = N * plane_of(shape);
    double sum = 0;
    for (size_t at = thread; at < size; at += threads)
        sum += squared(x[at] - clipped(x[at] - step * residual[at], fit.lower, fit.upper));
    table[thread] = sum;
}

// The sum of (x - old)^2 over all elements
extern "C" __global__ void apart(const real* __restrict__ x, const real* __restrict__ old, double* __restrict__ table,
                                 const Shape shape) {
    const int thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
    const size_t size = N * plane_of(shape);
    double sum = 0;
    for (size_t at = thread; at < size; at += threads) sum += squared(x[at] - old[at]);
    table[thread] = sum;
}
