"use strict";

// Mouse, touch and keys on a pane: move, zoom, divider, crosshair and profile line.
const attachGestures = (canvas, store, pane) => {
  const controller = new AbortController();
  const on = (type, handle, more = {}) => canvas.addEventListener(type, handle, { signal: controller.signal, ...more });
  const touches = new Map();
  let drag = null;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) * pane.ratio(), y: (event.clientY - box.top) * pane.ratio() };
  };

  const point = ({ x, y }) => {
    const frame = pane.frame();
    return { u: frame.toU(x), v: frame.toV(y) };
  };

  const onField = ({ u, v }) => u >= 0 && u < 1 && v >= 0 && v < 1;

  const near = (at, u, v) => {
    const frame = pane.frame();
    return Math.hypot(frame.toX(u) - at.x, frame.toY(v) - at.y) < 12 * pane.ratio();
  };

  // starts to drag an end of the line, the divider, a new line, or the image
  const begin = (at) => {
    const { line, tool, split } = store.get();
    if (tool === "line") {
      if (line && near(at, line.u1, line.v1)) return { kind: "line", fixed: { u: line.u0, v: line.v0 } };
      if (line && near(at, line.u0, line.v0)) return { kind: "line", fixed: { u: line.u1, v: line.v1 } };
      return { kind: "line", fixed: point(at) };
    }
    if (pane.swipes && Math.abs(at.x - split * canvas.width) < 14 * pane.ratio()) return { kind: "split" };
    return { kind: "move", from: point(at) };
  };

  const follow = (at) => {
    const here = point(at);
    if (drag.kind === "split") store.set({ split: geometry.clamp(at.x / canvas.width) });
    else if (drag.kind === "line") {
      const { fixed } = drag;
      store.set({ line: geometry.line({ u0: fixed.u, v0: fixed.v, u1: here.u, v1: here.v }, store.get().line) });
    } else store.set({ view: geometry.moved(store.get().view, drag.from.u - here.u, drag.from.v - here.v) });
  };

  const pinch = () => {
    const [a, b] = [...touches.values()];
    const apart = Math.hypot(a.x - b.x, a.y - b.y);
    const middle = point({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
    if (drag?.kind === "pinch") store.set({ view: geometry.zoomed(store.get().view, apart / drag.apart, middle.u, middle.v) });
    drag = { kind: "pinch", apart };
  };

  on("pointerdown", (event) => {
    if (event.button !== 0) return;
    touches.set(event.pointerId, place(event));
    canvas.setPointerCapture(event.pointerId);
    drag = touches.size === 2 ? drag : begin(place(event));
  });
  on("pointermove", (event) => {
    const at = place(event);
    const here = point(at);
    store.set({ cursor: onField(here) ? here : null });
    if (touches.has(event.pointerId)) touches.set(event.pointerId, at);
    if (touches.size === 2) pinch();
    else if (drag && drag.kind !== "pinch") follow(at);
  });
  for (const type of ["pointerup", "pointercancel"]) {
    on(type, (event) => {
      touches.delete(event.pointerId);
      drag = null;
    });
  }
  on("pointerleave", () => store.set({ cursor: null }));
  // the wheel scrolls the page unless the image has the focus or Ctrl is held
  on("wheel", (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    const { u, v } = point(place(event));
    store.set({ view: geometry.zoomed(store.get().view, 1.0015 ** -event.deltaY, u, v) });
  }, { passive: false });

  const moveCursor = (dx, dy) => {
    const { u, v } = store.get().cursor ?? { u: 0.5, v: 0.5 };
    const { du, dv } = pane.step();
    const last = 1 - 1e-9;
    store.set({ cursor: { u: Math.min(geometry.clamp(u + dx * du), last), v: Math.min(geometry.clamp(v + dy * dv), last) } });
  };

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  on("keydown", (event) => {
    const { view } = store.get();
    const arrow = ARROWS[event.key];
    if (arrow && event.shiftKey) moveCursor(...arrow);
    else if (arrow) store.set({ view: geometry.moved(view, (0.1 * arrow[0]) / view.zoom, (0.1 * arrow[1]) / view.zoom) });
    else if (event.key === "+" || event.key === "=") store.set({ view: geometry.zoomed(view, 1.5) });
    else if (event.key === "-") store.set({ view: geometry.zoomed(view, 1 / 1.5) });
    else if (event.key === "0") store.set({ view: geometry.HOME });
    else return;
    event.preventDefault();
    if (!arrow) speech.say(`zoom ${format.number(store.get().view.zoom, 3)}`);
    else if (event.shiftKey) speech.say(pane.reading());
  });
  return controller;
};
