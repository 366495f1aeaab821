// The reader's choice of light or dark, applied before the first paint: loaded in the head, without defer.
"use strict";
(() => {
  const KEY = "headroom-theme";
  const root = document.documentElement;
  const apply = (choice) => {
    if (choice === "light" || choice === "dark") root.dataset.theme = choice;
    else delete root.dataset.theme;
  };
  const stored = () => {
    try { return localStorage.getItem(KEY); } catch { return null; }
  };
  apply(stored());
  root.classList.add("js");

  const isDark = () =>
    (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const announce = () => {
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.setAttribute("aria-pressed", String(isDark()));
      button.hidden = false;
    }
    document.dispatchEvent(new CustomEvent("headroom:theme"));
  };
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const choice = isDark() ? "light" : "dark";
    try { localStorage.setItem(KEY, choice); } catch { /* private mode: the choice lasts as long as the page */ }
    apply(choice);
    announce();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", announce);
  document.addEventListener("DOMContentLoaded", announce);
})();
