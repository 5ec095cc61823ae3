"use strict";

// Where things are: u, v run over the field of view from 0 to 1; all panes share centre and zoom.
const geometry = (() => {
  // the part of the field of view that a stage of width x height shows, with u per stage pixel
  const frame = (view, width, height, aspect) => {
    const fit = Math.min(width, height * aspect);  // the whole field, as wide as the stage allows
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
    const kept = Math.min(Math.max(zoom, 1), 64);
    return { zoom: kept, u: inside(u, kept), v: inside(v, kept) };
  };

  // zoom by a factor; the point u, v stays where it is
  const zoomed = (view, factor, u = view.u, v = view.v) => {
    const zoom = Math.min(Math.max(view.zoom * factor, 1), 64);
    const share = view.zoom / zoom;
    return limited({ zoom, u: u + (view.u - u) * share, v: v + (view.v - v) * share });
  };

  const moved = (view, du, dv) => limited({ ...view, u: view.u + du, v: view.v + dv });

  const clamp = (value) => Math.min(Math.max(value, 0), 1);

  // the line within the field of view; the former one instead of a line without length
  const line = ({ u0, v0, u1, v1 }, former) => {
    const kept = { u0: clamp(u0), v0: clamp(v0), u1: clamp(u1), v1: clamp(v1) };
    return kept.u0 === kept.u1 && kept.v0 === kept.v1 ? former : Object.freeze(kept);
  };

  return { frame, zoomed, moved, clamp, line, HOME: Object.freeze({ u: 0.5, v: 0.5, zoom: 1 }) };
})();
