"use strict";

// Images as numbers: decoded when first needed, or computed from two others.
const images = (() => {
  const known = new Map();

  const bytesOf = (text) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let index = 0; index < raw.length; index += 1) bytes[index] = raw.charCodeAt(index);
    return bytes;
  };

  // reads chunks directly into the result: the stream of a blob or a response copies and waits more often
  const inflate = async (bytes, size) => {
    const stream = new DecompressionStream("deflate");
    const writer = stream.writable.getWriter();
    writer.write(bytes);
    writer.close();
    const whole = new Uint8Array(size);
    const reader = stream.readable.getReader();
    for (let at = 0; ;) {
      const { done, value } = await reader.read();
      if (done) return whole;
      whole.set(value, at);
      at += value.length;
    }
  };

  // inverts report/images.py: low bytes, then high bytes, of mapped differences along each row; not an async function,
  // since these are compiled late
  const unfold = (planes, { ny, nx, low, step, missing }) => {
    const size = ny * nx;
    const values = new Float32Array(size);
    for (let y = 0, at = 0; y < ny; y += 1) {
      let code = 0;
      for (let x = 0; x < nx; x += 1, at += 1) {
        const folded = planes[at] | (planes[size + at] << 8);
        code += (folded >>> 1) ^ -(folded & 1);
        values[at] = code === missing ? NaN : low + step * code;
      }
    }
    return { ny, nx, values };
  };

  const decode = async (head) => {
    const bytes = bytesOf(document.getElementById(`image-${head.id}`).textContent);
    return unfold(await inflate(bytes, 2 * head.ny * head.nx), head);
  };

  const combine = (first, sign, second) => {
    const values = new Float32Array(first.values.length);
    for (let at = 0; at < values.length; at += 1) values[at] = first.values[at] + sign * second.values[at];
    return { ...first, values };
  };

  // one after another, so that the first image requested is drawn first; after a first frame with the text of the page
  let last = new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const decodeNext = (image) => {
    last = last.then(() => decode(image));
    return last;
  };

  // a promise of the image of a key
  const load = (content, key) => {
    if (!known.has(key)) {
      const rule = content.derived[key];
      known.set(key, rule
        ? Promise.all([load(content, rule.first), load(content, rule.second)])
          .then(([first, second]) => combine(first, rule.sign, second))
        : decodeNext(content.images[key]));
    }
    return known.get(key);
  };

  // the value at u, v in [0, 1)
  const at = (image, u, v) => {
    const x = Math.floor(u * image.nx);
    const y = Math.floor(v * image.ny);
    return x < 0 || y < 0 || x >= image.nx || y >= image.ny ? NaN : image.values[y * image.nx + x];
  };

  return { load, at };
})();
