"use strict";
/* Lineage: the tree of parents and children as a figure, and as an outline that opens branch by branch. */
(() => {
  const { element, chart } = archer;
  const board = window.archerBoard;
  const MOST = 40;
  const controls = document.getElementById("controls").elements;
  const rows = new Map();
  for (const row of board.rows) if (!rows.has(row.name) || row.whole) rows.set(row.name, row);
  const children = new Map();
  for (const row of rows.values()) {
    const parent = row.parent && row.parent !== row.name ? row.parent : "";
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(row.name);
  }
  for (const parent of [...children.keys()]) if (parent && !rows.has(parent)) {
    rows.set(parent, { name: parent, status: "" });
    children.set("", [...(children.get("") || []), parent]);
  }
  const mean = (name) => (rows.get(name).whole || [-1])[0];
  for (const own of children.values()) own.sort((a, b) => mean(b) - mean(a));
  const below = new Map();
  function descendants(name) {
    /* without recursion: a search may descend a thousand generations */
    const order = [name];
    for (let at = 0; at < order.length; at += 1) order.push(...(children.get(order[at]) || []));
    for (const one of order.reverse()) below.set(one, (children.get(one) || []).reduce((sum, child) => sum + 1 + below.get(child), 0));
    return below.get(name);
  }
  for (const root of children.get("") || []) descendants(root);

  function tally(row, role) {
    const found = (row.versus && row.versus[role]) || [];
    const count = (outcome) => found.filter((one) => one && one[0] === outcome).length;
    return { up: count(1), down: count(-1), known: found.length > 0 };
  }
  function result(row, role) {
    const { up, down, known } = tally(row, role);
    if (!row.whole) return measured(row) ? "partial" : "none";
    if (!known) return "seed";
    return up && down ? "mixed" : up ? "better" : down ? "worse" : "noise";
  }
  const measured = (row) => (row.scores || []).filter(Boolean).length;
  function shown(row) {
    if (row.whole) return archer.accuracy(row.whole[0] / board.unit);
    return measured(row) ? `${measured(row)} of ${board.tasks.length} tasks` : row.status || "";
  }

  let left;
  function node(name, colours, depth) {
    const row = rows.get(name);
    const kind = result(row, controls.role.value);
    const own = children.get(name) || [];
    left -= 1;
    const kept = depth > 40 ? [] : own.slice(0, Math.max(0, Math.min(MOST, left)));
    const made = {
      name, value: shown(row), page: row.page, collapsed: false,
      itemStyle: { color: kind === "none" || kind === "partial" ? colours.card : colours[kind], borderColor: colours[kind], borderWidth: 2 },
      children: kept.map((child) => node(child, colours, depth + 1)),
    };
    const more = own.length - kept.length;
    if (more > 0) made.children.push({ name: `… ${more} more`, value: "", itemStyle: { color: colours.card, borderColor: colours.none }, children: [] });
    return made;
  }

  function option(colour, narrow) {
    const colours = { better: colour("better"), worse: colour("worse"), mixed: colour("mark"), noise: colour("soft"), none: colour("soft"), partial: colour("mark"), seed: colour("soft"), card: colour("card") };
    const root = controls.root.value;
    const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
    /* as much as fits into so many letters: name and value, the name alone, or nothing, as the tooltip has both */
    function label(one, letters) {
      const name = letters - one.value.length - 2;
      if (one.value && name >= Math.min(6, one.name.length)) return `${cut(one.name, name)}  ${one.value}`;
      return letters >= 4 ? cut(one.name, letters) : "";
    }
    left = 400;
    const roots = root ? [root] : children.get("") || [];
    const data = roots.map((name) => node(name, colours, 0));
    const depth = (one) => (one.children.length ? 1 + Math.max(...one.children.map(depth)) : 0);
    const leaves = (one) => (one.children.length ? one.children.reduce((sum, child) => sum + leaves(child), 0) : 1);
    const tree = data.length === 1 ? data[0] : { name: board.protocol, value: "", children: data, itemStyle: { color: colours.card, borderColor: colours.none } };
    const host = document.getElementById("tree");
    const room = (host.clientWidth - (narrow ? 130 : 360)) / Math.max(1, depth(tree));
    const fit = (one, at) => {
      one.text = label(one, Math.floor((one.children.length ? room - 20 : (deepest - at) * room + (narrow ? 110 : 320)) / (narrow ? 6.5 : 7.5)));
      one.children.forEach((child) => fit(child, at + 1));
    };
    const deepest = depth(tree);
    host.style.height = `${Math.max(240, Math.min(6000, 26 * leaves(tree) + 40))}px`;
    fit(tree, 0);
    return {
      tooltip: { trigger: "item", formatter: ({ data: one }) => `${one.name}\n${one.value}` },
      series: [{
        type: "tree", data: [tree], left: narrow ? 8 : 24, right: narrow ? 120 : 330, top: 12, bottom: 12, symbol: "circle", symbolSize: 11,
        initialTreeDepth: -1, expandAndCollapse: false, roam: false, lineStyle: { color: colour("line"), width: 1.5 },
        label: { position: "top", align: "left", distance: 2, color: colour("ink"), fontSize: narrow ? 11 : 13, formatter: ({ data: one }) => one.text, backgroundColor: colour("ground"), padding: [1, 3] },
        leaves: { label: { position: "right" } },
        labelLayout: { hideOverlap: true },
      }],
    };
  }

  controls.root.append(element("option", { value: "" }, "everyone"));
  for (const [name, count] of [...below].filter(([, found]) => found > 0).sort((a, b) => b[1] - a[1]).slice(0, 300)) controls.root.append(element("option", { value: name }, `${name} (${count})`));
  document.getElementById("tree-note").textContent = rows.size > 400 ? `Of ${rows.size.toLocaleString("en")} variants the figure shows at most 400, the best ${MOST} children of each; choose a variant above to see its descendants.` : "Click a proposal to open its page.";
  const host = document.getElementById("tree");
  option(archer.colour, host.clientWidth < 560);
  const figure = chart(host, option, ({ data }) => { if (data && data.page) location.href = data.page; });
  const redraw = () => { option(archer.colour, host.clientWidth < 560); figure.drawn.resize(); figure.draw(); };
  document.getElementById("controls").addEventListener("input", redraw);
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
  figure.drawn.resize();

  function item(name) {
    const row = rows.get(name);
    const { up, down } = tally(row, "parent");
    const words = [row.page ? element("a", { href: row.page }, name) : element("span", {}, name), ` ${shown(row)} `];
    if (up) words.push(element("span", { class: "outcome better" }, `▲ ${up} `));
    if (down) words.push(element("span", { class: "outcome worse" }, `▼ ${down} `));
    const own = children.get(name) || [];
    if (!own.length) return element("li", {}, ...words);
    const list = element("ul");
    const details = element("details", {}, element("summary", { "aria-label": `${name}, ${own.length} children` }, ...words, element("small", {}, `${below.get(name)} below`)), list);
    details.addEventListener("toggle", () => { if (details.open && !list.children.length) list.append(...own.map(item)); });
    return element("li", {}, details);
  }
  const outline = document.getElementById("outline-tree");
  outline.append(...(children.get("") || []).map(item));
  for (const details of outline.querySelectorAll(":scope > li > details")) details.open = true;
})();
