"use strict";

// What a screen reader is told: one line for the whole page, when the keys rest.
const speech = (() => {
  const PAUSE = 300;  // ms, so that a held key is not read pixel by pixel
  const region = dom.element("div", { class: "unseen", role: "status", "aria-live": "polite" });
  let waiting = 0;
  const say = (text) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => region.replaceChildren(text), PAUSE);
  };
  return { region, say };
})();
