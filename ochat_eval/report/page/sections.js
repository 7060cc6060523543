// --- Sections -------------------------------------------------------------------------------

const right = (name) => ({ name, kind: "n" });
const left = (name) => ({ name, kind: "" });
const text = (name) => ({ name, kind: "text" });

// A table; headers are {name, kind}, rows {kind, cells}, a cell is a value or an element.
function grid(headers, rows, caption) {
  const head = headers.map((h) => el("th", { class: h.kind, scope: "col" }, h.name));
  const body = rows.map((row) => {
    const cells = row.cells.map((cell, i) =>
      el("td", { class: headers[i].kind }, cell instanceof Node ? cell : visible(String(cell))),
    );
    return el("tr", { class: row.kind || "" }, ...cells);
  });
  const table = el(
    "table",
    {},
    caption ? el("caption", {}, visible(caption)) : null,
    el("thead", {}, el("tr", {}, ...head)),
    el("tbody", {}, ...body),
  );
  return el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": caption }, table);
}

const bar = (kind, one) => ({
  kind,
  value: one && one.score,
  low: one && one.ci95 && one.ci95[0],
  high: one && one.ci95 && one.ci95[1],
});
const scale = (task) => [
  ...task.bounds.map((b) => b * task.scale),
  task.scale === 100 ? "points" : task.metric,
];

// Each benchmark of any run, with what the runs have of it (undefined where one has not asked it).
function benchmarks(runs) {
  const names = new Set(runs.flatMap((run) => Object.keys(run.summary.tasks)));
  return [...names].map((name) => {
    const tasks = runs.map((run) => run.summary.tasks[name]);
    return { name, tasks, first: tasks.find((task) => task) };
  });
}

// A published figure with the digits that it was published with, at least one behind the point.
const asPublished = (value) => (Number.isInteger(value) ? number(value, 1) : String(value ?? "–"));

function showTables(runs) {
  const titles = new Map();
  for (const run of runs)
    for (const [name, table] of Object.entries(run.summary.tables || {})) {
      const same = titles.get(name) || { table, rows: [], marks: new Set() };
      titles.set(name, same);
      for (const row of table.runs || []) {
        const who = runs.length > 1 ? `${row.model}, ${run.name}` : row.model;
        same.rows.push(...ownRows(row, table.columns, `${who} (${row.rule})`));
        row.cells.forEach((cell, i) => {
          const where = `${runs.length > 1 ? `${run.name}, ` : ""}${table.columns[i].header}`;
          if (cell.marks.length) same.marks.add(`† ${where}: ${cell.marks.join("; ")}`);
        });
      }
    }
  for (const { table, rows, marks } of titles.values()) {
    const headers = [left("model"), ...table.columns.map((column) => right(column.header))];
    for (const row of table.published || [])
      rows.push({ cells: [row.model, ...row.scores.map(asPublished)] });
    $("table-list").append(grid(headers, rows, table.title));
    for (const mark of marks)
      $("table-list").append(el("p", { class: "dim remark" }, visible(mark)));
  }
  if (!titles.size) hide("tables");
}

// A run's row of a published table, and below it intervals, published figures, differences and
// verdicts; a rating has two digits, as tables/formats.py gives it.
function ownRows({ cells }, columns, name) {
  const score = (cell, i) =>
    number(cell.score, columns[i].weight === 1 ? 1 : 2) + (cell.marks.length ? " †" : "");
  const interval = (cell) => (cell.ci95 ? cell.ci95.map((end) => number(end, 1)).join("…") : "–");
  const sub = (kind, label, said) => ({ kind: `sub ${kind}`, cells: [label, ...cells.map(said)] });
  const rows = [{ kind: "own", cells: [name, ...cells.map(score)] }];
  rows.push(sub("", "95 % interval", interval));
  if (cells.some((cell) => cell.published !== null)) {
    rows.push(sub("", "published figure", (cell) => asPublished(cell.published)));
    rows.push(sub("", "difference", (cell) => signed(cell.difference)));
    rows.push(sub("verdict", "verdict", (cell) => cell.verdict || "–"));
  }
  return rows;
}

function showSubsets(runs) {
  for (const { name, tasks, first } of benchmarks(runs)) {
    const parts = tasks.map((task) => (task ? task.published.subsets || {} : {}));
    const subsets = [...new Set(parts.flatMap(Object.keys))].filter((subset) =>
      parts.some((part) => part[subset] && part[subset].score !== null),
    );
    if (subsets.length < 2) continue;
    const of = (part, subset) => (part[subset] ? part[subset].score : null);
    const children = [];
    if (first.scale !== 100 && subsets.length > 2) {
      const values = parts.map((part) => subsets.map((subset) => of(part, subset)));
      children.push(radar(subsets, values, scale(first), `${name} by subset`));
    }
    const best = (subset) => of(parts[0], subset) ?? -1;
    subsets.sort((a, b) => best(b) - best(a));
    const kind = (n, one) => `${runs[n].name}, n = ${one ? one.n : 0}`;
    const rows = subsets.map((subset) => ({
      name: subset,
      bars: parts.map((part, n) => bar(kind(n, part[subset]), part[subset])),
    }));
    const chart = bars(rows, scale(first), `${name} by subset`);
    const [top, last] = [subsets[0], subsets.at(-1)].map((s) => `${s} ${number(best(s), 1)}`);
    const range = `${top} … ${last}`;
    const all = el("summary", {}, visible(`all ${subsets.length}, ${range}`));
    children.push(subsets.length > 12 ? el("details", {}, all, chart) : chart);
    if (runs.length > 1)
      children.push(legend(...runs.map((run, n) => [`series${n % SERIES}`, run.name])));
    $("subset-list").append(card(`${name}: ${subsets.length} subsets`, false, ...children));
  }
  if (!$("subset-list").children.length) hide("subsets");
}

function showAnswers(runs) {
  for (const { name, tasks } of benchmarks(runs))
    runs.forEach((run, n) => {
      const lengths = run.lengths[name];
      if (!lengths) return;
      const of = tasks[n]?.published ?? {}; // another run has scored it, this one not yet
      const shown = rates(runs).map((rate) => `${rate} ${percent(of[rate])}`);
      const heading = runs.length > 1 ? `${name}, ${run.name}` : name;
      const said = `${heading}: how long the answers are`;
      const chart = histogram(lengths.counts, lengths.unit, n, said);
      $("length-list").append(
        card(heading, false, chart, el("p", { class: "dim" }, shown.join(", "))),
      );
    });
}

function showWhy(runs) {
  const headers = [left("task"), text("cause"), right("answers"), right("gained"), right("lost")];
  headers.push(right("points"), text("for example"));
  if (runs.length > 1) headers.splice(1, 0, left("run"));
  const rows = [];
  for (const run of runs)
    for (const [name, task] of Object.entries(run.why || {})) {
      const who = runs.length > 1 ? [name, run.name] : [name];
      for (const one of task.causes || []) {
        const examples = el("span", {}, visible(one.ids.slice(0, 3).join(", ") + " "));
        if (one.ids.length) examples.append(showAll(causeFilter(run, name, one), one.ids.length));
        const counts = [whole(one.answers), whole(one.gained), whole(one.lost), signed(one.points)];
        rows.push({ cells: [...who, one.cause, ...counts, examples] });
      }
      for (const [quirk, n] of Object.entries(task.quirks || {}))
        rows.push({ cells: [...who, `quirk: ${quirk}`, whole(n), "", "", "", ""] });
    }
  if (!rows.length) return hide("why");
  $("why-table").append(grid(headers, rows, "What robust reads otherwise, by cause"));
}

// The value of the items' filter that shows the answers of a cause.
const causeFilter = (run, task, { cause }) => `why/${run.name}/${task}/${cause}`;
// The filters of what flipped in each further run: [value, said].
const flipFilters = (runs) =>
  runs.slice(1).map((run, n) => [n ? `flipped${n + 1}` : "flipped", `flipped against ${run.name}`]);
// A filter for each cause by which the rules part: [value, said, the cause].
const causeFilters = (runs) =>
  runs.flatMap((run) =>
    Object.entries(run.why || {}).flatMap(([task, { causes }]) =>
      causes
        .filter((one) => one.ids.length)
        .map((one) => {
          const who = runs.length > 1 ? `${run.name}, ` : "";
          return [causeFilter(run, task, one), `${who}${task}: ${one.cause}`, one];
        }),
    ),
  );
const showAll = (filter, n) =>
  el(
    "button",
    { type: "button", class: "link", "data-filter": filter },
    n > 1 ? `show all ${whole(n)}` : "show",
  );

// Nested values as pairs of a dotted name and a text.
function flat(value, name = "") {
  if (value !== null && typeof value === "object" && !Array.isArray(value))
    return Object.entries(value).flatMap(([k, v]) => flat(v, name ? `${name}.${k}` : k));
  if (!Array.isArray(value)) return [[name, String(value)]];
  const words = value.every((one) => typeof one === "string");
  return [[name, words ? value.join(" ") || "none" : JSON.stringify(value)]];
}

const shorten = (value, most) => (value.length > most ? value.slice(0, most) + "…" : value);

function facts(pairs) {
  const entries = pairs.flatMap(([name, value]) => [
    el("dt", {}, visible(name)),
    el("dd", {}, visible(shorten(value, 500))),
  ]);
  return el("dl", {}, ...entries);
}

const FIRST_FACTS = ["overrides", "created", "git_revision", "ochat_eval", "python"];
const FIRST_PARTS = /^(hardware|sandbox)\./;

function showRun(runs) {
  for (const run of runs) {
    const { identity, sources, packages, items, times, ...rest } = run.manifest;
    const seconds = (times || []).map((one) => `${one.stage} ${number(one.seconds, 1)} s`);
    const known = flat(rest).filter(([k]) => FIRST_FACTS.includes(k) || FIRST_PARTS.test(k));
    const top = [
      ["model", run.summary.model],
      ["prompts", (identity || {}).prompts || "–"],
      ...known,
      ["times", seconds.join(", ")],
    ];
    const parts = { "What makes it this work": identity, Items: items, Data: sources };
    const more = Object.entries({ ...parts, Packages: packages, Everything: rest });
    const folded = more
      .filter(([, part]) => part)
      .map(([name, part]) => el("details", {}, el("summary", {}, name), facts(flat(part))));
    $("manifest").append(card(run.name, true, facts(top), ...folded));
    if (run.replicas.length) $("manifest").append(replicaChart(run.replicas));
  }
}

function hide(section) {
  $(section).hidden = true;
  document.querySelector(`nav a[href="#${section}"]`).hidden = true;
}

// Links to the sections, in the page's head.
function navigation() {
  const links = [...document.querySelectorAll("main section[data-name]:not([hidden])")].map((section) =>
    el("a", { href: `#${section.id}` }, section.dataset.name),
  );
  $("nav").replaceChildren(...links);
}

function showSections(runs) {
  navigation();
  for (const show of [showScores, showTables, showSubsets, showAnswers, showWhy, showReview, showRun])
    show(runs);
}
