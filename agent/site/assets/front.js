"use strict";
/* The front: one line a variant over the tasks, the undominated ones in front. */
(() => {
  const { chart } = archer;
  const board = window.archerBoard;
  const host = document.getElementById("parallel");
  if (!host) return;
  const controls = document.getElementById("controls").elements;
  const rows = board.rows.filter((row) => row.whole && row.scores.every(Boolean));
  const references = new Map([[board.reference, "mark"], [board.baseline, "ink"]]);

  function forward(row) {
    const text = controls.text.value.trim().toLowerCase();
    if (text) return row.name.toLowerCase().includes(text);
    return controls.show.value === "all" || (controls.show.value === "front" ? row.front : Boolean(row.page));
  }

  function option(colour, narrow) {
    const values = (row) => row.scores.map((score) => score[0] / board.unit);
    const line = (found, name, style, more) => ({ name, type: "parallel", lineStyle: style, data: found.map((row) => ({ value: values(row), name: row.name, page: row.page })), progressive: 500, ...more });
    const rest = rows.filter((row) => !references.has(row.name));
    const named = rows.filter((row) => references.has(row.name));
    return {
      legend: { top: 0, textStyle: { color: colour("ink") }, data: ["brought forward", "others", ...named.map((row) => (row.name === board.reference ? "gated reference" : "baseline"))] },
      tooltip: { trigger: "item", formatter: ({ name, value, seriesName }) => (value ? `${name}\n${board.tasks.map((task, at) => `${task} ${archer.accuracy(value[at])}`).join("\n")}` : seriesName) },
      parallel: { left: narrow ? 56 : 60, right: narrow ? 24 : 60, top: narrow ? 64 : 60, bottom: 24, layout: narrow ? "vertical" : "horizontal", parallelAxisDefault: { nameTextStyle: { color: colour("ink"), fontSize: 13 }, axisLine: { lineStyle: { color: colour("soft") } }, axisLabel: { color: colour("soft") }, areaSelectStyle: { color: colour("ours"), opacity: 0.25, width: 22 } } },
      parallelAxis: board.tasks.map((task, dim) => ({ dim, name: narrow ? task.split(" ")[0] : task, min: "dataMin", max: "dataMax", splitNumber: 3, axisLabel: { formatter: (value) => value.toFixed(2), hideOverlap: true, color: colour("soft") } })),
      series: [
        line(rest.filter((row) => !forward(row)), "others", { color: colour("soft"), width: 1, opacity: rows.length > 500 ? 0.06 : 0.25 }, { color: colour("soft"), z: 1 }),
        line(rest.filter(forward), "brought forward", { color: colour("ours"), width: 1.8, opacity: rest.filter(forward).length > 200 ? 0.25 : 0.85 }, { color: colour("ours"), z: 3 }),
        ...named.map((row) => line([row], row.name === board.reference ? "gated reference" : "baseline", { color: colour(references.get(row.name)), width: 3, opacity: 1, type: row.name === board.reference ? "solid" : "dashed" }, { color: colour(references.get(row.name)), z: 5 })),
      ],
    };
  }

  const figure = chart(host, option, ({ data }) => { if (data && data.page) location.href = data.page; });
  document.getElementById("controls").addEventListener("input", () => figure.draw());
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
})();
