// The plan page's own hands: the panel that says why, and the slim verdict while the full one is out of sight.
"use strict";
(() => {
  // A link to an explanation opens it beside what one reads. Without this file the link leads down the page.
  const panel = document.createElement("aside");
  panel.className = "panel";
  panel.hidden = true;
  panel.setAttribute("aria-labelledby", "panel-title");
  panel.innerHTML = '<header><h2 id="panel-title" tabindex="-1"></h2><button type="button" class="quiet">Close</button></header><div class="panel-body"></div>';
  const title = panel.querySelector("h2"), body = panel.querySelector(".panel-body");
  let shown = null; // the link whose formulas stand in the panel, by its figure
  const opener = () => shown && document.querySelector(`a.why[href$="#${shown}"]`);
  const fill = async () => {
    const link = opener(), key = shown;
    if (!link) return;
    const answer = await fetch(link.href, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (key !== shown) return;
    const page = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = page && page.getElementById(key);
    if (!part) { body.textContent = "The server did not say why. Close this and try again."; return; }
    title.textContent = part.querySelector("summary").textContent.trim();
    body.replaceChildren(document.adoptNode(part.querySelector(".tree")));
  };
  const close = () => {
    if (panel.hidden) return;
    panel.hidden = true;
    opener()?.setAttribute("aria-expanded", "false");
    opener()?.focus();
    shown = null;
  };
  panel.querySelector("button").addEventListener("click", close);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.defaultPrevented) close(); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.why[href*='#why-']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (!panel.isConnected) document.body.append(panel);
    opener()?.setAttribute("aria-expanded", "false");
    shown = link.hash.slice(1);
    title.textContent = link.closest("dt")?.firstChild?.textContent.trim() || "Why";
    body.textContent = "";
    panel.hidden = false;
    link.setAttribute("aria-expanded", "true");
    title.focus();
    fill();
  }, true);
  // With another answer the panel says why of that one.
  document.addEventListener("headroom:answered", () => { if (!panel.hidden) fill(); });

  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting, boundingClientRect } of entries)
      target.closest(".answer")?.querySelector(".slim")?.classList.toggle("shown", !isIntersecting && boundingClientRect.bottom < 60);
  });
  const watchVerdict = () => {
    watch.disconnect();
    document.querySelectorAll(".answer > .verdict").forEach((verdict) => watch.observe(verdict));
  };
  document.addEventListener("DOMContentLoaded", watchVerdict);
  document.addEventListener("headroom:answered", watchVerdict);

  // A hint stays inside the window, whatever box it is in scrolls.
  document.addEventListener("toggle", (event) => {
    const hint = event.target;
    if (!hint.matches?.(".hint[open]")) return;
    const words = hint.querySelector(".help"), mark = hint.getBoundingClientRect();
    words.style.top = `${mark.bottom + 4}px`;
    words.style.left = `${Math.max(8, Math.min(mark.left - 8, document.documentElement.clientWidth - words.offsetWidth - 16))}px`;
    if (mark.bottom + words.offsetHeight + 12 > innerHeight) words.style.top = `${mark.top - words.offsetHeight - 4}px`;
  }, true);
  document.addEventListener("scroll", () => {
    for (const hint of document.querySelectorAll(".hint[open]")) hint.open = false;
  }, true);
})();
