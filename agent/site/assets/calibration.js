"use strict";
/* Calibration: predicted against measured, and how many intervals held so far. */
(() => {
  const { chart, axis } = archer;
  const board = window.archerBoard;
  const host = document.getElementById("scatter");
  if (!host) return;
  const unit = board.unit;
  const SYMBOLS = ["circle", "rect", "triangle", "diamond", "roundRect", "pin"];
  const points = [];
  const covered = [];
  let inside = 0;
  for (const row of board.rows) {
    if (!row.predicted) continue;
    row.predicted.forEach((predicted, task) => {
      const score = row.scores && row.scores[task];
      if (!predicted || !score || predicted[1] === predicted[2]) return;
      const held = predicted[1] - 1 <= score[0] && score[0] <= predicted[2] + 1;
      inside += held ? 1 : 0;
      points.push({ value: [predicted[0] / unit, score[0] / unit], task, held, name: row.name, page: row.page, low: predicted[1] / unit, high: predicted[2] / unit });
    });
    if (points.length) covered.push([row.number, inside / points.length]);
  }
  const tint = ["ours", "better", "worse", "mark", "inert", "ok"];
  const many = points.length > 2000;

  const scatter = chart(host, (colour, narrow) => ({
    legend: { top: 0, textStyle: { color: colour("ink") }, itemGap: narrow ? 8 : 16 },
    tooltip: { trigger: "item", formatter: ({ data }) => `${data.name}\n${board.tasks[data.task]}: predicted ${archer.accuracy(data.value[0])} [${archer.accuracy(data.low)}, ${archer.accuracy(data.high)}]\nmeasured ${archer.accuracy(data.value[1])}` },
    grid: { left: 16, right: 20, top: narrow ? 84 : 44, bottom: 28, containLabel: true },
    xAxis: axis({ type: "value", min: 0, max: 1, name: "predicted", nameLocation: "middle", nameGap: 26 }),
    yAxis: axis({ type: "value", min: 0, max: 1, name: "measured" }),
    series: board.tasks.map((task, at) => ({
      name: task, type: "scatter", symbol: SYMBOLS[at], symbolSize: many ? 4 : 10, color: colour(tint[at]),
      data: points.filter((point) => point.task === at).map((point) => ({ ...point, itemStyle: { color: point.held ? colour(tint[at]) : colour("card"), borderColor: colour(tint[at]), borderWidth: many ? 0.5 : 2, opacity: many ? 0.4 : 0.9 } })),
      markLine: at ? undefined : { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: colour("soft"), type: "dashed" }, data: [[{ coord: [0, 0] }, { coord: [1, 1] }]] },
    })),
  }), ({ data }) => { if (data && data.page) location.href = data.page; });

  chart(document.getElementById("coverage"), (colour) => ({
    tooltip: { trigger: "axis", valueFormatter: (value) => `${(100 * value).toFixed(0)} %` },
    grid: { left: 16, right: 24, top: 20, bottom: 28, containLabel: true },
    xAxis: axis({ type: "value", name: "proposal", nameLocation: "middle", nameGap: 26, min: 0, minInterval: 1, splitLine: { show: false } }),
    yAxis: axis({ type: "value", min: 0, max: 1, axisLabel: { color: colour("soft"), formatter: (value) => `${Math.round(100 * value)} %` } }),
    series: [{ name: "inside their interval so far", type: "line", showSymbol: covered.length < 60, color: colour("ours"), data: covered,
      markLine: { silent: true, symbol: "none", lineStyle: { color: colour("mark"), type: "dashed" }, label: { formatter: "80 % expected", position: "insideEndBottom", color: colour("mark") }, data: [{ yAxis: 0.8 }] } }],
  }));
  return scatter;
})();
