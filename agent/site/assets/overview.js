"use strict";
/* The overview: a leaderboard that sorts, filters and pages, and the best score so far. */
(() => {
  const { element, chart, axis } = archer;
  const board = window.archerBoard;
  const PER_PAGE = matchMedia("(max-width: 46rem)").matches ? 15 : 50;
  const MARKS = { "-1": ["▼", "worse"], 0: ["≈", "indistinguishable"], 1: ["▲", "better"], 2: ["=", "inert"], 3: ["·", "single"] };
  const WORDS = board.words;
  const form = document.getElementById("controls");
  const table = document.getElementById("board");
  const pager = document.getElementById("pager");
  const shown = (value) => archer.accuracy(value / board.unit);
  const signed = (value) => archer.signed(value / board.unit);
  const SVG = "http://www.w3.org/2000/svg";

  const columns = [
    { key: "number", label: "#", value: (row) => row.number, first: 1 },
    { key: "name", label: "Variant", value: (row) => row.name, first: 1 },
    { key: "far", label: "To goal", value: (row) => row.far, first: 1 },
    { key: "mean", label: "Mean", value: (row) => row.whole && row.whole[0], first: -1 },
    ...board.tasks.map((task, at) => ({ key: `task${at}`, label: task, value: (row) => row.scores && row.scores[at] && row.scores[at][0], first: -1 })),
    { key: "wins", label: "Better on", value: (row, role) => net(row, role), first: -1 },
    { key: "state", label: "State", value: (row) => row.times, first: 1 },
    { key: "cpu", label: "CPU", value: (row) => row.cpu, first: 1 },
  ];
  const ranked = board.rows.some((row) => row.far !== undefined);
  const START = { text: "", status: "", role: "reference", outcome: "", sort: ranked ? "far" : "mean", way: ranked ? 1 : -1, page: 0 };
  let state = { ...START };

  const DISCOVERY = 0.1;
  const FRESH = { confirmed: "confirmed on fresh seeds", refuted: "worse on fresh seeds", open: "fresh seeds: within noise", failed: "failed on fresh seeds", unfinished: "fresh seeds: not yet decided" };
  const discovered = (row) => Boolean(row.q) && row.q[state.role] <= DISCOVERY;
  const against = (row, role, at) => (row.versus && row.versus[role] ? row.versus[role][at] : null);
  const outcomes = (row, role) => board.tasks.map((_, at) => (against(row, role, at) || [null])[0]);
  function net(row, role) {
    if (!row.versus || !row.versus[role]) return undefined;
    const found = outcomes(row, role);
    return found.filter((x) => x === 1).length - found.filter((x) => x === -1).length / 100;
  }

  function kept(row) {
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    const text = `${row.name} ${row.title || ""} ${row.parent || ""} ${row.by || ""} #${row.number || ""}`.toLowerCase();
    if (!words.every((word) => text.includes(word))) return false;
    if (state.status && row.status !== state.status) return false;
    if (!state.outcome) return true;
    if (state.outcome === "proposals") return Boolean(row.page);
    if (state.outcome === "discovered") return discovered(row);
    const found = outcomes(row, state.role);
    if (state.outcome === "any") return found.includes(1);
    if (state.outcome === "undefeated") return found.includes(1) && !found.includes(-1);
    return found[Number(state.outcome)] === 1;
  }

  function ordered(rows) {
    const column = columns.find((one) => one.key === state.sort) || columns[3];
    const value = new Map(rows.map((row) => [row, column.value(row, state.role)]));
    const none = (x) => x === undefined || x === null;
    return [...rows].sort((a, b) => {
      const [x, y] = [value.get(a), value.get(b)];
      if (none(x) || none(y)) return none(x) - none(y);
      return (x < y ? -1 : x > y ? 1 : 0) * state.way || (a.number || 0) - (b.number || 0);
    });
  }

  function drawnInterval([mean, low, high], mark) {
    const at = (value) => String(2 + (100 * value) / board.unit);
    const svg = document.createElementNS(SVG, "svg");
    const add = (name, attributes) => {
      const made = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      svg.append(made);
    };
    for (const [key, value] of Object.entries({ class: "interval", viewBox: "0 0 104 12", width: "104", height: "12", "aria-hidden": "true" })) svg.setAttribute(key, value);
    add("line", { class: "axis", x1: "2", x2: "102", y1: "6", y2: "6" });
    if (mark !== null) add("line", { class: "mark", x1: at(mark), x2: at(mark), y1: "0", y2: "12" });
    add("line", { class: "range", x1: at(low), x2: at(high), y1: "6", y2: "6" });
    add("circle", { cx: at(mean), cy: "6", r: "3.5" });
    return svg;
  }

  function cell(row, at) {
    const score = row.scores && row.scores[at];
    const made = element("td", { "data-label": board.tasks[at] });
    if (!score) { made.append(row.status === "SCORED" ? "–" : ""); return made; }
    const found = against(row, state.role, at);
    const title = score[3] > 1 ? `95 % interval ${shown(score[1])} to ${shown(score[2])}, ${score[3]} seeds` : "one seed";
    made.append(element("span", { class: "value", title }, shown(score[0])));
    if (found) {
      const [mark, word] = MARKS[found[0]];
      const range = found[0] === 2 || found[2] === found[3] ? "" : `, 95 % interval ${signed(found[2])} to ${signed(found[3])}`;
      made.append(element("span", { class: `outcome ${word}`, title: `${WORDS[word]}${range}`, "aria-label": `${signed(found[1])}, ${WORDS[word]}` }, `${mark} ${signed(found[1])}`));
    }
    made.append(drawnInterval(score, found ? score[0] - found[1] : null));
    return made;
  }

  function idea(row) {
    const made = element("td", { class: "idea" });
    const words = row.name.split("_").flatMap((word, at) => (at ? ["_", element("wbr"), word] : [word]));
    made.append(row.page ? element("a", { href: row.page }, ...words) : element("span", {}, ...words));
    if (row.status !== "SCORED") made.append(" ", element("span", { class: `status ${row.status.toLowerCase()}` }, row.status));
    const about = row.status !== "SCORED" ? row.reason || row.title : row.title;
    if (about) made.append(element("small", {}, about));
    if (row.parent) made.append(element("small", {}, `from ${row.parent}`));
    return made;
  }

  function line(row) {
    const wins = outcomes(row, state.role).filter((x) => x === 1).length;
    const losses = outcomes(row, state.role).filter((x) => x === -1).length;
    const made = element("tr", { class: row.page ? null : "seed" });
    const whole = element("td", { "data-label": `Mean of ${board.tasks.length}` });
    if (row.whole) whole.append(element("span", { class: "value" }, shown(row.whole[0])), drawnInterval(row.whole, null));
    if (row.q && row.q[state.role] !== undefined) {
      const q = row.q[state.role];
      whole.append(element("span", { class: `outcome ${discovered(row) ? "better" : "indistinguishable"}`, title: "p of the mean, adjusted for all that were tried" }, `${discovered(row) ? "▲ " : ""}q ${q < 0.001 ? "< 0.001" : q.toFixed(3)}`));
    }
    if (row.fresh) whole.append(element("small", {}, FRESH[row.fresh]));
    made.append(element("td", { class: "num" }, row.number ? String(row.number) : ""), idea(row), element("td", { class: "num", "data-label": "To goal" }, row.far === undefined ? "" : row.far.toFixed(1)), whole);
    board.tasks.forEach((_, at) => made.append(cell(row, at)));
    const has = row.versus && row.versus[state.role];
    made.append(element("td", { "data-label": "Better on" }, has ? `${wins} of ${board.tasks.length}${losses ? `, worse on ${losses}` : ""}` : ""));
    const size = element("td", { class: "num", "data-label": "State" });
    if (row.state) size.append(element("span", { class: row.larger ? "value" : null }, row.state));
    if (row.params) size.append(element("small", {}, `${row.params} params`));
    made.append(size);
    made.append(element("td", { class: "num", "data-label": "CPU" }, row.cpu ? `${row.cpu.toLocaleString("en")} s` : ""));
    return made;
  }

  function head() {
    const row = element("tr");
    for (const column of columns) {
      const sorted = column.key === state.sort;
      const arrow = sorted ? (state.way > 0 ? " ↑" : " ↓") : "";
      const button = element("button", { type: "button" }, column.label + arrow);
      button.addEventListener("click", () => { sortBy(column); table.tHead.querySelectorAll("button")[columns.indexOf(column)].focus(); });
      row.append(element("th", { scope: "col", "aria-sort": sorted ? (state.way > 0 ? "ascending" : "descending") : null }, button));
    }
    table.tHead.replaceChildren(row);
  }

  function sortBy(column) {
    const way = column.key === state.sort ? -state.way : column.first;
    update({ sort: column.key, way, page: 0 });
  }

  function draw() {
    const rows = ordered(board.rows.filter(kept));
    const pages = Math.max(1, Math.ceil(rows.length / PER_PAGE));
    state.page = Math.min(Math.max(0, state.page), pages - 1);
    const from = state.page * PER_PAGE;
    head();
    table.tBodies[0].replaceChildren(...rows.slice(from, from + PER_PAGE).map(line));
    table.tFoot.replaceChildren(...board.below.map(line));
    document.getElementById("count").textContent = `${rows.length.toLocaleString("en")} of ${board.rows.length.toLocaleString("en")} variants`;
    pager.hidden = pages === 1;
    pager.querySelector("span").textContent = `${state.page + 1} of ${pages}`;
    pager.querySelector('[data-step="-1"]').disabled = state.page === 0;
    pager.querySelector('[data-step="1"]').disabled = state.page === pages - 1;
  }

  function update(change) {
    state = { ...state, ...change };
    const told = Object.entries(state).filter(([key, value]) => value !== START[key]);
    history.replaceState(null, "", told.length ? `#${new URLSearchParams(told)}` : location.pathname + location.search);
    draw();
  }

  function remembered() {
    const told = new URLSearchParams(location.hash.slice(1));
    for (const key of Object.keys(START)) {
      if (told.has(key)) state[key] = typeof START[key] === "number" ? Number(told.get(key)) || START[key] : told.get(key);
    }
    fill();
  }

  function fill() {
    for (const key of ["text", "status", "role", "outcome", "sort"]) form.elements[key].value = state[key];
  }

  for (const status of [...new Set(board.rows.map((row) => row.status))]) form.elements.status.append(element("option", { value: status }, status));
  for (const column of columns) form.elements.sort.append(element("option", { value: column.key }, column.label));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    const { name, value } = event.target;
    const way = name === "sort" ? { way: columns.find((one) => one.key === value).first } : {};
    update({ [name]: value, page: 0, ...way });
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault(); /* else the browser resets after this handler, and the next choice could be undone */
    update({ ...START });
    fill();
  });
  pager.addEventListener("click", (event) => {
    if (!event.target.dataset.step) return;
    update({ page: state.page + Number(event.target.dataset.step) });
    document.getElementById("leaderboard").scrollIntoView();
  });
  remembered();
  draw();

  /* Best so far */
  const host = document.getElementById("so-far-chart");
  if (!host) return;
  const choice = document.getElementById("so-far-controls").elements;
  const proposals = board.rows.filter((row) => row.page);
  const named = (name) => board.rows.find((row) => row.name === name && row.scores);

  function series() {
    const at = choice.task.value;
    const pick = (row) => (at === "" ? row && row.whole : row && row.scores && row.scores[Number(at)]);
    let spent = 0;
    let best = null;
    const found = { points: [], steps: [], band: [], pick };
    for (const row of proposals) {
      spent += row.cpu || 0;
      const score = pick(row);
      if (!score) continue;
      const x = choice.cost.value === "cpu" ? spent / 3600 : row.number;
      found.points.push([x, score[0] / board.unit, score[1] / board.unit, score[2] / board.unit, row.name, row.page, row.number]);
      if (!best || score[0] > best[0]) best = score;
      found.steps.push([x, best[0] / board.unit]);
    }
    return found;
  }

  function whisker(colour) {
    return (_, api) => {
      const [x, low] = api.coord([api.value(0), api.value(2)]);
      const [, high] = api.coord([api.value(0), api.value(3)]);
      return { type: "line", shape: { x1: x, y1: low, x2: x, y2: high }, style: { stroke: colour, lineWidth: 2, opacity: 0.35 } };
    };
  }

  function option(colour, narrow) {
    const found = series();
    const levels = [[board.reference, "gated", { color: colour("mark"), type: "solid", width: 1.5 }], [board.baseline, "baseline", { color: colour("soft"), type: "dashed", width: 1.5 }]]
      .map(([name, label, lineStyle]) => ({ score: found.pick(named(name)), label, lineStyle }))
      .filter(({ score }) => score)
      .sort((a, b) => b.score[0] - a.score[0])
      .map(({ score, label, lineStyle }, place) => ({ yAxis: score[0] / board.unit, name: label, lineStyle, label: { formatter: `${label} ${shown(score[0])}`, position: place ? "insideEndBottom" : "insideEndTop", color: lineStyle.color, fontSize: 13 } }));
    const many = found.points.length > 400;
    return {
      legend: { top: 0, textStyle: { color: colour("ink") }, data: ["best so far", "each proposal, 95 %"] },
      tooltip: { trigger: "item", formatter: ({ value, seriesName }) => (value.length > 2 ? `#${value[6]} ${value[4]}\n${archer.accuracy(value[1])} [${archer.accuracy(value[2])}, ${archer.accuracy(value[3])}]` : `${seriesName} ${archer.accuracy(value[1])}`) },
      grid: { left: 8, right: narrow ? 12 : 24, top: 40, bottom: 28, containLabel: true },
      xAxis: axis({ type: "value", name: choice.cost.value === "cpu" ? "CPU hours" : "proposal", nameLocation: "middle", nameGap: 26, min: 0, max: (limits) => (choice.cost.value === "cpu" ? limits.max * 1.05 : limits.max + 1), minInterval: choice.cost.value === "cpu" ? 0 : 1, splitLine: { show: false } }),
      yAxis: axis({ type: "value", scale: true, name: "accuracy" }),
      series: [
        many ? null : { name: "intervals", type: "custom", renderItem: whisker(colour("ours")), data: found.points, encode: { x: 0, y: [1, 2, 3] }, tooltip: { show: false }, silent: true },
        { name: "each proposal, 95 %", type: "scatter", symbolSize: many ? 4 : 9, color: colour("ours"), itemStyle: { opacity: many ? 0.45 : 1 }, data: found.points, encode: { x: 0, y: 1 }, large: found.points.length > 4000 },
        { name: "best so far", type: "line", step: "end", showSymbol: false, color: colour("better"), lineStyle: { width: 2.5 }, data: found.steps,
          markLine: { silent: true, symbol: "none", data: levels } },
      ].filter(Boolean),
    };
  }

  const figure = chart(host, option, ({ value }) => { if (value && value[5]) location.href = value[5]; });
  document.getElementById("so-far-controls").addEventListener("input", () => figure.draw());
  document.getElementById("so-far-controls").addEventListener("submit", (event) => event.preventDefault());
})();
