"use strict";

// Layers of a pane: a bitmap as large as the image, values under the cursor, and a colour bar.
const layers = (() => {
  const bitmapOf = (image, words) => {
    const canvas = new OffscreenCanvas(image.nx, image.ny);
    canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(words.buffer), image.nx, image.ny), 0, 0);
    return canvas;
  };

  const paint = (image, [low, high], name) => {
    const table = colours.table(name);
    const factor = 255.999 / (high - low);
    const { values } = image;
    const words = new Uint32Array(values.length);
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index];
      if (value === value) {  // not NaN
        const place = ((value - low) * factor) | 0;
        words[index] = table[value <= low ? 0 : value >= high ? 255 : place];
      } else {
        words[index] = colours.MISSING;
      }
    }
    return bitmapOf(image, words);
  };

  const mapOf = (layer, state) => (layer.colours === "maps" ? state.colours : layer.colours);

  // an image of a panel, drawn in the colours of the state
  const plain = (content, panel, layer) => {
    let image = null;
    let drawn = null;
    let drawnIn = "";
    return {
      name: layer.name,
      ready: images.load(content, layer.image).then((loaded) => { image = loaded; }),
      bitmap: (state) => {
        const map = mapOf(layer, state);
        if (image && drawnIn !== map) [drawn, drawnIn] = [paint(image, layer.limits, map), map];
        return drawn;
      },
      shape: () => image,
      longest: `${format.LONGEST} ${panel.unit}`,
      read: (u, v) => (image ? `${format.number(images.at(image, u, v))} ${panel.unit}` : "…"),
      bar: (state) => ({ map: mapOf(layer, state), limits: layer.limits, beyond: layer.beyond, unit: panel.unit }),
    };
  };

  return { plain, bitmapOf };
})();
