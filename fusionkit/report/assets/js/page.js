"use strict";

// Builds the page from its content.
(async () => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const { element } = dom;

  const header = () => document.getElementById("header").append(...[
    element("h1", {}, content.title),
    content.verdict ? element("span", { class: `verdict ${content.level}` }, content.verdict) : null,
    element("span", { class: "spring" }), theme.toggle(),
    content.subtitle ? element("p", { class: "subtitle" }, content.subtitle) : null,
  ].filter((node) => node !== null));

  // line breaks are allowed after underscores, but neither in numbers nor between a number and its unit
  const breakable = (text) => text.split(/(?<=_|[^\d] )/).flatMap((part) =>
    (/^[-+−]?\d/.test(part) ? [element("span", { class: "number" }, part.trimEnd()), part.endsWith(" ") ? " " : ""] : [part, element("wbr")]));

  const facts = () => element("dl", { class: "facts" }, ...content.facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, ...breakable(value)))));

  const sentences = () => element("ul", { class: "sentences", "aria-label": "warnings and notes" },
    ...content.diagnostics.map(({ level, text }) =>
      element("li", { class: level }, level === "warning" ? element("strong", {}, "Warning: ") : null, text)));

  const rows = ({ head, rows: all }) => element("div", { class: "scroll", tabindex: "0", role: "group" }, element("table", { class: "plain" },
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...all.map((row) => element("tr", {}, ...row.map((text) => element("td", {}, text)))))));

  const table = (each) => element("section", {}, element("h2", {}, each.title), rows(each),
    each.note ? element("p", { class: "note" }, each.note) : null);

  const folded = (title, inside) => element("details", {}, element("summary", {}, title), inside);

  // the layers on either side of the divider: those of the elements, if any, else those of all panels
  const names = () => {
    const elements = content.panels.filter((panel) => panel.overlay);
    const all = (elements.length > 0 ? elements : content.panels).flatMap((panel) => panel.layers.map(({ name }) => name));
    return [...new Set(all)];
  };

  const start = () => ({
    mode: content.side_by_side ? "beside" : "swipe", left: names()[0], right: names()[1] ?? names()[0], split: 0.5,
    view: geometry.HOME, tool: "move", colours: "inferno", cursor: null, width: 1,
    line: Object.freeze({ u0: 0.02, v0: 0.5, u1: 0.98, v1: 0.5 }),
    overlay: content.panels.filter((panel) => panel.overlay).map((_, index) => ({ on: true, colour: colours.OVERLAY[index % 8] })),
  });

  const hint = "All images move together. Drag the divider or the image; with an image selected, arrow keys move it, "
    + "Shift and arrow keys move the crosshair, + and − or the wheel zoom, 0 shows all.";

  const main = document.getElementById("main");
  const pending = [];
  header();
  document.body.append(speech.region);
  main.replaceChildren(...(content.facts.length > 0 ? [facts()] : []), ...content.tables.filter(({ first }) => first).map(table),
    ...(content.diagnostics.length > 0 ? [sentences()] : []));
  if (content.panels.length > 0) {
    const store = makeStore(start());
    const viewer = makeViewer(content, store);
    const several = content.panels.some((panel) => panel.layers.length > 1);
    main.append(element("section", {}, element("h2", {}, "Images"), element("p", { class: "note help", id: "keys" }, hint),
      toolbar.make(store, names(), several), viewer.node));
    const profile = makeProfile(content, store, viewer);
    main.append(profile.node);
    pending.push(viewer.ready(), profile.ready);
  }
  main.append(...content.sections.map(charts.section), ...content.tables.filter(({ first }) => !first).map(table));
  main.append(...content.details.map((each) => folded(each.title, rows(each))),
    ...content.texts.map(([title, text]) => folded(title, element("pre", { tabindex: "0" }, text))));
  document.getElementById("footer").append(element("p", {}, content.precision), element("p", {}, content.footer));
  await Promise.all(pending);
  requestAnimationFrame(() => requestAnimationFrame(() => {
    document.documentElement.dataset.ready = "true";
    performance.mark("drawn");
  }));
})();
