"use strict";

// Announces text to screen readers, after a pause in the key presses.
const speech = (() => {
  const PAUSE = 300;  // ms, so that a held key is not read out pixel by pixel
  const region = dom.element("div", { class: "unseen", role: "status", "aria-live": "polite" });
  let timer = 0;
  const say = (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => region.replaceChildren(text), PAUSE);
  };
  return { region, say };
})();
