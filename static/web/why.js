// "why?" fetches the formulas behind the figures, then opens the ones it is about.
(() => {
  "use strict";
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id !== "traces" && event.target.id !== "traces") return;
    const asked = event.detail.requestConfig?.elt;
    const anchor = asked?.hash?.slice(1) || "why-time";
    const part = document.getElementById(anchor);
    if (!part) return;
    part.open = true;
    if (asked?.matches("[data-why]")) part.scrollIntoView({ block: "start" });
    part.querySelector("summary").focus({ preventScroll: true });
  });
})();
