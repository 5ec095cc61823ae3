"use strict";

// The legend of a chart, whose entries toggle curves by mouse or keyboard.
const legend = (() => {
  // without the first entry, that of the x axis, which has no curve
  const entries = ({ root }) => [...root.querySelectorAll(".u-legend .u-series th")].slice(1);

  // marks the entries of visible curves for screen readers
  const markPressed = (plot) => entries(plot).forEach((entry, at) => entry.setAttribute("aria-pressed", String(plot.series[at + 1].show)));

  const makeFocusable = (plot) => {
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
    markPressed(plot);
  };

  return { markPressed, makeFocusable };
})();
