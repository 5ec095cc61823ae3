"use strict";

// All elements in one image: each adds its colour in proportion to its map.
const overlay = (() => {
  const compose = (parts, chosen) => {
    const [{ image }] = parts;
    const shown = parts.flatMap(({ image: { values }, limits: [low, high] }, at) => {
      const [red, green, blue] = colours.channels(chosen[at].colour.slice(1));
      return chosen[at].on ? [{ values, low, factor: 1 / (high - low), red, green, blue }] : [];
    });
    const words = new Uint32Array(image.values.length);
    for (let at = 0; at < words.length; at += 1) {
      let [r, g, b] = [0, 0, 0];
      for (let part = 0; part < shown.length; part += 1) {
        const { values, low, factor, red, green, blue } = shown[part];
        const share = (values[at] - low) * factor;
        if (!(share > 0)) continue;  // false for NaN too
        const light = share < 1 ? share : 1;
        r += light * red;
        g += light * green;
        b += light * blue;
      }
      words[at] = 0xff000000 | (Math.min(b, 255) << 16) | (Math.min(g, 255) << 8) | Math.min(r, 255);
    }
    return layers.bitmapOf(image, words);
  };

  const layer = (content, panels, name) => {
    const sources = panels.map((panel) => ({ panel, layer: panel.layers.find((each) => each.name === name) }));
    let parts = null;
    let drawn = null;
    let drawnFor = null;
    return {
      name,
      ready: Promise.all(sources.map(({ layer: { image } }) => images.load(content, image))).then((loaded) => {
        const [{ nx, ny }] = loaded;
        if (loaded.every((image) => image.nx === nx && image.ny === ny)) {
          parts = loaded.map((image, at) => ({ image, limits: sources[at].layer.limits, label: panels[at].label }));
        }
      }),
      bitmap: (state) => {
        if (parts && drawnFor !== state.overlay) [drawn, drawnFor] = [compose(parts, state.overlay), state.overlay];
        return drawn;
      },
      shape: () => parts && parts[0].image,
      longest: panels.map(({ label }) => `${label} 0.0888`).join(", "),
      read: (u, v) => (parts ?? []).map(({ image, label }) => `${label} ${format.number(images.at(image, u, v), 3)}`).join(", "),
      bar: () => null,
    };
  };

  // names of the layers that every element has as a map
  const names = (panels) => panels[0].layers.filter(({ name, colours: map }) => map === "maps"
    && panels.every((panel) => panel.layers.some((each) => each.name === name))).map(({ name }) => name);

  const toggles = (store, panels) => {
    const change = (index, part) => store.set({
      overlay: store.get().overlay.map((each, at) => (at === index ? { ...each, ...part } : each)),
    });
    return dom.element("div", { class: "toggles", role: "group", "aria-label": "elements of the overlay" },
      ...panels.map(({ label }, index) => dom.element("label", {},
        dom.element("input", { type: "checkbox", checked: true, onchange: (event) => change(index, { on: event.target.checked }) }),
        dom.element("input", {
          type: "color", value: store.get().overlay[index].colour, "aria-label": `colour of ${label}`,
          oninput: (event) => change(index, { colour: event.target.value }),
        }), label)));
  };

  return { layer, names, toggles };
})();
