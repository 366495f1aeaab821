// Sliders that answer from the plans already found, marks that can be clicked, and charts as pictures.
// Without this file the form asks the server, and the table has the links.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const UNITS = [[31557600, "years"], [86400, "days"], [3600, "hours"], [60, "min"], [1, "s"]];
  const digits = (value) => {
    const rounded = Number(value.toPrecision(3));
    const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded))));
    return rounded.toLocaleString("en-GB", { minimumFractionDigits: places, maximumFractionDigits: places });
  };
  const duration = (seconds) => {
    const [size, name] = UNITS.find(([each]) => seconds >= each * (each === 1 || each === 31557600 ? 1 : 2)) ?? [1, "s"];
    return `${digits(seconds / size)} ${name}`;
  };
  const dollars = (usd) => {
    if (usd < 100) return `$${usd.toFixed(2)}`;
    if (usd < 99950) return `$${Math.round(Number(usd.toPrecision(3))).toLocaleString("en-GB")}`;
    const [size, suffix] = usd >= 999.5e6 ? [1e9, "B"] : usd >= 999.5e3 ? [1e6, "M"] : [1e3, "k"];
    return `$${suffix === "k" ? Math.round(usd / size) : (usd / size).toFixed(2)}${suffix}`;
  };

  let points = [], margin = 1;
  const read = (slider) => {
    if (!slider) return Infinity;
    const low = Number(slider.dataset.low), high = Number(slider.dataset.high), share = slider.value / slider.max;
    return share >= 1 ? Infinity : low * (high / low) ** share;
  };
  const better = (one, other, first, second) =>
    !other || one[first] < other[first] || (one[first] === other[first] && one[second] < other[second]);
  const best = (kept, first, second) =>
    kept.reduce((found, each) => (each[first] !== null && better(each, found, first, second) ? each : found), null);

  // The plans that a goal leads to, as points.choose of the server has them.
  const chosenOf = (met) => {
    const cheapest = best(met, "c", "t") ?? best(met, "t", "t"), quickest = best(met, "t", "c") ?? cheapest;
    const priced = met.filter((each) => each.c !== null);
    const balanced = priced.reduce((found, each) => (!found || each.t * each.c < found.t * found.c ? each : found), null);
    return { cheapest, steady: cheapest?.s ? best(priced.filter((each) => !each.s), "c", "t") : null, balanced, quickest };
  };
  const LABELS = { cheapest: "Cheapest", steady: "Cheapest without spot", balanced: "Least time × cost", quickest: "Fastest" };

  const sentence = (met, deadline, budget) => {
    const parts = [];
    if (deadline < Infinity) parts.push(duration(deadline * margin));
    if (budget < Infinity) parts.push(dollars(budget * margin));
    const wanted = parts.length ? `within ${parts.join(" and ")}` : "";
    if (!met.length) {
      const quick = best(points.filter((each) => each.c !== null && each.c <= budget * margin), "t", "c");
      const cheap = best(points.filter((each) => each.t <= deadline * margin), "c", "t");
      const near = [];
      if (quick) near.push(`within the budget the fastest is ${quick.d}`);
      if (cheap) near.push(`within the deadline the cheapest is ${cheap.d}`);
      return `Nothing that was found is ${wanted}${near.length ? `: ${near.join("; ")}` : ""}.`;
    }
    const { cheapest, steady, quickest } = chosenOf(met);
    const where = wanted && ` ${wanted}`;
    return cheapest === quickest ? `Cheapest and fastest${where}: ${cheapest.d}.`
      : `Cheapest${where}: ${cheapest.d}.${steady ? ` Without spot: ${steady.d}.` : ""} Fastest${where}: ${quickest.d}.`;
  };

  const box = (label, point) => {
    const part = document.createElement("div"), link = document.createElement("a"), value = document.createElement("span");
    const [term, said, range] = ["dt", "dd", "span"].map((name) => document.createElement(name));
    link.href = `/?${point.q}`;
    [term.textContent, link.textContent, range.textContent] = [label, point.n, point.b];
    [value.className, range.className] = ["value", "range"];
    value.append(link);
    said.append(value, range);
    part.append(term, said);
    return part;
  };
  const name = (met) => {
    const list = byId("chosen");
    if (!list) return;
    list.hidden = !met.length;
    if (!met.length) return;
    const together = new Map();
    for (const [name, point] of Object.entries(chosenOf(met)))
      if (point) together.set(point, [...(together.get(point) ?? []), LABELS[name]]);
    const lowered = (label, at) => (at ? label[0].toLowerCase() + label.slice(1) : label);
    list.replaceChildren(...[...together].map(([point, labels]) => box(labels.map(lowered).join(", "), point)));
  };

  const drawGoal = (deadline, budget) => {
    const canvas = byId("chart-front-canvas");
    if (!canvas?.data || !window.Plotly) return;
    const within = (x, y) => x <= budget * margin && y <= deadline * margin;
    const marked = canvas.data.flatMap((trace, at) => (["beaten", "on the front"].includes(trace.name) ? [at] : []));
    const shades = marked.map((trace) => (canvas.data[trace].x ?? []).map((x, at) => (within(x, canvas.data[trace].y[at]) ? 1 : 0.25)));
    const rule = { width: 1.5, dash: "dash", color: getComputedStyle(document.body).color };
    const shapes = [];
    if (deadline < Infinity) shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: deadline * margin, y1: deadline * margin, line: rule });
    if (budget < Infinity) shapes.push({ type: "line", yref: "paper", y0: 0, y1: 1, x0: budget * margin, x1: budget * margin, line: rule });
    window.Plotly.update(canvas, { "marker.opacity": shades }, { shapes }, marked);
  };

  let asked = 0;
  const answer = (moved) => {
    const time = byId("slide-time"), cost = byId("slide-cost");
    if (!time && !cost) return;
    const deadline = read(time), budget = read(cost);
    if (time) byId("slide-time-out").textContent = deadline < Infinity ? duration(deadline) : "none";
    if (cost) byId("slide-cost-out").textContent = budget < Infinity ? dollars(budget) : "none";
    for (const [slider, out] of [[time, "slide-time-out"], [cost, "slide-cost-out"]])
      slider?.setAttribute("aria-valuetext", byId(out).textContent);
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(() => drawGoal(deadline, budget));
    if (!moved) return;
    const met = points.filter((each) => each.t <= deadline * margin && (budget === Infinity || (each.c !== null && each.c <= budget * margin)));
    byId("goal-sentence").textContent = sentence(met, deadline, budget);
    name(met);
    const days = deadline < Infinity ? String(Number((deadline / 86400).toPrecision(4))) : "";
    const usd = budget < Infinity ? String(Math.round(budget)) : "";
    byId("goal-deadline").value = days;
    byId("goal-budget").value = usd;
  };
  let later = 0;
  const keep = () => {
    const address = new URL(location.href);
    for (const [name, id] of [["deadline", "goal-deadline"], ["budget", "goal-budget"]]) {
      const value = byId(id)?.value;
      if (value) address.searchParams.set(name, value); else address.searchParams.delete(name);
    }
    history.replaceState(history.state, "", address);
    // How sure the order is follows once the slider is let go.
    clearTimeout(later);
    later = setTimeout(() => {
      if (byId("sure") && window.htmx) window.htmx.ajax("GET", location.pathname + location.search, { target: "#sure", select: "#sure", swap: "outerHTML" });
    }, 300);
  };

  const ready = () => {
    const data = byId("points-data"), box = document.querySelector("[data-sliders]");
    points = data ? JSON.parse(data.textContent) : [];
    margin = box ? Number(box.dataset.margin) : 1;
    answer(false);
  };
  document.addEventListener("input", (event) => { if (event.target.matches("[data-sliders] input")) answer(true); });
  document.addEventListener("change", (event) => { if (event.target.matches("[data-sliders] input")) keep(); });
  document.addEventListener("DOMContentLoaded", ready);
  document.addEventListener("headroom:answered", ready);

  // A mark that is clicked names its plan and leads to it. The chart is drawn when it comes near.
  const pick = ({ points: [hit] }) => {
    const line = byId("picked");
    if (!line || typeof hit?.customdata !== "string") return;
    const link = document.createElement("a");
    link.href = `/?${hit.customdata}`;
    link.textContent = "Open this plan";
    line.replaceChildren(`${hit.hovertext ?? hit.text} `, link);
    line.hidden = false;
  };
  document.addEventListener("pointerover", (event) => {
    const canvas = event.target.closest?.("#chart-front-canvas");
    if (!canvas?.on || canvas.dataset.picks) return;
    canvas.dataset.picks = "yes";
    canvas.on("plotly_click", pick);
  });
  const drawn = new MutationObserver((changes) => {
    if (changes.some(({ target }) => target.id === "chart-front-canvas")) answer(false);
  });
  document.addEventListener("DOMContentLoaded", () => drawn.observe(document.body, { subtree: true, attributeFilter: ["data-placed"] }));

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-png]");
    if (!button || !window.Plotly) return;
    const canvas = byId(`${button.dataset.png}-canvas`);
    if (!canvas?.data) return;
    const paper = getComputedStyle(document.querySelector(".card")).backgroundColor;
    const title = canvas.closest("figure").querySelector("figcaption strong").textContent;
    const layout = { ...canvas.layout, paper_bgcolor: paper, title: { text: title, font: { size: 15 } }, margin: { ...canvas.layout.margin, t: 48 } };
    const picture = await window.Plotly.toImage({ data: canvas.data, layout }, { format: "png", scale: 2, width: canvas.clientWidth, height: canvas.layout.height + 40 });
    const link = document.createElement("a");
    link.href = picture;
    link.download = `${button.dataset.png}.png`;
    link.click();
  });
})();
