"use strict";
/* The figures of a proposal's page: predicted beside measured, and the learning curves. */
(() => {
  const { chart, axis } = archer;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const unit = figures.unit;

  function span(colour, offset, hollow) {
    return (_, api) => {
      const row = api.value(3);
      const [left, y] = api.coord([api.value(1), row]);
      const [right] = api.coord([api.value(2), row]);
      const [middle] = api.coord([api.value(0), row]);
      const at = y + offset;
      const line = { stroke: colour, lineWidth: 3, fill: null };
      const ends = [left, right].map((x) => ({ type: "line", shape: { x1: x, y1: at - 4, x2: x, y2: at + 4 }, style: { ...line, lineWidth: 2 } }));
      return { type: "group", children: [
        { type: "line", shape: { x1: left, y1: at, x2: right, y2: at }, style: line }, ...ends,
        { type: "circle", shape: { cx: middle, cy: at, r: 5 }, style: { fill: hollow, stroke: colour, lineWidth: 2.5 } },
      ] };
    };
  }

  function intervals(colour, narrow) {
    const rows = figures.intervals;
    const values = (key) => rows.flatMap((row, at) => (row[key] ? [[...row[key].slice(0, 3).map((x) => x / unit), at]] : []));
    const points = (key) => rows.flatMap((row, at) => (row[key] === null ? [] : [[row[key] / unit, at]]));
    const told = ({ seriesName, value }) => (value.length > 2
      ? `${seriesName}: ${archer.accuracy(value[0])} [${archer.accuracy(value[1])}, ${archer.accuracy(value[2])}]`
      : `${seriesName}: ${archer.accuracy(value[0])}`);
    return {
      legend: { top: 0, textStyle: { color: colour("ink") }, itemGap: narrow ? 8 : 18 },
      tooltip: { trigger: "item", formatter: told },
      grid: { left: narrow ? 8 : 12, right: 16, top: narrow ? 64 : 40, bottom: 8, containLabel: true },
      xAxis: axis({ type: "value", min: 0, max: 1 }),
      yAxis: axis({ type: "category", inverse: true, data: rows.map((row) => row.task), axisTick: { show: false }, splitLine: { show: true, lineStyle: { color: colour("line") } }, axisLabel: { color: colour("ink") } }),
      series: [
        { name: "predicted, 80 %", type: "custom", color: colour("inert"), renderItem: span(colour("inert"), -9, colour("card")), data: values("predicted"), encode: { x: [0, 1, 2], y: 3 } },
        { name: "measured, 95 %", type: "custom", color: colour("ours"), renderItem: span(colour("ours"), 9, colour("ours")), data: values("measured"), encode: { x: [0, 1, 2], y: 3 } },
        { name: "parent", type: "scatter", symbol: "triangle", symbolSize: 11, symbolOffset: [0, 22], color: colour("soft"), data: points("parent") },
        { name: "gated reference", type: "scatter", symbol: "diamond", symbolSize: 11, symbolOffset: [0, -22], color: colour("mark"), data: points("reference") },
      ],
    };
  }

  function curve(found) {
    return (colour) => ({
      tooltip: { trigger: "axis", valueFormatter: (value) => (value === null ? "diverged" : Number(value).toPrecision(3)) },
      grid: { left: 4, right: 12, top: 12, bottom: 4, containLabel: true },
      xAxis: axis({ type: "value", max: "dataMax", splitLine: { show: false } }),
      yAxis: axis({ type: "value", scale: true, splitNumber: 3 }),
      series: [
        ...found.runs.map((run) => ({ name: run.label, type: "line", showSymbol: false, lineStyle: { width: 1.8, opacity: 0.85 }, color: colour("ours"), data: run.points })),
        { name: "parent, mean", type: "line", showSymbol: false, lineStyle: { width: 2, type: "dashed" }, color: colour("soft"), data: found.parent },
      ],
    });
  }

  const host = document.getElementById("intervals");
  if (host) chart(host, intervals);
  for (const place of document.querySelectorAll("[data-curve]")) chart(place, curve(figures.curves[place.dataset.curve]));
})();
