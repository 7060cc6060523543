"use strict";
const $ = (id) => document.getElementById(id);
const RULES = ["published", "robust"];
// An answer's bits, as entries.py sets them; those of the robust rule are twice the first three.
const RIGHT = 1;
const UNMATCHED = 4;
const UNREAD = 16;
const TRUNCATED = 128;
const UNSCORED = 512;
const MISSING = 1024;
const FLIPPED = 2048;
const UNFINISHED = 4096;
const RATED = 8192;
const SERIES = 6;

// Text is only ever set as text: nothing of a model's can become markup.
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
// A titled box; `wide` over all columns.
const card = (heading, wide, ...children) =>
  el(
    "section",
    { class: wide ? "card full" : "card" },
    el("h3", {}, visible(heading)),
    ...children,
  );

// What would hide or turn text around is shown by its number: controls, formats, line and
// paragraph separators, and halves of surrogate pairs. Joiners stay where a script is written with
// them (Persian, Hindi) and within an emoji.
const JOINING = ["Arab", "Syrc", "Deva", "Beng", "Guru", "Gujr", "Orya", "Taml", "Telu", "Knda", "Mlym", "Sinh", "Khmr"];
const WRITTEN = `(?<=[${JOINING.map((name) => `\\p{sc=${name}}`).join("")}])[\u200c\u200d](?=\\p{L})`;
const EMOJI = "(?<=[\\p{ExtPict}\\p{EMod}\ufe0f])\u200d(?=\\p{ExtPict})";
const HIDDEN = new RegExp(`[\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}](?<![\n\t]|${WRITTEN}|${EMOJI})`, "gu");
const codePoint = (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
const visible = (text) => text.replace(HIDDEN, codePoint);
// What lies in the very middle is rounded to the even digit, as in table.md and on the terminal.
function rounded(value, digits) {
  const up = value.toFixed(digits);
  const middle = Math.abs(value * 2 ** (digits + 1)) % 2 === 1; // exact, for it is a power of two
  return middle && /[13579]$/.test(up) ? value.toFixed(digits + 1).slice(0, -1) : up;
}
const number = (value, digits = 2) =>
  value === null || value === undefined ? "–" : rounded(value, digits);
const signed = (value) =>
  value === null || value === undefined ? "–" : (value >= 0 ? "+" : "") + number(value);
const percent = (value) =>
  value === null || value === undefined ? "?" : rounded(100 * value, 1) + "\u00a0%";
const whole = (value) => value.toLocaleString("en");

async function unpack(id) {
  const bytes = Uint8Array.from(atob($(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// Light or dark as the system has it, or as a person has switched it before.
function themed() {
  const root = document.documentElement;
  const kept = (change) => {
    try {
      return change(window.localStorage);
    } catch {
      return null; // a browser may keep nothing for a file, or nothing at all
    }
  };
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = kept((store) => store.getItem("theme")) || (dark ? "dark" : "light");
  $("theme").addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    kept((store) => store.setItem("theme", root.dataset.theme));
  });
}
