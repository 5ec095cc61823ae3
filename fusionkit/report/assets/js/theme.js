"use strict";

// Light or dark: that of the system until the reader chooses; light for printing.
const theme = (() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const listeners = [];
  let chosen = null;
  let printing = false;

  const current = () => (printing ? "light" : chosen ?? (system.matches ? "dark" : "light"));
  const apply = () => {
    document.documentElement.dataset.theme = current();
    for (const listener of listeners) listener();
  };
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  system.addEventListener("change", apply);
  // canvases keep the ink of the screen until they are redrawn
  for (const [event, begins] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(event, () => {
      printing = begins;
      apply();
    });
  }
  apply();

  const toggle = () => {
    const button = dom.element("button", { type: "button", id: "theme", onclick: () => {
      chosen = current() === "dark" ? "light" : "dark";
      apply();
    } });
    const label = () => {
      const other = current() === "dark" ? "Light" : "Dark";
      button.textContent = `${other} colours`;
    };
    listeners.push(label);
    label();
    return button;
  };

  return { toggle, ink, listen: (listener) => listeners.push(listener) };
})();
