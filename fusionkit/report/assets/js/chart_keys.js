"use strict";

// Keys on a chart, for what dragging does with the mouse.
const attachChartKeys = (plot, label) => {
  const whole = () => plot.setData(plot.data);

  // shows the part of the axis from `low`, as wide as `width`, within the data
  const show = (low, width) => {
    const [first, last] = [plot.data[0][0], plot.data[0].at(-1)];
    if (width >= last - first) return whole();
    if (width < (last - first) / 1000) return undefined;
    const from = Math.min(Math.max(low, first), last - width);
    return plot.setScale("x", { min: from, max: from + width });
  };

  const zoom = (factor) => {
    const { min, max } = plot.scales.x;
    const width = (max - min) / factor;
    show((min + max - width) / 2, width);
  };

  const move = (share) => {
    const { min, max } = plot.scales.x;
    show(min + share * (max - min), max - min);
  };

  const KEYS = {
    "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: whole,
    ArrowLeft: () => move(-0.1), ArrowRight: () => move(0.1),
  };
  const attributes = {
    tabindex: "0", role: "application", "aria-roledescription": "chart", "aria-label": label,
    "aria-description": "+ and − zoom, ← and → move, 0 shows all",  // shown by the style while the chart has the keyboard focus
  };
  for (const [name, value] of Object.entries(attributes)) plot.over.setAttribute(name, value);
  plot.over.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
};
