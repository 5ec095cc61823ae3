"use strict";

// An image on the page: one layer, or two with a divider; scale bar, crosshair, profile line and colour bars.
const makePane = (content, store, label, chosen, aspect, controls) => {
  // the role application, since a screen reader does not pass arrow keys on to an image
  const canvas = dom.element("canvas", { tabindex: "0", role: "application", "aria-roledescription": "image", "aria-describedby": "keys" });
  const values = (read) => chosen.map((layer) => `${layer.name} ${read(layer)}`);
  // the longest readout reserves the space, so that nothing below moves
  const room = [controls.longest, ...values((layer) => layer.longest)].join(" · ");
  const text = dom.element("span");
  const readout = dom.element("div", { class: "readout" }, dom.element("span", { class: "room", "aria-hidden": "true" }, room), text);
  const bars = dom.element("div", { class: "bars" });
  const node = dom.element("figure", {}, dom.element("div", { class: "stage" }, canvas), bars, readout);
  canvas.style.aspectRatio = String(Math.min(Math.max(aspect, 0.5), 5));
  let ratio = 1;
  let barsShown = "";

  const frameOf = (state) => geometry.frame(state.view, canvas.width, canvas.height, aspect);

  // text on a dark background, readable on any image
  const write = (pen, text, x, y) => {
    const wide = pen.measureText(text).width;
    const left = pen.textAlign === "right" ? x - wide : x;
    pen.fillStyle = "#000a";
    pen.beginPath();
    pen.roundRect(left - 5 * ratio, y - 3 * ratio, wide + 10 * ratio, 19 * ratio, 4 * ratio);
    pen.fill();
    pen.fillStyle = "#fff";
    pen.fillText(text, x, y);
  };

  const drawLayer = (pen, state, frame, layer, left, right) => {
    const bitmap = layer.bitmap(state);
    if (!bitmap || right <= left) return;
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, right - left, canvas.height);
    pen.clip();
    // averages if the screen has fewer pixels than the image, sharp pixels if it has more
    pen.imageSmoothingEnabled = frame.scaleX < bitmap.width;
    pen.imageSmoothingQuality = "medium";
    pen.drawImage(bitmap, frame.toX(0), frame.toY(0), frame.scaleX, frame.scaleY);
    pen.restore();
  };

  // shortens a text in its middle to fit a width, since names of runs differ at their ends
  const shorten = (pen, text, width) => {
    let short = text;
    for (let kept = text.length - 1; kept > 2 && pen.measureText(short).width > width; kept -= 1) {
      short = `${text.slice(0, Math.ceil(kept / 2))}…${text.slice(-Math.floor(kept / 2))}`;
    }
    return short;
  };

  const drawNames = (pen, split) => {
    pen.textBaseline = "top";
    const edge = 8 * ratio;
    const names = chosen.map(({ name }) => name);
    const [first, second] = names.map((name) => shorten(pen, name, canvas.width / names.length - 2 * edge));
    canvas.title = first === names[0] && second === names[1] ? "" : names.join(" | ");
    pen.textAlign = "left";
    if (second === undefined || split > pen.measureText(first).width + 2 * edge) write(pen, first, edge, edge);
    if (second === undefined) return;
    pen.textAlign = "right";
    if (canvas.width - split > pen.measureText(second).width + 2 * edge) write(pen, second, canvas.width - edge, edge);
  };

  const drawDivider = (pen, split) => {
    pen.fillStyle = "#000a";
    pen.fillRect(split - 2 * ratio, 0, 4 * ratio, canvas.height);
    pen.fillStyle = "#fff";
    pen.fillRect(split - ratio, 0, 2 * ratio, canvas.height);
    pen.beginPath();
    pen.arc(split, 0.7 * canvas.height, 8 * ratio, 0, 2 * Math.PI);
    pen.fill();
    pen.lineWidth = 1.5 * ratio;
    pen.strokeStyle = "#000a";
    pen.stroke();
  };

  const drawScale = (pen, frame) => {
    const perPixel = content.field_width ? content.field_width / frame.scaleX : 1 / (frame.scaleX / controls.nx());
    const length = format.round((canvas.width / 4) * perPixel);
    const wide = length / perPixel;
    const [x, y] = [12 * ratio, canvas.height - 12 * ratio];
    pen.fillStyle = "#000a";
    pen.fillRect(x - 2 * ratio, y - 2 * ratio, wide + 4 * ratio, 8 * ratio);
    pen.fillStyle = "#fff";
    pen.fillRect(x, y, wide, 4 * ratio);
    pen.textAlign = "left";
    pen.textBaseline = "top";
    write(pen, format.length(length, content.field_width ? content.units ?? "" : "px"), x + 3 * ratio, y - 19 * ratio);
  };

  const drawLine = (pen, frame, { u0, v0, u1, v1 }) => {
    const [x0, y0, x1, y1] = [frame.toX(u0), frame.toY(v0), frame.toX(u1), frame.toY(v1)];
    for (const [width, colour] of [[3.5, "#0008"], [1.5, "#4df0ff"]]) {
      pen.lineWidth = width * ratio;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.moveTo(x0, y0);
      pen.lineTo(x1, y1);
      pen.stroke();
    }
    for (const [x, y, filled] of [[x0, y0, true], [x1, y1, false]]) {
      pen.beginPath();
      pen.arc(x, y, 4.5 * ratio, 0, 2 * Math.PI);
      pen.fillStyle = filled ? "#4df0ff" : "#000";
      pen.fill();
      pen.strokeStyle = filled ? "#000a" : "#4df0ff";
      pen.lineWidth = 2 * ratio;
      pen.stroke();
    }
  };

  const drawCross = (pen, frame, { u, v }) => {
    const [x, y] = [frame.toX(u), frame.toY(v)];
    for (const [width, colour] of [[3, "#0008"], [1, "#fff"]]) {
      pen.lineWidth = width * ratio;
      pen.strokeStyle = colour;
      pen.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        pen.moveTo(x + 4 * dx * ratio, y + 4 * dy * ratio);
        pen.lineTo(x + 11 * dx * ratio, y + 11 * dy * ratio);
      }
      pen.stroke();
    }
  };

  const drawBars = (state) => {
    const wanted = chosen.map((layer) => layer.bar(state)).filter((bar) => bar !== null);
    const text = JSON.stringify(wanted);
    if (text === barsShown) return;
    barsShown = text;
    const unique = new Map();  // layers with the same colours share a bar
    for (const { beyond, ...same } of wanted) {
      const key = JSON.stringify(same);
      const former = unique.get(key)?.beyond ?? [false, false];
      unique.set(key, { ...same, beyond: former.map((any, end) => any || beyond[end]) });
    }
    bars.replaceChildren(...[...unique.values()].map(controls.bar));
  };

  const reading = ({ cursor }) =>
    (cursor ? [controls.place(cursor), ...values((layer) => layer.read(cursor.u, cursor.v))].join(" · ") : "");

  const draw = (state) => {
    if (!canvas.isConnected || canvas.width === 0) return;
    const pen = canvas.getContext("2d");
    const frame = frameOf(state);
    const split = chosen.length > 1 ? state.split * canvas.width : canvas.width;
    pen.fillStyle = "#808080";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.font = `600 ${12.5 * ratio}px system-ui, sans-serif`;
    drawLayer(pen, state, frame, chosen[0], 0, split);
    if (chosen.length > 1) {
      drawLayer(pen, state, frame, chosen[1], split, canvas.width);
      drawDivider(pen, split);
    }
    if (state.line) drawLine(pen, frame, state.line);
    if (state.cursor) drawCross(pen, frame, state.cursor);
    drawNames(pen, split);
    drawScale(pen, frame);
    drawBars(state);
    text.textContent = reading(state);
    canvas.classList.toggle("moves", state.tool === "move");
    canvas.classList.toggle("zoomed", state.view.zoom > 1 || state.tool === "line");
  };

  const shown = chosen.map(({ name }) => name);
  canvas.setAttribute("aria-label", shown.length > 1
    ? `${label}: ${shown[0]} left of the divider, ${shown[1]} right of it`
    : `${label}: ${shown[0]}`);
  const observer = new ResizeObserver(() => {
    ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    draw(store.get());
  });
  observer.observe(canvas);
  const gestures = attachGestures(canvas, store, {
    frame: () => frameOf(store.get()), ratio: () => ratio, swipes: chosen.length > 1, step: controls.step,
    reading: () => reading(store.get()),
  });
  store.listen(draw);
  return {
    node,
    ready: Promise.all(chosen.map(({ ready }) => ready)).then(() => draw(store.get())),
    remove: () => {
      store.forget(draw);
      observer.disconnect();
      gestures.abort();
    },
  };
};
