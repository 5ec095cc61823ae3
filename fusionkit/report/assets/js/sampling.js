"use strict";

// Values of an image along a line: bilinear between pixel centres, averaged over the width of the line.
const sampling = (() => {
  const bilinear = ({ nx, ny, values }, x, y) => {
    const [px, py] = [Math.min(Math.max(x - 0.5, 0), nx - 1), Math.min(Math.max(y - 0.5, 0), ny - 1)];
    const [x0, y0] = [Math.floor(px), Math.floor(py)];
    const [x1, y1] = [Math.min(x0 + 1, nx - 1), Math.min(y0 + 1, ny - 1)];
    const [a, b] = [px - x0, py - y0];
    const row = (at) => values[at * nx + x0] * (1 - a) + values[at * nx + x1] * a;
    return row(y0) * (1 - b) + (b > 0 ? row(y1) * b : 0);
  };

  // the sample points: distances in pixels of the field of view, and u, v across the width at each distance
  const points = ({ u0, v0, u1, v1 }, width, [ny, nx]) => {
    const [dx, dy] = [(u1 - u0) * nx, (v1 - v0) * ny];
    const length = Math.hypot(dx, dy);
    const count = Math.min(Math.max(Math.ceil(length) + 1, 2), 2000);
    const lines = Math.max(1, Math.round(width));
    const offsets = Array.from({ length: lines }, (_, index) => index - (lines - 1) / 2);
    const across = length > 0 ? [-dy / length / nx, dx / length / ny] : [0, 0];
    const along = Array.from({ length: count }, (_, index) => index / (count - 1));
    return {
      distances: along.map((share) => share * length),
      places: along.map((share) => offsets.map((offset) => [
        u0 + share * (u1 - u0) + offset * across[0], v0 + share * (v1 - v0) + offset * across[1],
      ])),
    };
  };

  const values = (image, places) => places.map((spots) => {
    const mean = spots.reduce((sum, [u, v]) => sum + bilinear(image, u * image.nx, v * image.ny), 0) / spots.length;
    return Number.isFinite(mean) ? mean : null;
  });

  return { points, values };
})();
