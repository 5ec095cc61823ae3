"use strict";

// Creates elements; text is inserted as text, never as HTML.
const dom = (() => {
  const element = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  };

  // a labelled group of radio buttons; `choose` is called with the value
  const radios = (legend, name, options, chosen, choose) =>
    element("fieldset", {}, element("legend", {}, legend), ...options.map(([value, text]) =>
      element("label", {}, element("input", {
        type: "radio", name, value, checked: value === chosen, onchange: () => choose(value),
      }), text)));

  const select = (label, options, chosen, choose) => {
    const node = element("select", { "aria-label": label, title: chosen, onchange: () => {
      node.title = node.value;  // the field may be too narrow for a long name
      choose(node.value);
    } }, ...options.map(([value, text]) => element("option", { value, selected: value === chosen }, text)));
    return node;
  };

  return { element, radios, select };
})();
