"use strict";

// Numbers and lengths as text.
const format = (() => {
  const LONGEST = "−0.008888";  // text that `number` returns by default

  const minus = (text) => text.replace("-", "−");

  const number = (value, digits = 4) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e5 || size < 1e-3) return minus(value.toExponential(Math.max(digits - 2, 0)));
    return minus(String(Number(value.toPrecision(digits))));
  };

  // for axes, where powers of ten are short
  const tick = (value) => {
    if (value === null || value === undefined) return "";
    const size = Math.abs(value);
    if (value !== 0 && (size >= 1e5 || size < 1e-3)) return minus(value.toExponential().replace("e+", "e"));
    return minus(String(Number(value.toPrecision(6))));
  };

  // the largest of 1, 2 or 5 times a power of ten that is at most `width`
  const round = (width) => {
    const decade = 10 ** Math.floor(Math.log10(width));
    return decade * [5, 2, 1].find((factor) => factor * decade <= width * (1 + 1e-9));
  };

  const length = (value, units) =>
    units === "nm" && value >= 1000 ? `${number(value / 1000, 3)} µm` : `${number(value, 3)} ${units}`;

  return { LONGEST, number, tick, round, length };
})();
