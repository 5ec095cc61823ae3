"use strict";

// Elements by one call; texts go in as text, never as HTML.
const dom = (() => {
  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };

  // a labelled group of radio buttons; `choose` gets the value
  const radios = (legend, name, options, chosen, choose) =>
    element("fieldset", {}, element("legend", {}, legend), ...options.map(([value, text]) =>
      element("label", {}, element("input", {
        type: "radio", name, value, checked: value === chosen, onchange: () => choose(value),
      }), text)));

  const select = (label, options, chosen, choose) => {
    const made = element("select", { "aria-label": label, title: chosen, onchange: () => {
      made.title = made.value;  // the field may be too narrow for a long name
      choose(made.value);
    } }, ...options.map(([value, text]) => element("option", { value, selected: value === chosen }, text)));
    return made;
  };

  return { element, radios, select };
})();
