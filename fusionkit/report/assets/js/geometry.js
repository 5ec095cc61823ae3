"use strict";

// Positions: u, v range over the field of view from 0 to 1; all panes share centre and zoom.
const geometry = (() => {
  // maps the part of the field of view shown by a canvas of width x height to canvas pixels and back
  const frame = (view, width, height, aspect) => {
    const fit = Math.min(width, height * aspect);  // width of the whole field of view at zoom 1
    const scaleX = fit * view.zoom;
    const scaleY = scaleX / aspect;
    return {
      scaleX, scaleY,
      toX: (u) => (u - view.u) * scaleX + width / 2,
      toY: (v) => (v - view.v) * scaleY + height / 2,
      toU: (x) => (x - width / 2) / scaleX + view.u,
      toV: (y) => (y - height / 2) / scaleY + view.v,
    };
  };

  const inside = (centre, zoom) => Math.min(Math.max(centre, 0.5 / zoom), 1 - 0.5 / zoom);

  const limited = ({ u, v, zoom }) => {
    const inRange = Math.min(Math.max(zoom, 1), 64);
    return { zoom: inRange, u: inside(u, inRange), v: inside(v, inRange) };
  };

  // zooms by a factor about the point u, v
  const zoomed = (view, factor, u = view.u, v = view.v) => {
    const zoom = Math.min(Math.max(view.zoom * factor, 1), 64);
    const share = view.zoom / zoom;
    return limited({ zoom, u: u + (view.u - u) * share, v: v + (view.v - v) * share });
  };

  const moved = (view, du, dv) => limited({ ...view, u: view.u + du, v: view.v + dv });

  const clamp = (value) => Math.min(Math.max(value, 0), 1);

  // the line clamped to the field of view; the former line if its length would be zero
  const line = ({ u0, v0, u1, v1 }, former) => {
    const clamped = { u0: clamp(u0), v0: clamp(v0), u1: clamp(u1), v1: clamp(v1) };
    return clamped.u0 === clamped.u1 && clamped.v0 === clamped.v1 ? former : Object.freeze(clamped);
  };

  return { frame, zoomed, moved, clamp, line, HOME: Object.freeze({ u: 0.5, v: 0.5, zoom: 1 }) };
})();
