// Small conveniences: the "/" key, copying, filtering a picker, fields that only some choices need.
// Every page works without this file; nothing here computes a number.
"use strict";
(() => {
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
    const text = from ? from.textContent : location.href;
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1600);
    } catch {
      say("This browser does not allow copying; the address bar holds the link.");
    }
  });

  // <input data-filter="list-id"> hides the list's [data-text] entries that lack one of the words typed.
  document.addEventListener("input", (event) => {
    const list = event.target.dataset?.filter && document.getElementById(event.target.dataset.filter);
    if (!list) return;
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const entry of list.querySelectorAll("[data-text]"))
      entry.hidden = !words.every((word) => entry.dataset.text.includes(word));
    for (const group of list.querySelectorAll("[data-group]"))
      group.hidden = !group.querySelector("[data-text]:not([hidden])");
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
  document.addEventListener("htmx:afterSettle", showNeeded);

  // The verdict is announced once the new answer stands on the page.
  document.addEventListener("htmx:afterSettle", () => {
    const verdict = document.querySelector("[data-announce]");
    if (verdict && verdict.textContent.trim() !== say.last) {
      say.last = verdict.textContent.trim();
      say(say.last.replace(/\s+/g, " "));
    }
  });
  document.addEventListener("htmx:sendError", () => say("The server did not answer; the figures shown are the last ones."));
})();
