"use strict";

// Images as numbers: decoded from the page when they are first needed, or computed from two others.
const images = (() => {
  const known = new Map();

  const bytesOf = (text) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let index = 0; index < raw.length; index += 1) bytes[index] = raw.charCodeAt(index);
    return bytes;
  };

  const inflate = async (bytes) => {
    const stream = new DecompressionStream("deflate");
    const writer = stream.writable.getWriter();
    writer.write(bytes);  // in one piece: a stream of a blob comes in many, each with its own wait
    writer.close();
    return new Uint8Array(await new Response(stream.readable).arrayBuffer());
  };

  // low bytes, then high bytes, of folded differences along each row; no async function, which is compiled late
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

  const decode = async (head) => unfold(await inflate(bytesOf(document.getElementById(`image-${head.id}`).textContent)), head);

  const combine = (first, sign, second) => {
    const values = new Float32Array(first.values.length);
    for (let at = 0; at < values.length; at += 1) values[at] = first.values[at] + sign * second.values[at];
    return { ...first, values };
  };

  // one after another: what is asked for first is shown first
  let last = Promise.resolve();
  const decodeNext = (image) => {
    last = last.then(() => decode(image));
    return last;
  };

  // the image of a key, a promise
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

  // value at u, v in [0, 1) of width and height
  const at = (image, u, v) => {
    const x = Math.floor(u * image.nx);
    const y = Math.floor(v * image.ny);
    return x < 0 || y < 0 || x >= image.nx || y >= image.ny ? NaN : image.values[y * image.nx + x];
  };

  return { load, at };
})();
