// Draws every <figure data-chart="id"> from the JSON element with that id, in the page's own colours.
// The JSON is {data, layout, narrow?} in Plotly's words; a colour written "token:name" is the CSS variable --name.
"use strict";
(() => {
  const NARROW = 560;
  const CONFIG = {
    displayModeBar: false, displaylogo: false, responsive: false, showSendToCloud: false, plotlyServerURL: "",
    scrollZoom: false, doubleClick: "reset",
  };
  const drawnAs = new WeakMap();
  const probe = document.createElement("span");
  probe.hidden = true;

  const token = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const resolve = (value) => {
    if (typeof value === "string") return value.startsWith("token:") ? token(value.slice(6)) : value;
    if (Array.isArray(value)) return value.map(resolve);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolve(inner)]));
    return value;
  };
  const merge = (base, over) => {
    const merged = { ...base };
    for (const [key, value] of Object.entries(over || {}))
      merged[key] = value && typeof value === "object" && !Array.isArray(value) && merged[key] && typeof merged[key] === "object"
        ? merge(merged[key], value) : value;
    return merged;
  };
  const template = () => {
    const axis = {
      automargin: true, gridcolor: token("grid"), linecolor: token("line-strong"), zerolinecolor: token("line-strong"),
      tickcolor: token("line-strong"), title: { standoff: 8, font: { color: token("muted"), size: 12 } }, tickfont: { color: token("muted"), size: 12 },
      fixedrange: true,
    };
    return { layout: {
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: token("text") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 8, r: 8, t: 8, b: 8 },
      colorway: ["blue", "orange", "green", "red", "pink", "sky", "yellow", "grey"].map((name) => token(`c-${name}`)),
      hoverlabel: { bgcolor: token("surface"), bordercolor: token("line-strong"), font: { color: token("text") }, align: "left" },
      legend: { orientation: "h", x: 0, xanchor: "left", y: -0.25, yanchor: "top", itemclick: false, itemdoubleclick: false },
      dragmode: false, xaxis: axis, yaxis: axis,
    } };
  };

  const draw = (figure) => {
    const source = document.getElementById(figure.dataset.chart);
    const canvas = figure.querySelector("[data-chart-canvas]");
    if (!source || !canvas || !canvas.clientWidth) return;
    // What stands as it was drawn is not drawn again: same figure, same width, same theme.
    const standing = `${canvas.clientWidth} ${document.documentElement.dataset.theme ?? ""} ${document.documentElement.className} ${source.textContent}`;
    if (drawnAs.get(canvas) === standing) return;
    drawnAs.set(canvas, standing);
    const spec = JSON.parse(source.textContent);
    const layout = merge(spec.layout || {}, canvas.clientWidth < NARROW ? spec.narrow : {});
    const drawn = resolve({ data: spec.data, layout });
    drawn.layout.template = template();
    drawn.layout.width = canvas.clientWidth;
    if (!drawn.layout.height) drawn.layout.height = canvas.clientHeight || 280;
    canvas.dataset.width = canvas.clientWidth;
    Promise.resolve(window.Plotly.react(canvas, drawn.data, drawn.layout, CONFIG)).then(() => {
      declutter(canvas);
      canvas.dataset.placed = "";
    });
  };
  // Labels of points never lie on one another: each is put where it is free, the reader's own plan first, and one that
  // finds no place is left to the pointer and the table.
  const overlap = (one, other) =>
    one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
  const declutter = (canvas) => {
    const shown = (label) => label.style.visibility !== "hidden";
    // Of an axis's own labels, the first of two that would touch is kept.
    for (const axis of [".xtick text", ".ytick text"]) {
      const kept = [], ticks = [...canvas.querySelectorAll(axis)];
      const boxes = ticks.map((label) => label.getBoundingClientRect());
      for (const [index, box] of boxes.entries()) {
        const near = { left: box.left - 3, right: box.right + 3, top: box.top, bottom: box.bottom };
        const free = !kept.some((other) => overlap(near, other));
        ticks[index].style.visibility = free ? "" : "hidden";
        if (free) kept.push(box);
      }
    }
    const labels = [...canvas.querySelectorAll(".textpoint text")].filter((label) => label.textContent);
    if (!labels.length) return;
    const frame = canvas.getBoundingClientRect();
    const others = canvas.querySelectorAll(".xtick text, .ytick text, .xtitle, .ytitle, .annotation-text");
    const taken = [...others].filter(shown).map((label) => label.getBoundingClientRect());
    const first = [...labels].reverse();
    for (const label of first) {
      label.removeAttribute("transform");
      label.style.visibility = "";
      const box = label.getBoundingClientRect();
      const across = box.width + 20, up = box.height + 14;
      const moves = [[0, 0], [0, up], [0, -up], [-across, 0], [across, 0], [-across, up], [-across, -up], [across, up], [across, -up], [-across / 2, -up], [-across / 2, up]];
      const free = moves.find(([x, y]) => {
        const there = { left: box.left + x, right: box.right + x, top: box.top + y, bottom: box.bottom + y };
        return there.left >= frame.left && there.right <= frame.right && there.top >= frame.top && there.bottom <= frame.bottom
          && !taken.some((other) => overlap(there, other));
      });
      if (!free) { label.style.visibility = "hidden"; continue; }
      const [x, y] = free;
      if (x || y) label.setAttribute("transform", `translate(${x},${y})`);
      taken.push({ left: box.left + x - 2, right: box.right + x + 2, top: box.top + y, bottom: box.bottom + y });
    }
  };
  // One chart a task, so that keys and clicks are answered in between; what is out of sight is drawn when it comes
  // near. However many parts of the page a swap settles, each chart is looked at once.
  const waiting = new Set();
  const drawNext = () => {
    const [figure] = waiting;
    if (!figure) return;
    waiting.delete(figure);
    if (figure.isConnected) draw(figure);
    if (waiting.size) setTimeout(drawNext);
  };
  const ask = (figure) => {
    if (!waiting.size) setTimeout(drawNext);
    waiting.add(figure);
  };
  const drawAll = () => {
    if (!window.Plotly) return;
    if (!probe.isConnected) document.body.append(probe);
    for (const figure of document.querySelectorAll("figure[data-chart]")) {
      near.unobserve(figure);
      near.observe(figure);
      watcher.observe(figure);
    }
  };
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) ask(target);
  }, { rootMargin: "400px" });
  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const canvas = target.querySelector("[data-chart-canvas]");
      if (canvas && canvas.clientWidth && canvas.dataset.width !== String(canvas.clientWidth)) ask(target);
    }
  });

  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("headroom:theme", drawAll);
  document.addEventListener("headroom:answered", drawAll);
  // On paper charts are as wide as the sheet, in the light theme; afterwards they are drawn for the screen again.
  window.addEventListener("beforeprint", () => {
    document.documentElement.classList.add("paper");
    document.querySelectorAll("figure[data-chart]").forEach(draw);
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.classList.remove("paper");
    document.querySelectorAll("figure[data-chart]").forEach(draw);
  });
})();
