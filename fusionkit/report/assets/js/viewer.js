"use strict";

// The images of a page in panels, all with the same view.
const makeViewer = (content, store) => {
  const [ny, nx] = content.pixels ?? [1, 1];
  const elements = content.panels.filter((panel) => panel.overlay);
  const unit = content.field_width ? content.units ?? "" : "px";
  const perPixel = content.field_width ? content.field_width / nx : 1;
  const overlaid = elements.length > 1 ? overlay.names(elements) : [];

  const bar = ({ map, limits: [low, high], beyond: [below, above], unit: of }) => {
    const strip = dom.element("canvas", { width: "256", height: "1", "aria-hidden": "true" });
    const words = colours.table(map).slice();
    strip.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(words.buffer), 256, 1), 0, 0);
    const ends = [`${below ? "≤ " : ""}${format.number(low, 3)}`, of, `${above ? "≥ " : ""}${format.number(high, 3)}`];
    return dom.element("div", { class: "bar" }, strip,
      dom.element("div", { class: "ends" }, ...ends.map((text) => dom.element("span", {}, text))));
  };

  const place = (x, y, across, down) => {
    const pixel = `pixel ${x}, ${y}`;
    return content.field_width ? `${pixel} (${across}, ${down} ${unit})` : pixel;
  };

  const controls = {
    nx: () => nx,
    bar,
    longest: place(nx - 1, ny - 1, "0.888", "0.888"),
    step: () => ({ du: 1 / nx, dv: 1 / ny }),
    place: ({ u, v }) => place(Math.floor(u * nx), Math.floor(v * ny),
      format.number(u * nx * perPixel, 3), format.number(v * ny * perPixel, 3)),
  };

  // layers are created, and their images decoded, when first shown
  const cache = new Map();
  const once = (key, make) => {
    if (!cache.has(key)) cache.set(key, make());
    return cache.get(key);
  };
  const layerOf = (panel, layer) => once(layer, () => layers.plain(content, panel, layer));
  const overlayOf = (name) => once(name, () => overlay.layer(content, elements, name));

  const rows = content.panels.map((panel) => ({
    label: panel.label, layers: panel.layers.map((layer) => () => layerOf(panel, layer)), names: panel.layers.map(({ name }) => name), below: null,
  }));
  if (overlaid.length > 0) {
    rows.splice(elements.length, 0, {
      label: "All elements", layers: overlaid.map((name) => () => overlayOf(name)), names: overlaid, below: overlay.toggles(store, elements),
    });
  }

  // the layers on either side of the divider, or all layers side by side
  const groups = ({ layers: all, names }, { mode, left, right }) => {
    if (mode === "beside") return all.map((layer) => [layer()]);
    const index = (name, otherwise) => (names.includes(name) ? names.indexOf(name) : Math.min(otherwise, all.length - 1));
    const [first, second] = [index(left, 0), index(right, 1)];
    return [first === second ? [all[first]()] : [all[first](), all[second]()]];
  };

  const node = dom.element("div", { class: "panels" });
  let panes = [];
  let builtFor = "";
  const build = (state) => {
    const key = JSON.stringify([state.mode, state.left, state.right]);
    if (key === builtFor) return;
    builtFor = key;
    for (const pane of panes) pane.remove();
    panes = [];
    node.classList.toggle("beside", state.mode === "beside");
    node.replaceChildren(...rows.map((row) => {
      const own = groups(row, state).map((chosen) => makePane(content, store, row.label, chosen, nx / ny, controls));
      panes.push(...own);
      return dom.element("section", { class: "panel", "aria-label": row.label }, dom.element("h3", {}, row.label),
        dom.element("div", { class: "panes" }, ...own.map((pane) => pane.node)), row.below);
    }));
  };
  store.listen(build);
  return { node, ready: () => Promise.all(panes.map(({ ready }) => ready)), perPixel, unit };
};
