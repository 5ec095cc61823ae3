"use strict";

// Colour maps: evenly spaced samples of matplotlib's inferno, viridis and RdBu_r, interpolated to 256 colours.
const colours = (() => {
  const SAMPLES = {
    inferno:
      "00000402010a04031207051b0b072410092d150b371b0c41210c4a280b532f0a5b3609613d0965440a684a0c6b510e6c57106e5d126e64156e6a176e71196e771c6d7d1e6d84206b8a226a9025689727669d2964a32c61a92e5eb0315bb63458bc3754c13a50c73e4ccc4248d24644d74b3fdb503be05536e45a31e8602deb6628ef6c23f1731df47918f68013f8870ef98e09fb9606fb9d07fca50afcac11fcb418fbbc21fac42af9cb35f7d340f5db4cf3e35af2ea69f1f179f3f68af8fb9afcffa4",
    viridis:
      "44015446075a470d6047136548186a481d6f482374482878472d7b46327e453781443b844240864045883e49893d4e8a3b528b39568c375b8d355f8d33638d31678e2f6b8e2e6f8e2c728e2a768e297a8e277e8e26828e25858e23898e228d8d21918c1f948c1f988b1e9c891fa08820a38622a78525ab8228ae802db27d32b67a38b9773fbc7346c06f4ec36b56c6675ec96267cc5c70cf577ad15184d44b8ed64598d83ea2da37addc30b8de29c2df23cde11dd8e219e2e418ece51bf6e620fde725",
    gray: "000000ffffff",
    diverging:
      "0530610e41791752901f63a82a71b23480b93f8ec0529dc86bacd184bcd99bc9e0aed3e6c2ddecd4e6f1e0ecf3ecf2f5f7f6f6f9eee7fbe5d8fddcc9fbccb4f8bb9ef5aa89ee9677e48066db6b55d05548c53e3dba2832ab162a930e267c072267001f",
  };
  const MISSING = 0xff999999;
  // of elements and curves: distinct on light and dark backgrounds
  const SERIES = ["#2f86eb", "#e8751a", "#1fa35b", "#d6409f", "#8e6cf0", "#b08a00", "#12a5b5", "#e5484d"];
  // of the overlay: the first three add up to white
  const OVERLAY = ["#ff4b3e", "#35d04f", "#3f7bff", "#ffd21f", "#ff4fd8", "#2be3e3", "#ff9c33", "#ffffff"];
  const tables = new Map();

  const channels = (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));

  // the 256 colours of a map as the 32-bit words of image data
  const table = (name) => {
    if (!tables.has(name)) {
      const text = SAMPLES[name];
      const last = text.length / 6 - 1;
      const words = new Uint32Array(256);
      for (let index = 0; index < 256; index += 1) {
        const place = (index / 255) * last;
        const left = Math.min(Math.floor(place), last - 1);
        const [a, b] = [left, left + 1].map((at) => channels(text.slice(6 * at, 6 * at + 6)));
        const [r, g, bl] = a.map((value, k) => Math.round(value + (place - left) * (b[k] - value)));
        words[index] = (255 << 24) | (bl << 16) | (g << 8) | r;
      }
      tables.set(name, words);
    }
    return tables.get(name);
  };

  const css = (word) => `rgb(${word & 255} ${(word >> 8) & 255} ${(word >> 16) & 255})`;

  return { table, css, channels, MISSING, SERIES, OVERLAY };
})();
