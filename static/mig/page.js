// What is typed while an answer is on its way is kept: that answer is not waited for, and the field is asked about when left.
"use strict";
document.addEventListener("input", (event) => {
  const form = event.target.closest("#mig-form");
  if (form) htmx.trigger(form, "htmx:abort");
});
