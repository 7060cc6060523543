"use strict";
const $ = (id) => document.getElementById(id);
const RULES = ["published", "robust"];
const RIGHT = 1, UNMATCHED = 4, TRUNCATED = 16, EMPTY = 32, UNSCORED = 64, FLIPPED = 128;
const ROW = 30;

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
const label = (x, y, text, more = {}) => svg("text", { x, y, ...more }, visible(String(text)));
const title = (text) => svg("title", {}, visible(text));

// Characters that would hide or turn text around are shown by their number.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;
const visible = (text) => text.replace(HIDDEN, (c) => "⟨U+" + c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0") + "⟩");
const number = (value, digits = 2) => value === null || value === undefined ? "–" : value.toFixed(digits);
const percent = (value) => value === null || value === undefined ? "?" : (100 * value).toFixed(1) + " %";
const whole = (value) => value.toLocaleString("en");

async function unpack(id) {
  const bytes = Uint8Array.from(atob($(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// --- Pictures -------------------------------------------------------------------------------

// Horizontal bars with intervals: rows of {name, bars: [{value, low, high, kind}], reference}.
function bars(rows, least, most, unit, describe) {
  const left = Math.min(190, 14 + 6.3 * Math.max(...rows.map((r) => r.name.length))), width = 460, right = 44;
  const step = rows[0].bars.length > 1 ? 30 : 19, height = rows.length * step + 26;
  const x = (v) => left + (width - left - right) * (v - least) / (most - least);
  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": describe });
  for (let i = 0; i <= 4; i++) {
    const v = least + (most - least) * i / 4;
    node.append(svg("line", { x1: x(v), x2: x(v), y1: 0, y2: height - 20, class: "axis" }),
      label(x(v), height - 7, Math.round(v * 10) / 10, { "text-anchor": "middle", class: "dimtext" }));
  }
  node.append(label(left - 6, height - 7, unit, { "text-anchor": "end", class: "dimtext" }));
  rows.forEach((row, place) => {
    const top = place * step + 3, name = row.name.length > 28 ? row.name.slice(0, 27) + "…" : row.name;
    node.append(svg("g", {}, title(row.name), label(left - 6, top + step / 2 + 2, name, { "text-anchor": "end" })));
    row.bars.forEach((bar, n) => {
      const y = top + n * 12, high = 10;
      if (bar.value === null || bar.value === undefined) { node.append(label(left + 4, y + 9, "no figure", { class: "dimtext" })); return; }
      const group = svg("g", {}, title(`${row.name}, ${bar.kind}: ${number(bar.value)} (${number(bar.low)} to ${number(bar.high)})`),
        svg("rect", { x: x(least), y, width: Math.max(0, x(bar.value) - x(least)), height: high, class: n ? "two" : "one" }));
      if (bar.low !== null && bar.low !== undefined) {
        group.append(svg("line", { x1: x(bar.low), x2: x(bar.high), y1: y + high / 2, y2: y + high / 2, class: "whisker" }));
        for (const end of [bar.low, bar.high]) group.append(svg("line", { x1: x(end), x2: x(end), y1: y + 2, y2: y + high - 2, class: "whisker" }));
      }
      group.append(label(Math.max(x(bar.high ?? bar.value), x(bar.value)) + 4, y + 9, number(bar.value, 1)));
      node.append(group);
    });
    if (row.reference !== null && row.reference !== undefined)
      node.append(svg("g", {}, title(`published: ${row.reference}`), svg("line", { x1: x(row.reference), x2: x(row.reference), y1: top - 2, y2: top + step - 6, class: "ref" })));
  });
  return node;
}

function radar(names, values, least, most, describe) {
  const cx = 180, cy = 150, r = 105, node = svg("svg", { viewBox: "0 0 360 300", role: "img", "aria-label": describe });
  const at = (i, v) => { const a = 2 * Math.PI * i / names.length - Math.PI / 2, d = r * (v - least) / (most - least); return [cx + d * Math.cos(a), cy + d * Math.sin(a)]; };
  for (let ring = 1; ring <= 3; ring++) {
    const v = least + (most - least) * ring / 3;
    node.append(svg("polygon", { points: names.map((_, i) => at(i, v).join()).join(" "), class: "axis", fill: "none" }), label(cx + 3, at(0, v)[1] + 10, Math.round(v * 10) / 10, { class: "dimtext" }));
  }
  names.forEach((name, i) => {
    const [x, y] = at(i, most), [tx, ty] = at(i, most + (most - least) * .1);
    node.append(svg("line", { x1: cx, y1: cy, x2: x, y2: y, class: "axis" }),
      label(tx, ty + 4, name + " " + number(values[i], 1), { "text-anchor": tx > cx + 8 ? "start" : tx < cx - 8 ? "end" : "middle" }));
  });
  const known = names.map((_, i) => at(i, values[i] ?? least));
  node.append(svg("polygon", { points: known.map((p) => p.join()).join(" "), class: "onearea" }));
  return node;
}

function histogram(counts, unit, describe) {
  const keys = Object.keys(counts).map(Number), most = Math.max(...keys), width = 420, high = 110;
  const total = Object.values(counts).reduce((a, b) => a + b, 0), peak = Math.max(...Object.values(counts));
  const step = (width - 20) / (most + 1), node = svg("svg", { viewBox: `0 0 ${width} ${high + 34}`, role: "img", "aria-label": describe });
  for (let k = 0; k <= most; k++) {
    const n = counts[k] || 0, h = high * n / peak, from = k ? 2 ** (k - 1) : 0, to = k ? 2 ** k - 1 : 0;
    node.append(svg("g", {}, title(`${from} to ${to} ${unit}: ${whole(n)} answers (${(100 * n / total).toFixed(1)} %)`),
      svg("rect", { x: 10 + k * step + 1, y: high - h + 6, width: step - 2, height: h, class: "one" })));
    node.append(label(10 + (k + .5) * step, high + 18, from >= 1024 ? from / 1024 + "k" : from, { "text-anchor": "middle", class: "dimtext" }));
  }
  node.append(label(width - 4, high + 32, unit + " (each bar: from this, to twice as many)", { "text-anchor": "end", class: "dimtext" }));
  return node;
}

function replicaChart(lines) {
  const end = Math.max(...lines.map((l) => l.seconds), 1), peak = Math.max(...lines.map((l) => l.in_flight || 0), 1), width = 800, high = 150;
  const node = svg("svg", { viewBox: `0 0 ${width} ${high + 30}`, role: "img", "aria-label": "requests in flight per replica over time" });
  const x = (s) => 36 + (width - 46) * s / end, y = (n) => 8 + (high - 8) * (1 - n / peak);
  node.append(svg("line", { x1: 36, x2: width - 10, y1: y(0), y2: y(0), class: "axis" }), label(30, y(0), 0, { "text-anchor": "end" }), label(30, y(peak) + 8, peak, { "text-anchor": "end" }), label(width - 10, high + 22, `seconds (to ${Math.round(end)})`, { "text-anchor": "end", class: "dimtext" }));
  const replicas = [...new Set(lines.map((l) => l.replica))].sort((a, b) => a - b);
  replicas.forEach((replica, place) => {
    const own = lines.filter((l) => l.replica === replica);
    node.append(svg("g", {}, title("replica " + replica), svg("polyline", { points: own.map((l) => x(l.seconds) + "," + y(l.in_flight || 0)).join(" "), class: place % 2 ? "twoline" : "oneline", "stroke-width": 1.5, "stroke-dasharray": place > 1 ? 2 + place : "none" })));
    for (const line of own.filter((l) => l.event === "died")) node.append(svg("g", {}, title(`replica ${replica} died: ${line.reason}`), svg("line", { x1: x(line.seconds), x2: x(line.seconds), y1: 8, y2: high, class: "ref" })));
  });
  return el("div", { class: "card full" }, el("h3", {}, `Requests in flight: ${replicas.length} replicas`), node, legend(["", "replicas"], ["r", "a replica died"]));
}

const legend = (...entries) => el("p", { class: "legend" }, ...entries.map(([kind, text]) => el("span", {}, el("i", { class: kind }), text)));

// --- Sections -------------------------------------------------------------------------------

function grid(headers, rows, caption) {
  const body = rows.map((row) => el("tr", { class: row.kind || "" }, ...row.cells.map((c, i) => el("td", { class: headers[i].n ? "n" : headers[i].text ? "text" : "" }, visible(String(c))))));
  return el("table", {}, caption ? el("caption", {}, caption) : null, el("thead", {}, el("tr", {}, ...headers.map((h) => el("th", { class: h.n ? "n" : "", scope: "col" }, h.name)))), el("tbody", {}, ...body));
}
const limits = (task) => task.scale === 100 ? [0, 100, "points"] : [1, 10, "rating"];

function showScores(runs) {
  const published = {};
  for (const table of Object.values(runs[0].summary.tables || {})) {
    const row = (table.runs || []).find((r) => r.rule === "published");
    if (row) table.columns.forEach((c, i) => { if (c.task && !c.figure && row.cells[i].published !== null) published[c.task] = row.cells[i].published; });
  }
  runs.forEach((run, place) => {
    const tasks = Object.entries(run.summary.tasks);
    for (const scale of [100, 1]) {
      const chosen = tasks.filter(([, t]) => (t.scale === 100) === (scale === 100));
      if (!chosen.length) continue;
      const [least, most, unit] = limits(chosen[0][1]);
      const rows = chosen.map(([name, t]) => ({ name, reference: published[name], bars: RULES.map((kind) => ({ kind, value: t[kind].score, low: t[kind].ci95 && t[kind].ci95[0], high: t[kind].ci95 && t[kind].ci95[1] })) }));
      $("score-charts").append(el("div", { class: "card" }, el("h3", {}, visible(runs.length > 1 ? run.name : scale === 100 ? "Points, with 95 % intervals" : "Ratings, with 95 % intervals")), bars(rows, least, most, unit, "scores with intervals"), legend(["", "published rule"], ["b", "robust rule"], ["r", "published figure"])));
    }
  });
  const headers = [{ name: "run" }, { name: "task" }, { name: "rule" }, { name: "score", n: 1 }, { name: "95 % interval", n: 1 }, { name: "n", n: 1 }, { name: "unmatched", n: 1 }, { name: "truncated", n: 1 }, { name: "empty", n: 1 }, { name: "note", text: 1 }];
  const rows = [];
  for (const run of runs) for (const [name, task] of Object.entries(run.summary.tasks)) for (const rule of RULES) {
    const one = task[rule], ci = one.ci95 || [null, null];
    rows.push({ cells: [run.name, name, rule, number(one.score), ci[0] === null ? "–" : `${number(ci[0], 1)} … ${number(ci[1], 1)}`, whole(one.n), percent(one.unmatched), percent(one.truncated), percent(one.empty), (task.notes || []).join("; ")] });
  }
  $("score-table").append(grid(headers, rows));
}

function showTables(runs) {
  const place = $("table-list");
  for (const run of runs) for (const table of Object.values(run.summary.tables || {})) {
    const headers = [{ name: "model" }, ...table.columns.map((c) => ({ name: c.header, n: 1 }))], rows = [], marks = new Set();
    const digits = (value) => value === null || value === undefined ? "–" : Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(1);
    for (const row of table.runs || []) {
      row.cells.forEach((c, i) => (c.marks || []).forEach((m) => marks.add(`${table.columns[i].header}: ${m}`)));
      rows.push({ kind: "own", cells: [`${row.model} (${row.rule})`, ...row.cells.map((c) => digits(c.score) + ((c.marks || []).length ? " †" : ""))] });
      rows.push({ kind: "sub", cells: ["95 % interval", ...row.cells.map((c) => c.ci95 ? `${digits(c.ci95[0])}…${digits(c.ci95[1])}` : "–")] });
      if (row.cells.some((c) => c.published !== null)) {
        rows.push({ kind: "sub", cells: ["difference", ...row.cells.map((c) => c.difference === null ? "–" : (c.difference > 0 ? "+" : "") + c.difference.toFixed(2))] });
        rows.push({ kind: "sub", cells: ["verdict", ...row.cells.map((c) => c.verdict || "–")] });
      }
    }
    for (const row of table.published || []) rows.push({ cells: [row.model, ...row.scores.map(digits)] });
    place.append(el("div", { class: "wide" }, grid(headers, rows, visible(table.title + (runs.length > 1 ? ", " + run.name : "")))));
    if (marks.size) place.append(el("p", { class: "dim" }, visible("† " + [...marks].join("; "))));
  }
  if (!place.children.length) $("tables").hidden = true;
}

function showSubsets(runs) {
  for (const run of runs) for (const [name, task] of Object.entries(run.summary.tasks)) {
    const subsets = Object.entries(task.published.subsets || {}).filter(([, s]) => s.score !== null);
    if (subsets.length < 2) continue;
    const [least, most, unit] = limits(task), heading = el("h3", {}, visible(`${name}: ${subsets.length} subsets${runs.length > 1 ? ", " + run.name : ""}`));
    const card = el("div", { class: "card" }, heading);
    if (task.metric === "rating" && subsets.length > 2) card.append(radar(subsets.map(([s]) => visible(s)), subsets.map(([, s]) => s.score), least, most, name + " by subset"));
    subsets.sort((a, b) => b[1].score - a[1].score);
    const picture = bars(subsets.map(([s, one]) => ({ name: s, bars: [{ kind: `n = ${one.n}`, value: one.score, low: one.ci95 && one.ci95[0], high: one.ci95 && one.ci95[1] }] })), least, most, unit, name + " by subset");
    card.append(subsets.length > 12 ? el("details", {}, el("summary", {}, `from ${number(subsets[0][1].score, 1)} to ${number(subsets[subsets.length - 1][1].score, 1)}: show all`), picture) : picture);
    $("subset-list").append(card);
  }
  if (!$("subset-list").children.length) $("subsets").hidden = true;
}

function showAnswers(runs) {
  for (const run of runs) for (const [name, one] of Object.entries(run.lengths)) {
    const task = run.summary.tasks[name].published;
    $("length-list").append(el("div", { class: "card" }, el("h3", {}, visible(name + (runs.length > 1 ? ", " + run.name : ""))), histogram(one.counts, one.unit, "lengths of answers"),
      el("p", { class: "dim" }, `unmatched ${percent(task.unmatched)}, truncated ${percent(task.truncated)}, empty ${percent(task.empty)}`)));
  }
}

function showWhy(runs) {
  const rows = [];
  for (const run of runs) for (const [name, task] of Object.entries(run.why || {})) {
    for (const cause of task.causes || []) rows.push({ cells: [run.name, name, cause.cause, whole(cause.answers), cause.gained, cause.lost, (cause.points > 0 ? "+" : "") + number(cause.points), (cause.ids || []).slice(0, 4).join(", ")] });
    for (const [quirk, n] of Object.entries(task.quirks || {})) rows.push({ cells: [run.name, name, "quirk: " + quirk, whole(n), "", "", "", ""] });
  }
  if (!rows.length) { $("why").hidden = true; return; }
  $("why-table").append(grid([{ name: "run" }, { name: "task" }, { name: "cause", text: 1 }, { name: "answers", n: 1 }, { name: "gained", n: 1 }, { name: "lost", n: 1 }, { name: "points", n: 1 }, { name: "for example", text: 1 }], rows));
}

function showRun(runs) {
  const flat = (value, prefix = "") => value !== null && typeof value === "object" && !Array.isArray(value) ? Object.entries(value).flatMap(([k, v]) => flat(v, prefix ? prefix + "." + k : k)) : [[prefix, Array.isArray(value) ? JSON.stringify(value) : String(value)]];
  for (const run of runs) {
    if (run.replicas.length) $("replica-chart").append(replicaChart(run.replicas));
    const { identity, sources, packages, ...rest } = run.manifest;
    const list = (part) => el("dl", {}, ...flat(part).flatMap(([k, v]) => [el("dt", {}, visible(k)), el("dd", {}, visible(v.length > 500 ? v.slice(0, 500) + "…" : v))]));
    $("manifest").append(el("div", { class: "card full" }, el("h3", {}, visible(run.name)), list(rest),
      ...[["What makes it the work it is", identity], ["Data", sources], ["Packages", packages]].map(([name, part]) => el("details", {}, el("summary", {}, name), list(part || {})))));
  }
}

// --- The browser of items -------------------------------------------------------------------

function browser(index, runs) {
  const list = $("list"), rows = $("rows"), spacer = $("spacer"), detail = $("detail"), blocks = new Map();
  const names = index.names, all = index.rows;
  let shown = all.map((_, i) => i), chosen = -1, searching = 0;
  const id = (row) => `${names[row[0]][0]}/${names[row[0]][1]}/${row[1]}`;
  const block = (n) => { if (!blocks.has(n)) { if (blocks.size > 60) blocks.delete(blocks.keys().next().value); blocks.set(n, unpack("block" + n)); } return blocks.get(n); };
  const rated = (row) => runs[0].summary.tasks[names[row[0]][0]].scale !== 100;

  const filters = [["all", "all", () => true], ["wrong", "wrong (published)", (r) => !(r[3] & (RIGHT | UNSCORED)) && !rated(r)], ["wrong-robust", "wrong (robust)", (r) => !(r[3] & (2 * RIGHT | UNSCORED)) && !rated(r)], ["right", "right (published)", (r) => r[3] & RIGHT && !rated(r)],
    ["unmatched", "unmatched (published)", (r) => r[3] & UNMATCHED], ["unmatched-robust", "unmatched (robust)", (r) => r[3] & 2 * UNMATCHED], ["disagree", "rules disagree", (r) => !(r[3] & RIGHT) !== !(r[3] & 2 * RIGHT)], ["truncated", "truncated", (r) => r[3] & TRUNCATED], ["empty", "empty", (r) => r[3] & EMPTY], ["unscored", "not scored", (r) => r[3] & UNSCORED]];
  if (runs.length > 1) filters.push(["flipped", "flipped against " + visible(runs[1].name), (r) => r[3] & FLIPPED]);
  for (const [value, text] of filters) $("filter").append(el("option", { value }, text));
  const options = (node, values) => node.replaceChildren(el("option", { value: "" }, "all"), ...values.map((v) => el("option", { value: v }, visible(v))));
  options($("task"), [...new Set(names.map(([t]) => t))]);
  const subsets = () => options($("subset"), [...new Set(names.filter(([t]) => !$("task").value || t === $("task").value).map(([, s]) => s))]);
  subsets();

  function draw() {
    spacer.style.height = shown.length * ROW + "px";
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5), last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW) + 12);
    rows.style.transform = `translateY(${first * ROW}px)`;
    rows.replaceChildren(...shown.slice(first, last).map((n, offset) => {
      const row = all[n], place = first + offset, scored = !(row[3] & UNSCORED);
      const mark = (bit) => rated(row) ? el("span", {}, "★") : el("span", { class: row[3] & bit ? "ok" : "no" }, scored ? (row[3] & bit ? "✓" : "✗") : "·");
      const node = el("div", { class: "row", role: "option", id: "row" + place, "aria-selected": place === chosen, "aria-posinset": place + 1, "aria-setsize": shown.length }, mark(RIGHT), mark(2 * RIGHT), el("span", { class: "id" }, el("bdi", {}, visible(id(row) + (row[2] ? " #" + row[2] : "")))),
        row[3] & FLIPPED ? el("span", { title: "flipped" }, "⇄") : null, row[3] & TRUNCATED ? el("span", { title: "truncated" }, "✂") : null, row[3] & UNMATCHED ? el("span", { title: "unmatched" }, "?") : null);
      node.addEventListener("click", () => choose(place));
      return node;
    }));
    list.setAttribute("aria-activedescendant", chosen >= 0 ? "row" + chosen : "");
  }

  async function choose(place) {
    if (!shown.length) return;
    chosen = Math.max(0, Math.min(shown.length - 1, place));
    const top = chosen * ROW;
    if (top < list.scrollTop) list.scrollTop = top; else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    draw();
    const row = all[shown[chosen]], entry = (await block(row[row.length - 2]))[row[row.length - 1]];
    if (row === all[shown[chosen]]) detail.replaceChildren(...describe(entry, row[2])), detail.scrollTop = 0;
  }

  // The response with what each rule read marked in it; spans count code points, as Python does.
  function marked(text, scores) {
    const points = [...text], spans = scores.filter((s) => s[6] && s[6].span).map((s) => [...s[6].span, s[2]]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const pre = el("pre", {}); let at = 0;
    for (const [start, end, rule] of spans) {
      if (start < at) continue;
      const same = spans.filter((s) => s[0] === start && s[1] === end).map((s) => s[2]).join(", ");
      pre.append(visible(points.slice(at, start).join("")), el("mark", { class: rule, title: "read by: " + same }, visible(points.slice(start, end).join(""))));
      at = end;
    }
    pre.append(visible(points.slice(at).join("")));
    return pre;
  }

  function describe(entry, sample) {
    const parts = [el("h3", {}, visible(entry.id + (sample ? ` sample ${sample}` : "")))];
    if (entry.condition) parts.push(el("span", { class: "badge" }, visible(entry.condition)));
    entry.turns.forEach((turn, t) => {
      parts.push(el("h3", {}, entry.turns.length > 1 ? `Prompt, turn ${t + 1}` : "Prompt"), el("pre", {}, visible(turn)));
      entry.runs.forEach((run, n) => {
        const response = run.responses.find((r) => r[0] === sample && r[1] === t);
        const scores = run.scores.filter((s) => s[0] === sample && (s[1] === t || entry.turns.length === 1));
        parts.push(el("h3", {}, visible(entry.runs.length > 1 ? "Response of " + runs[n].name : "Response")));
        if (!response) { parts.push(el("p", { class: "dim" }, "no response")); return; }
        parts.push(marked(response[2], scores));
        const facts = el("p", {}, ...scores.map((s) => el("span", { class: "badge " + (s[5] === null ? "" : s[5] ? "ok" : "no") }, visible(`${s[2]}: ${s[3] === null ? "nothing read" : s[3].length > 120 ? s[3].slice(0, 120) + "…" : s[3]}${s[4] ? "" : " (unmatched)"} → ${s[5] === null ? "no rating" : runs[0].summary.tasks[entry.id.split("/")[0]].scale === 100 ? s[5] ? "right" : "wrong" : s[5]}`))));
        facts.append(el("span", { class: "dim" }, ` ${response[3] === "length" ? "truncated" : response[3] || ""}${response[4] === null ? "" : `, ${response[4]} tokens`}`));
        parts.push(facts);
        for (const s of scores) if (s[6] && s[6].reason) parts.push(el("p", { class: "dim" }, visible(`${s[2]}: ${s[6].reason}`)));
        for (const v of run.verdicts.filter((v) => v[0] === sample && v[1] === t)) parts.push(el("details", {}, el("summary", {}, visible("Verdict of " + v[3])), el("pre", {}, visible(v[2]))));
      });
    });
    parts.push(el("h3", {}, "Target"), el("pre", {}, visible(entry.target.join("\n") || "–")));
    return parts;
  }

  async function refresh() {
    const turn = ++searching, test = filters.find(([v]) => v === $("filter").value)[2], task = $("task").value, subset = $("subset").value, word = $("search").value.trim().toLowerCase();
    const fits = all.map((_, i) => i).filter((i) => { const [t, s] = names[all[i][0]]; return (!task || t === task) && (!subset || s === subset) && test(all[i]); });
    chosen = -1;
    if (!word) { shown = fits; finish(); return; }
    shown = fits.filter((i) => id(all[i]).toLowerCase().includes(word));
    const found = new Set(shown), byBlock = new Map();
    for (const i of fits) { const b = all[i][all[i].length - 2]; if (!byBlock.has(b)) byBlock.set(b, []); byBlock.get(b).push(i); }
    let done = 0;
    for (const [b, members] of byBlock) {
      const entries = await unpack("block" + b);
      if (turn !== searching) return;
      for (const i of members) {
        const entry = entries[all[i][all[i].length - 1]];
        if (!found.has(i) && (entry.turns.some((t) => t.toLowerCase().includes(word)) || entry.target.some((t) => t.toLowerCase().includes(word)) || entry.runs.some((run) => run.responses.some((r) => r[0] === all[i][2] && r[2].toLowerCase().includes(word))))) found.add(i);
      }
      if (++done % 8 === 0) { shown = fits.filter((i) => found.has(i)); finish(`, searching ${Math.round(100 * done / byBlock.size)} %`); await new Promise((r) => setTimeout(r)); }
    }
    shown = fits.filter((i) => found.has(i));
    finish();
  }
  function finish(more = "") { $("count").textContent = `${whole(shown.length)} of ${whole(all.length)} answers${more}`; list.scrollTop = 0; draw(); }

  let waiting;
  $("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 250); });
  $("task").addEventListener("change", () => { subsets(); refresh(); });
  for (const name of ["subset", "filter"]) $(name).addEventListener("change", refresh);
  list.addEventListener("scroll", () => requestAnimationFrame(draw));
  window.addEventListener("resize", draw);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "/" && !typing) { event.preventDefault(); $("search").focus(); return; }
    if (event.key === "Escape") { if (typing) event.target.blur(); list.focus(); return; }
    if (typing) return;
    const within = list.contains(document.activeElement) || document.activeElement === document.body;
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9 }[event.key];
    if (step && (event.key === "j" || event.key === "k" || list.contains(document.activeElement))) { event.preventDefault(); choose(chosen + step); }
    else if (event.key === "Enter" && within && chosen >= 0) detail.focus();
  });
  refresh();
}

// --- Start ----------------------------------------------------------------------------------

(async () => {
  const root = document.documentElement;
  root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  $("theme").addEventListener("click", () => { root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; });
  const [about, index] = await Promise.all([unpack("about"), unpack("index")]), runs = about.runs;
  const heading = visible(runs.map((run) => `${run.summary.model}, ${run.name}`).join(" · "));
  $("title").textContent = heading; document.title = heading;
  if (index.leftOut) { $("note").hidden = false; $("note").textContent = `${whole(index.leftOut)} more items are in the run's files and not on this page.`; }
  for (const show of [showScores, showTables, showSubsets, showAnswers, showWhy, showRun]) show(runs);
  browser(index, runs);
  root.dataset.ready = Math.round(performance.now());
})();
