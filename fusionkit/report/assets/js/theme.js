"use strict";

// Light or dark: as the system has it until the reader chooses; paper is light.
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
  // what is drawn on canvases has the ink of the screen until it is drawn again
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
