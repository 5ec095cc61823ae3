"use strict";

// The legend of a chart: its entries switch curves off and on, by keyboard too.
const legend = (() => {
  // that of the x axis, which cannot be switched off, comes first
  const entries = ({ root }) => [...root.querySelectorAll(".u-legend .u-series th")].slice(1);

  // tells which curves are shown
  const pressed = (plot) => entries(plot).forEach((entry, at) => entry.setAttribute("aria-pressed", String(plot.series[at + 1].show)));

  const reachable = (plot) => {
    for (const entry of entries(plot)) {
      entry.setAttribute("tabindex", "0");
      entry.setAttribute("role", "button");
      entry.setAttribute("title", `${entry.textContent}: show or hide`);
      entry.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          entry.click();
        }
      });
    }
    pressed(plot);
  };

  return { pressed, reachable };
})();
