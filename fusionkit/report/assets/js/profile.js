"use strict";

// Line profiles: the values of all layers along the line that the reader draws.
const makeProfile = (content, store, viewer) => {
  const [ny, nx] = content.pixels;

  const groups = () => {
    const byTitle = new Map();
    for (const panel of content.panels) {
      const kept = panel.layers.filter(({ profile }) => profile);
      if (kept.length === 0) continue;
      byTitle.set(panel.profiles, [...(byTitle.get(panel.profiles) ?? []), { panel, kept }]);
    }
    return [...byTitle.entries()];
  };

  const traces = (members) => members.flatMap(({ panel, kept }, of) => kept.map((layer, at) => ({
    name: members.length > 1 ? `${panel.label} ${layer.name}` : layer.name,
    style: layer.profile, colour: members.length > 1 ? of : at, key: layer.image,
  })));

  const chartOf = (title, members) => {
    const rows = traces(members);
    const base = {
      title, x_label: `distance (${viewer.unit})`, y_label: members[0].panel.unit, log: false, ticks: [], note: "",
    };
    const made = charts.show({ ...base, curves: rows.map((row) => ({ ...row, x: [0, 1], y: [null, null] })) });
    let loaded = null;
    const draw = ({ line, width }) => {
      if (!loaded) return;
      const { distances, places } = sampling.points(line, width, content.pixels);
      const x = distances.map((distance) => distance * viewer.perPixel);
      made.update({ ...base, curves: rows.map((row, at) => ({ ...row, x, y: sampling.values(loaded[at], places) })) });
    };
    const ready = Promise.all(rows.map(({ key }) => images.load(content, key))).then((all) => {
      loaded = all;
      draw(store.get());
    });
    return { node: made.node, draw, ready };
  };

  const made = groups().map(([title, members]) => chartOf(title, members));

  // a number field; shows the value in use, which stays as it was if the input is not a number
  const field = (bounds, read, change) => {
    const input = dom.element("input", { type: "number", ...bounds, onchange: () => {
      if (Number.isFinite(input.valueAsNumber)) change(Math.min(Math.max(input.valueAsNumber, bounds.min), bounds.max));
      input.value = read(store.get());
    } });
    store.listen((state) => {
      if (document.activeElement !== input) input.value = read(state);
    });
    return input;
  };

  // the ends as numbers, for the keyboard and to repeat a line
  const fields = () => {
    const ends = [["x0", "u0", nx], ["y0", "v0", ny], ["x1", "u1", nx], ["y1", "v1", ny]];
    const width = field({ min: 1, max: 200, step: 1 }, (state) => String(state.width), (value) => store.set({ width: Math.round(value) }));
    return dom.element("div", { class: "line-fields", role: "group", "aria-label": "ends of the line, in pixels" },
      ...ends.map(([name, key, size]) => dom.element("label", {}, `${name} (px)`, field({ min: 0, max: size, step: "any" },
        (state) => String(Number((state.line[key] * size).toFixed(1))),
        (value) => store.set({ line: geometry.line({ ...store.get().line, [key]: value / size }, store.get().line) })))),
      dom.element("label", {}, "width (px)", width));
  };

  let drawnFor = null;
  store.listen((state) => {
    if (drawnFor && drawnFor.line === state.line && drawnFor.width === state.width) return;
    drawnFor = state;
    for (const chart of made) chart.draw(state);
  });
  const hint = "Choose “profile line” above and drag over any image, or type the ends. "
    + "Values are averaged over the width of the line.";
  const node = dom.element("section", {}, dom.element("h2", {}, "Profile along the line"),
    dom.element("p", { class: "note help" }, hint), fields(), dom.element("div", { class: "charts wide" }, ...made.map((chart) => chart.node)));
  return { node, ready: Promise.all(made.map(({ ready }) => ready)) };
};
