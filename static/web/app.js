// Small conveniences: the "/" key, copying, fields that only some choices need.
// Every page works without this file; nothing here computes a number.
"use strict";
(() => {
  // htmx tells of each part that it swaps; what follows from an answer is done once, when all of them stand.
  let settled = 0;
  document.addEventListener("htmx:afterSettle", () => {
    cancelAnimationFrame(settled);
    settled = requestAnimationFrame(() => document.dispatchEvent(new CustomEvent("headroom:answered")));
  });

  const say = (words) => {
    const live = document.getElementById("live");
    if (live) live.textContent = words;
  };

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const first = document.querySelector("[data-slash]");
    if (!first) return;
    event.preventDefault();
    first.focus();
    first.select?.();
  });

  // A hint at what is being copied, kept out of the button so that its name stays what it does.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    event.preventDefault();
    const from = button.dataset.copy && document.getElementById(button.dataset.copy);
    const text = from ? from.textContent : button.href ?? location.href;
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1600);
    } catch {
      say("This browser does not allow copying; the address bar holds the link.");
    }
  });

  // "why?" opens the trace it points to.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const target = link && document.getElementById(link.hash.slice(1));
    for (let part = target?.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    if (target?.matches("input, select, textarea")) setTimeout(() => target.focus());
  });

  // <… data-when="task=lora,qlora"> shows only while the form's field has one of the values.
  const showNeeded = () => {
    for (const part of document.querySelectorAll("[data-when]")) {
      const [name, values] = part.dataset.when.split("=");
      const form = part.closest("form");
      const field = form?.elements.namedItem(name);
      if (field) part.hidden = !values.split(",").includes(field.value);
    }
  };
  document.addEventListener("DOMContentLoaded", showNeeded);
  document.addEventListener("change", showNeeded);
  document.addEventListener("headroom:answered", showNeeded);

  // The server is told which fields changed since its last answer, so that it sends only what depends on them.
  const changed = new Set();
  document.addEventListener("htmx:configRequest", (event) => {
    const name = event.detail.triggeringEvent?.target?.name;
    if (name) changed.add(name);
    event.detail.headers["X-Changed"] = [...changed].join(",");
    // A changed field presses no button, even where the next button has the focus by the time of the request.
    if (event.detail.triggeringEvent?.type === "change") delete event.detail.parameters.do;
  });
  document.addEventListener("headroom:answered", () => changed.clear());
  // Half a number is no mistake: while somebody types, only answers are shown; errors wait until the field is left.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const typing = event.detail.requestConfig.triggeringEvent?.type === "input";
    if (typing && event.detail.xhr.status === 422) event.detail.shouldSwap = false;
  });

  // What the server says is wrong stands beside its field, and a folded field with a fault is unfolded.
  document.addEventListener("headroom:answered", () => {
    const errors = JSON.parse(document.getElementById("field-errors")?.textContent ?? "{}");
    // A field that is not on the page yet is fetched with its fold, and its error stands there once it has come.
    for (const name of Object.keys(errors))
      if (!document.getElementById(`error-${name}`)) document.querySelector(`[data-fields~="${name}"]`)?.setAttribute("open", "");
    for (const words of document.querySelectorAll('[id^="error-"]')) {
      const name = words.id.replace("error-", "");
      const field = document.getElementById(`id_${name}`);
      words.textContent = errors[name] ?? "";
      if (errors[name]) field?.setAttribute("aria-invalid", "true");
      else field?.removeAttribute("aria-invalid");
      if (errors[name]) for (let part = words.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    }
  });
  // F1 in a field unfolds what it means; Escape, or a click elsewhere, folds it again.
  const foldHints = (but) => {
    for (const hint of document.querySelectorAll(".hint[open]")) if (hint !== but) hint.open = false;
  };
  document.addEventListener("keydown", (event) => {
    const hint = event.target.closest?.(".field")?.querySelector(".hint");
    if (event.key === "Escape") foldHints();
    if (event.key !== "F1" || !hint) return;
    event.preventDefault();
    hint.open = !hint.open;
  });
  document.addEventListener("pointerdown", (event) => foldHints(event.target.closest(".hint")));
  // Choosing a model by name puts a pasted configuration aside.
  document.addEventListener("change", (event) => {
    const config = document.getElementById("id_config");
    if (event.target.id === "id_model" && event.target.value && config) config.value = "";
  }, true);

  // A headline figure that changed says so once, without moving.
  const figures = new Map();
  const markChanged = () => {
    for (const cell of document.querySelectorAll("[data-figure]")) {
      const words = cell.querySelector(".value")?.textContent.trim();
      const before = figures.get(cell.dataset.figure);
      if (before !== undefined && before !== words) cell.classList.add("fresh");
      figures.set(cell.dataset.figure, words);
    }
  };
  document.addEventListener("DOMContentLoaded", markChanged);
  document.addEventListener("headroom:answered", markChanged);

  // What was chosen for an empty field stands in it, in grey.
  const showChosen = () => {
    const chosen = document.querySelector("[data-chosen]")?.dataset.chosen ?? "";
    for (const [name, value] of new URLSearchParams(chosen.replaceAll(" ", "&"))) {
      const field = document.getElementById(`id_${name}`);
      if (field) field.placeholder = value;
    }
  };
  document.addEventListener("DOMContentLoaded", showChosen);
  document.addEventListener("headroom:answered", showChosen);

  // The verdict is announced once the new answer stands on the page.
  document.addEventListener("headroom:answered", () => {
    const verdict = document.querySelector("[data-announce]");
    if (verdict && verdict.textContent.trim() !== say.last) {
      say.last = verdict.textContent.trim();
      say(say.last.replace(/\s+/g, " "));
    }
  });
  // No answer, or a broken one: the last figures stay and are called so.
  const complain = (words) => {
    const place = document.getElementById("problems");
    const notice = document.createElement("p");
    notice.className = "notice error";
    notice.textContent = words;
    if (place) place.replaceChildren(notice);
    say(words);
  };
  document.addEventListener("htmx:sendError", () =>
    complain("The server did not answer. The figures below are those of the last plan; change a field to try again."));
  document.addEventListener("htmx:responseError", () =>
    complain("Something broke on the server. The figures below are those of the last plan; change a field to try again."));
})();
