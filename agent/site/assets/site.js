"use strict";
/* What all pages share: elements made without markup, and charts that follow the colour scheme and the width. */
window.archer = (() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  /** An element with attributes and children; strings become text, never markup. */
  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  /** Three digits, rounded as Python does: a tie, as of 0.0625, goes to the even digit. */
  function accuracy(value) {
    const scaled = value * 1000;
    const tie = Number.isInteger(value * 16) && !Number.isInteger(value * 8);
    return tie ? ((Math.floor(scaled) + (Math.floor(scaled) % 2)) / 1000).toFixed(3) : value.toFixed(3);
  }

  /** A difference with its sign; a fourth digit where three would be zero, 0 for none. */
  function signed(value) {
    const size = Math.abs(value);
    if (size < 0.00005) return "0";
    return `${value < 0 ? "−" : "+"}${size < 0.0005 ? size.toFixed(4) : accuracy(size)}`;
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  /** Draw `option(colour, narrow)` on an element; again when colours or width change. Returns the redraw and the chart. */
  function chart(host, option, onClick) {
    const drawn = echarts.init(host, null, { renderer: "canvas" });
    const draw = () => {
      const own = option(colour, host.clientWidth < 560);
      drawn.setOption({
        animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: colour("ink") },
        aria: { enabled: false }, ...own,
        tooltip: own.tooltip && {
          renderMode: "richText", confine: true, backgroundColor: colour("card"), borderColor: colour("line"),
          textStyle: { color: colour("ink"), fontSize: 13 }, ...own.tooltip,
        },
      }, true);
    };
    draw();
    dark.addEventListener("change", draw);
    let width = host.clientWidth;
    new ResizeObserver(() => {
      if (host.clientWidth === width) return;
      width = host.clientWidth;
      drawn.resize();
      draw();
    }).observe(host);
    if (onClick) drawn.on("click", onClick);
    return { draw, drawn };
  }

  /** An axis in the page's colours. */
  function axis(more) {
    return {
      axisLine: { lineStyle: { color: colour("soft") } }, axisLabel: { color: colour("soft"), hideOverlap: true },
      nameTextStyle: { color: colour("soft") }, splitLine: { lineStyle: { color: colour("line") } }, ...more,
    };
  }

  return { element, accuracy, signed, colour, chart, axis, still };
})();
