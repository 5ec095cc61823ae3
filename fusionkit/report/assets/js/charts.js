"use strict";

// Draws charts of the content by uPlot, and adapts them to width and theme.
const charts = (() => {
  const HEIGHT = 250;

  const colourOf = (curve, index, ink) =>
    curve.style === "bold" ? ink : colours.SERIES[(curve.colour ?? index) % colours.SERIES.length];

  const series = (curve, index) => {
    const stroke = colourOf(curve, index, () => theme.ink("ink"));
    const base = {
      label: curve.name, stroke, width: curve.style === "bold" ? 2.2 : 1.5, points: { show: (plot) => plot.data[0].length <= 12, size: 5 },
      spanGaps: false, value: (_, value) => format.number(value),
    };
    if (curve.style === "bars") {
      return { ...base, fill: `${colours.SERIES[index]}88`, width: 0, paths: uPlot.paths.bars({ size: [0.92, 60] }), points: { show: false } };
    }
    if (curve.style === "points") return { ...base, paths: () => null, points: { show: true, size: curve.x.length <= 40 ? 9 : 5, fill: stroke } };
    if (curve.style === "dashed") return { ...base, dash: [6, 4], points: { show: false } };
    if (curve.style === "thin") return { ...base, width: 1, alpha: 0.55, points: { show: false } };
    return base;
  };

  const axis = (label, extra) => ({
    label, stroke: () => theme.ink("soft"), grid: { stroke: () => theme.ink("grid"), width: 1 },
    ticks: { stroke: () => theme.ink("line"), width: 1, size: 5 }, font: "12px system-ui, sans-serif",
    labelFont: "12.5px system-ui, sans-serif", labelSize: 20, labelGap: 2, values: (_, ticks) => ticks.map(format.tick),
    ...extra,
  });

  // on a logarithmic axis only powers of ten get a line and a number; if there are fewer than two, numbers far enough apart
  const isDecade = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-6;
  const apart = ({ scales: { y } }, ticks) => {
    const least = Math.log(y.max / y.min) / 7;
    let last = -Infinity;
    return ticks.map((value) => (value !== null && Math.log(value) - last >= least ? (last = Math.log(value), value) : null));
  };
  const decades = (plot, ticks) =>
    apart(plot, ticks.filter(isDecade).length < 2 ? ticks : ticks.map((value) => (isDecade(value) ? value : null)));

  const logarithmic = () => ({
    filter: decades,
    grid: { stroke: () => theme.ink("grid"), width: 1, filter: decades },
    ticks: { stroke: () => theme.ink("line"), width: 1, size: 5, filter: decades },
  });

  // width of the longest number in pixels
  const roomFor = (_, values) => 16 + 7 * Math.max(2, ...(values ?? []).map((value) => (value ?? "").length));

  // uPlot counts its ticks from the low end, which is therefore rounded
  const rounded = (low) => {
    const decade = 10 ** Math.floor(Math.log10(low));
    return Math.floor(low / decade + 1e-9) * decade;
  };

  const yRange = (log) => (_, low, high) => {
    if (low === null || high === null) return log ? [0.1, 1] : [0, 1];
    if (log) return low === high ? [rounded(low / 2), high * 2] : [rounded(low / 1.3), high * 1.3];
    const margin = 0.06 * (high - low) || Math.abs(high) / 10 || 1;
    return [low >= 0 && low < 0.4 * high ? 0 : low - margin, high + margin];
  };

  const xRange = (bars) => (_, low, high) => {
    if (low === null) return [0, 1];
    const margin = bars ? 0.7 : low === high ? 1 : 0;
    return [low - margin, high + margin];
  };

  // a sample of each line in the legend
  const widthOf = (curve) => ({ bold: 4, thin: 1, dashed: 2, points: 4, bars: 8 })[curve?.style] ?? 3;
  const dashOf = (curve) => ({ dashed: "dashed", points: "dotted" })[curve?.style] ?? "solid";

  // made once, unlike the chart, so their ink is a variable of the style
  const markers = (curves) => ({
    width: (_, at) => widthOf(curves[at - 1]), dash: (_, at) => dashOf(curves[at - 1]),
    stroke: (_, at) => (at > 0 ? colourOf(curves[at - 1], at - 1, "var(--ink)") : null),
  });

  const options = (chart, width) => {
    const bars = chart.ticks.length > 0;
    const names = bars
      ? { splits: () => chart.ticks.map((_, index) => index), values: (_, at) => at.map((index) => chart.ticks[index] ?? "") }
      : {};
    return {
      width, height: HEIGHT, scales: {
        x: { time: false, range: xRange(bars) }, y: { distr: chart.log ? 3 : 1, range: yRange(chart.log) },
      },
      axes: [axis(chart.x_label, { size: 34, ...names }), axis(chart.y_label, { size: roomFor, ...(chart.log ? logarithmic() : {}) })],
      series: [{ label: chart.x_label || "name", value: (_, value) => (bars ? chart.ticks[value] ?? "–" : format.number(value)) },
        ...chart.curves.map(series)],
      legend: { live: true, markers: markers(chart.curves) },
      cursor: { drag: { x: true, y: false } },
      hooks: { setSeries: [legend.markPressed] },
    };
  };

  const positive = (values, log) => (log ? values.map((value) => (value > 0 ? value : null)) : values);

  // uPlot needs a common x axis
  const dataOf = (chart) => {
    const [first] = chart.curves;
    const tables = chart.curves.map(({ x, y }) => [x, positive(y, chart.log)]);
    const isCommon = chart.curves.every(({ x }) => x === first.x || (x.length === first.x.length && x.every((value, at) => value === first.x[at])));
    return isCommon ? [first.x, ...tables.map(([, y]) => y)] : uPlot.join(tables, tables.map(() => [2]));
  };

  // shows a chart; `update` replaces its data
  const show = (chart) => {
    const label = `${chart.title}: ${chart.curves.map(({ name }) => name).join(", ")} against ${chart.x_label || "name"}`;
    const place = dom.element("div", { class: "plot", role: "group", "aria-label": chart.title });
    let shown = chart;
    let plot = null;
    const build = () => {
      if (place.clientWidth === 0) return;
      plot = new uPlot(options(shown, place.clientWidth), dataOf(shown), place);
      legend.makeFocusable(plot);
      attachChartKeys(plot, label);
    };
    new ResizeObserver(() => {
      if (plot) plot.setSize({ width: place.clientWidth, height: HEIGHT });
      else build();
    }).observe(place);
    theme.listen(() => plot?.redraw(false));  // keeps hidden curves and zoom
    const update = (next) => {
      shown = next;
      plot?.setData(dataOf(shown));
    };
    const note = chart.note ? dom.element("p", { class: "note" }, chart.note) : null;
    return { node: dom.element("div", { class: "chart" }, dom.element("h3", {}, chart.title), place, note), update };
  };

  const section = ({ title, note, charts: all }) =>
    dom.element("section", {}, dom.element("h2", {}, title), note ? dom.element("p", { class: "note" }, note) : null,
      dom.element("div", { class: "charts" }, ...all.map((chart) => show(chart).node)));

  return { show, section };
})();
