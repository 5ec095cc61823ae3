// Isotropic total variation at one pixel: differences, guide field, projection; see fusionkit/engines/cpu/differences.py.
//
// JOINT: maps share a dual ball; GUIDED: there is a field xi. x (N, ny, nx), p (2, N, ny, nx), xi (2, ny, nx).

struct Shape {
    int ny, nx;
};

struct Ball {  // radius of each element's dual ball (JOINT: the first entry is that of all), and factor of its weight
    real radius[N], factor[N];
};

DEVICE size_t plane_of(Shape shape) { return (size_t)shape.ny * shape.nx; }

// v <- v - xi (xi . v), if there is a field
DEVICE void project_out(real& down, real& right, const real* xi, size_t plane, size_t at) {
    if (GUIDED) {
        const real a = xi[at], b = xi[plane + at], across = a * down + b * right;
        down -= a * across;
        right -= b * across;
    }
}

DEVICE void differences(const real* x, real& down, real& right, Shape shape, int j, int k) {
    const size_t at = (size_t)j * shape.nx + k;
    const real here = x[at];
    down = j < shape.ny - 1 ? x[at + shape.nx] - here : (real)0;
    right = k < shape.nx - 1 ? x[at + 1] - here : (real)0;
}

DEVICE real into_ball(real square, real radius) {
    return square <= radius * radius ? (real)1 : radius * inverse_root(square);
}

// (down, right) = proj(p + sigma D grad x) of all elements
DEVICE void ascend(const real* x, const real* p, const real* xi, real sigma, const Ball& ball, Shape shape, int j,
                   int k, real* down, real* right) {
    const size_t plane = plane_of(shape), at = (size_t)j * shape.nx + k;
    real square = 0;
    EACH {
        real a, b;
        differences(x + i * plane, a, b, shape, j, k);
        project_out(a, b, xi, plane, at);
        down[i] = p[i * plane + at] + sigma * a;
        right[i] = p[(N + i) * plane + at] + sigma * b;
        square = down[i] * down[i] + right[i] * right[i] + (JOINT ? square : (real)0);
        if (!JOINT) {
            const real scale = into_ball(square, ball.radius[i]);
            down[i] *= scale;
            right[i] *= scale;
        }
    }
    if (JOINT) {
        const real scale = into_ball(square, ball.radius[0]);
        EACH {
            down[i] *= scale;
            right[i] *= scale;
        }
    }
}

// D (2 p~ - p) of one element, with p~ = (down, right)
DEVICE void beyond(const real* p, const real* xi, size_t plane, size_t at, int i, real& down, real& right) {
    down = (down - p[i * plane + at]) + down;
    right = (right - p[(N + i) * plane + at]) + right;
    project_out(down, right, xi, plane, at);
}
