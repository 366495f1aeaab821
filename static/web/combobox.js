// A searchable list for <input data-combobox list="id">, by the WAI-ARIA combobox pattern. Without this file the
// browser's own list serves. The options stay those of the datalist, which the server may replace at any time: values
// alone at first; text (its name), data-note, data-group and data-price come from data-more when a picker is first used.
"use strict";
(() => {
  // "8 x", "8 ×" and "8x" are one word, "80 GB" and "80gb" too; case and accents make no difference.
  const plain = (text) =>
    text.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "").replace(/(\d)\s*[x×](?=\s|$|[a-z]\w*\d)/g, "$1x ")
      .replace(/(\d)\s+(gb|gib|b|m|k)\b/g, "$1$2").trim();
  const words = (text) => plain(text).split(/[\s,_/()-]+/).filter(Boolean);

  // How well a word that was typed matches one of an entry's: 0 not at all, 4 exactly. "8x" is a count: no part of "48x" or "8xlarge".
  const near = (typed, word) => {
    if (typed.length < 4 || Math.abs(typed.length - word.length) > 1 || typed[0] !== word[0] || /\d/.test(typed)) return false;
    let from = 0;
    while (from < typed.length && typed[from] === word[from]) from += 1;
    return typed.slice(from + 1) === word.slice(from) || typed.slice(from) === word.slice(from + 1)
      || typed.slice(from + 1) === word.slice(from + 1)
      || (typed[from] === word[from + 1] && typed[from + 1] === word[from] && typed.slice(from + 2) === word.slice(from + 2));
  };
  const matched = (typed, entry) => {
    let best = 0;
    const count = /^\d+x$/.test(typed);
    for (const word of entry.words) {
      if (word === typed) return 4;
      if (count) continue;
      if (word.startsWith(typed)) best = Math.max(best, 3);
      else if (typed.length > 1 && word.includes(typed)) best = Math.max(best, 2);
      else if (near(typed, word)) best = Math.max(best, 1);
    }
    return best || (typed.length > 2 && !count && entry.joined.includes(typed.replace(/[^a-z0-9]/g, "")) ? 1 : 0);
  };
  const found = (entries, text) => {
    const typed = words(text);
    const scored = [];
    for (const entry of entries) {
      let score = 0;
      for (const word of typed) {
        const one = matched(word, entry);
        if (!one) { score = -1; break; }
        score += one;
      }
      if (score >= 0) scored.push([score, entry]);
    }
    return scored.sort((one, other) => other[0] - one[0]).map(([, entry]) => entry);
  };
  // Groups keep the order of their best entry.
  const grouped = (entries) => {
    const groups = new Map();
    for (const entry of entries) groups.set(entry.group, [...(groups.get(entry.group) ?? []), entry]);
    return groups;
  };
  const made = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  let open = null; // { input, list, shown, active, before }

  const entriesOf = (input) => [...document.getElementById(input.dataset.options).options].map((option) => {
    const { note = "", group = "", price = "" } = option.dataset;
    const text = `${option.value} ${option.text} ${note} ${group}`;
    return {
      value: option.value, name: option.text, note, group, price,
      words: [...new Set([...words(text), ...words(text.replace(/\./g, " "))])],
      joined: text.toLowerCase().replace(/[^a-z0-9]/g, ""),
    };
  });

  const complete = async (input) => {
    const list = document.getElementById(input.dataset.options), more = list?.dataset.more;
    if (!more) return;
    delete list.dataset.more;
    const answer = await fetch(more).catch(() => null);
    if (!answer?.ok) { list.dataset.more = more; return; }
    list.innerHTML = await answer.text();
    if (open?.input === input) fill(open.typed);
  };

  // Where one stands: under the field, or above it where there is more room; never cut by a box that scrolls.
  const place = () => {
    if (!open) return;
    const box = open.input.getBoundingClientRect();
    const { clientWidth: width, clientHeight: height } = document.documentElement;
    const below = height - box.bottom - 12, above = box.top - 12;
    const under = below >= 240 || below >= above;
    const style = open.list.style;
    const wide = Math.min(Math.max(box.width, 420), width - 16);
    style.width = `${wide}px`;
    style.left = `${Math.max(8, Math.min(box.left, width - wide - 8))}px`;
    style.maxHeight = `${Math.min(under ? below : above, 420)}px`;
    style.top = under ? `${box.bottom + 4}px` : "auto";
    style.bottom = under ? "auto" : `${height - box.top + 4}px`;
  };
  const activate = (index) => {
    const options = open.list.querySelectorAll("[role=option]");
    options[open.active]?.removeAttribute("data-active");
    open.active = index;
    const option = options[index];
    if (!option) { open.input.removeAttribute("aria-activedescendant"); return; }
    option.setAttribute("data-active", "");
    open.input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  };
  const fill = (text) => {
    open.typed = text;
    const all = entriesOf(open.input);
    open.shown = [];
    const groups = grouped(text ? found(all, text) : all);
    const parts = [];
    for (const [name, entries] of groups) {
      const group = made("div", { role: "group", "aria-label": name }, made("div", { class: "group", "aria-hidden": "true" }, name));
      for (const entry of entries) {
        const id = `${open.list.id}-${open.shown.length}`;
        const chosen = entry.value === open.before;
        group.append(made("div", { role: "option", id, "aria-selected": String(chosen), class: "option" },
          made("span", {}, made("strong", {}, entry.name), made("span", { class: "muted" }, entry.note)),
          made("span", { class: "price" }, entry.price)));
        open.shown.push(entry);
      }
      parts.push(group);
    }
    open.list.replaceChildren(...parts);
    if (!open.shown.length) open.list.append(made("p", { class: "muted small" }, "Nothing is called so. Fewer words find more."));
    open.list.scrollTop = 0;
    open.active = -1;
    activate(text && open.shown.length ? 0 : open.shown.findIndex((entry) => entry.value === open.before));
    document.getElementById("live").textContent = text ? `${open.shown.length} found` : "";
  };
  const show = (input, text = "") => {
    if (open?.input !== input) {
      close();
      const list = made("div", { role: "listbox", id: `${input.id}-list`, class: "listbox", "aria-label": "Choices" });
      document.body.append(list);
      open = { input, list, shown: [], active: -1, before: input.dataset.chosen };
      input.setAttribute("aria-expanded", "true");
      input.setAttribute("aria-controls", list.id);
      list.addEventListener("pointerdown", (event) => event.preventDefault());
      list.addEventListener("click", (event) => {
        const option = event.target.closest("[role=option]");
        if (option) choose(Number(option.id.split("-").pop()));
      });
    }
    complete(input);
    place();
    fill(text);
  };
  const close = () => {
    if (!open) return;
    open.list.remove();
    open.input.setAttribute("aria-expanded", "false");
    open.input.removeAttribute("aria-controls");
    open.input.removeAttribute("aria-activedescendant");
    open = null;
  };
  const settle = (input) => {
    if (input.value.trim() === input.dataset.chosen) return;
    input.dataset.chosen = input.value.trim();
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const choose = (index) => {
    const { input, shown } = open;
    input.value = shown[index].value;
    close();
    settle(input);
    input.focus();
    input.select();
  };

  const adopt = (input) => {
    input.dataset.options = input.getAttribute("list");
    input.removeAttribute("list");
    input.dataset.chosen = input.value;
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-haspopup": "listbox" }))
      input.setAttribute(name, value);
  };
  const adoptAll = () => document.querySelectorAll("input[data-combobox][list]").forEach(adopt);
  document.addEventListener("DOMContentLoaded", adoptAll);
  document.addEventListener("headroom:answered", adoptAll);

  const combobox = (event) => event.target.matches?.("[role=combobox][data-options]") && event.target;
  // What is typed here searches; it is no answer to the form until it is chosen or the field is left.
  document.addEventListener("input", (event) => {
    if (!combobox(event)) return;
    event.stopPropagation();
    show(event.target, event.target.value.trim());
  }, true);
  document.addEventListener("change", (event) => {
    if (combobox(event) && event.isTrusted) event.stopPropagation();
  }, true);
  document.addEventListener("click", (event) => {
    if (combobox(event) && !open) show(event.target);
  });
  document.addEventListener("focusin", (event) => {
    if (!combobox(event)) return;
    event.target.select();
    complete(event.target);
  });
  document.addEventListener("focusout", (event) => {
    const input = combobox(event);
    if (!input) return;
    close();
    if (!input.value.trim() && input.dataset.chosen) input.value = input.dataset.chosen;
    settle(input);
  });
  document.addEventListener("keydown", (event) => {
    const input = combobox(event);
    if (!input) return;
    const shown = open?.input === input;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!shown) { show(input); return; }
      const count = open.shown.length, step = event.key === "ArrowDown" ? 1 : -1;
      if (count) activate(open.active < 0 ? (step > 0 ? 0 : count - 1) : (open.active + step + count) % count);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (shown && open.active >= 0) choose(open.active);
      else { close(); settle(input); }
    } else if (event.key === "Escape" && (shown || input.value !== input.dataset.chosen)) {
      event.preventDefault();
      close();
      input.value = input.dataset.chosen;
      input.select();
    } else if (event.key === "Tab") close();
  });
  document.addEventListener("scroll", (event) => { if (open && !open.list.contains(event.target)) place(); }, true);
  window.addEventListener("resize", place);
})();
