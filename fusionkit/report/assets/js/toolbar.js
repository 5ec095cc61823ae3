"use strict";

// The controls of all images: layers to compare, divider, zoom, colours, and the effect of dragging.
const toolbar = (() => {
  const modes = (store) => dom.radios("View", "mode", [["swipe", "slider"], ["beside", "side by side"]],
    store.get().mode, (mode) => store.set({ mode }));

  const slider = (store) => {
    const input = dom.element("input", {
      type: "range", id: "split", min: "0", max: "100", step: "1", "aria-label": "position of the divider between left and right",
      oninput: () => store.set({ split: Number(input.value) / 100 }),
    });
    store.listen(({ split }) => {
      input.value = String(Math.round(100 * split));
    });
    return input;
  };

  const swipe = (store, names) => {
    const options = names.map((name) => [name, name]);
    const { left, right } = store.get();
    const node = dom.element("div", { class: "split" },
      dom.select("left of the divider", options, left, (value) => store.set({ left: value })),
      slider(store),
      dom.select("right of the divider", options, right, (value) => store.set({ right: value })));
    store.listen(({ mode }) => {
      node.hidden = mode !== "swipe";
    });
    return node;
  };

  const tools = (store) => dom.radios("Drag", "tool", [["move", "image"], ["line", "profile line"]],
    store.get().tool, (tool) => store.set({ tool }));

  const zoom = (store) => {
    const button = (text, label, change) => dom.element("button", {
      type: "button", "aria-label": label, title: label, onclick: () => store.set({ view: change(store.get().view) }),
    }, text);
    const shown = dom.element("output", { "aria-label": "zoom" });
    store.listen(({ view }) => {
      shown.textContent = `${format.number(view.zoom, 3)}×`;
    });
    return dom.element("fieldset", {}, dom.element("legend", {}, "Zoom"),
      button("−", "zoom out", (view) => geometry.zoomed(view, 1 / 1.5)), shown,
      button("+", "zoom in", (view) => geometry.zoomed(view, 1.5)),
      button("whole", "show the whole field of view", () => geometry.HOME));
  };

  const palette = (store) => dom.element("label", {}, "Colours", dom.select("colour map of the maps",
    [["inferno", "inferno"], ["viridis", "viridis"], ["gray", "grey"]], store.get().colours,
    (value) => store.set({ colours: value })));

  const make = (store, names, several) => dom.element("div", { class: "toolbar", role: "group", "aria-label": "image controls" },
    several ? modes(store) : null, several ? swipe(store, names) : null, tools(store), zoom(store), palette(store));

  return { make };
})();
