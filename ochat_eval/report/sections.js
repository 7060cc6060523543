// --- Sections -------------------------------------------------------------------------------

const right = (name) => ({ name, kind: "n" });
const left = (name) => ({ name, kind: "" });
const text = (name) => ({ name, kind: "text" });

// A table; headers are {name, kind}, rows {kind, cells}.
function grid(headers, rows, caption) {
  const head = headers.map((h) => el("th", { class: h.kind, scope: "col" }, h.name));
  const body = rows.map((row) => {
    const cells = row.cells.map((cell, i) =>
      el("td", { class: headers[i].kind }, visible(String(cell))),
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

// The figures published for the same model as the first run's, by benchmark.
function publishedFigures(summary) {
  const found = {};
  for (const table of Object.values(summary.tables || {})) {
    const row = (table.runs || []).find((r) => r.rule === "published");
    if (!row) continue;
    table.columns.forEach((column, i) => {
      const figure = row.cells[i].published;
      if (column.task && !column.figure && figure !== null) found[column.task] = figure;
    });
  }
  return found;
}

function showScores(runs) {
  const published = publishedFigures(runs[0].summary);
  const groups = new Map();
  for (const one of benchmarks(runs)) {
    const key = scale(one.first).join();
    groups.set(key, [...(groups.get(key) || []), one]);
  }
  const draw = (heading, group, series, made, withReference) => {
    const rows = group.map((one) => ({
      name: one.name,
      reference: withReference ? published[one.name] : undefined,
      bars: made(one),
    }));
    const entries = series.map((name, n) => [`series${n % SERIES}`, name]);
    if (rows.some((row) => row.reference !== undefined)) entries.push(["ref", "published figure"]);
    const chart = bars(rows, scale(group[0].first), heading);
    $("score-charts").append(card(heading, false, chart, legend(...entries)));
  };
  for (const group of groups.values()) {
    const unit = group[0].first.scale === 100 ? "Points" : "Ratings";
    if (runs.length === 1) {
      const both = (one) => RULES.map((rule) => bar(rule, one.tasks[0][rule]));
      const names = ["published rule", "robust rule"];
      draw(`${unit}, with 95 % intervals`, group, names, both, true);
      continue;
    }
    for (const rule of RULES) {
      const each = (one) => one.tasks.map((task, n) => bar(runs[n].name, task && task[rule]));
      const heading = `${unit}, ${rule} rule, with 95 % intervals`;
      draw(
        heading,
        group,
        runs.map((run) => run.name),
        each,
        rule === "published",
      );
    }
  }
  showFigures(runs);
}

// What a rule has beside its score and with an interval: turns, plus, correlations.
const moreFigures = (one) =>
  Object.entries(one)
    .filter(([, figure]) => figure && figure.ci95 !== undefined)
    .map(([name, figure]) => `${name} ${number(figure.score)}`);

function showFigures(runs) {
  const several = runs.length > 1;
  const headers = [left("task"), left("rule"), right("score"), right("95 % interval"), right("n")];
  headers.push(right("unmatched"), right("truncated"), right("empty"), text("note"));
  if (several) headers.splice(1, 0, left("run"));
  const rows = [];
  for (const { name, tasks } of benchmarks(runs))
    tasks.forEach((task, n) => {
      for (const rule of task ? RULES : []) {
        const one = task[rule];
        const ends = one.ci95 || [];
        const interval = one.ci95 ? ends.map((end) => number(end, 1)).join(" … ") : "–";
        const cells = [name, rule, number(one.score), interval, whole(one.n)];
        cells.push(percent(one.unmatched), percent(one.truncated), percent(one.empty));
        const notes = rule === RULES[0] ? task.notes || [] : [];
        cells.push([...moreFigures(one), ...notes].join("; "));
        if (several) cells.splice(1, 0, runs[n].name);
        rows.push({ kind: rule === RULES[0] ? "first" : "", cells });
      }
    });
  $("score-table").append(grid(headers, rows, "Scores"));
}

const digits = (value) =>
  value === null || value === undefined ? "–" : number(value, Math.abs(value) < 10 ? 2 : 1);
const signed = (value) =>
  value === null || value === undefined ? "–" : (value > 0 ? "+" : "") + number(value);

function showTables(runs) {
  const titles = new Map();
  for (const run of runs)
    for (const [name, table] of Object.entries(run.summary.tables || {})) {
      const same = titles.get(name) || { table, rows: [], marks: new Set() };
      titles.set(name, same);
      for (const row of table.runs || []) {
        const who = runs.length > 1 ? `${row.model}, ${run.name}` : row.model;
        same.rows.push(...ownRows(row, `${who} (${row.rule})`));
        row.cells.forEach((cell, i) => {
          for (const mark of cell.marks || [])
            same.marks.add(`${table.columns[i].header}: ${mark}`);
        });
      }
    }
  for (const { table, rows, marks } of titles.values()) {
    const headers = [left("model"), ...table.columns.map((column) => right(column.header))];
    for (const row of table.published || [])
      rows.push({ cells: [row.model, ...row.scores.map(digits)] });
    $("table-list").append(grid(headers, rows, table.title));
    if (marks.size)
      $("table-list").append(el("p", { class: "dim" }, visible("† " + [...marks].join("; "))));
  }
  if (!titles.size) hide("tables");
}

// A run's row of a published table, and below it intervals, differences and verdicts.
function ownRows(row, name) {
  const cells = row.cells;
  const mark = (cell) => ((cell.marks || []).length ? " †" : "");
  const interval = (cell) => (cell.ci95 ? cell.ci95.map(digits).join("…") : "–");
  const rows = [
    { kind: "own", cells: [name, ...cells.map((cell) => digits(cell.score) + mark(cell))] },
    { kind: "sub", cells: ["95 % interval", ...cells.map(interval)] },
  ];
  if (cells.some((cell) => cell.published !== null)) {
    rows.push({ kind: "sub", cells: ["difference", ...cells.map((c) => signed(c.difference))] });
    rows.push({ kind: "sub", cells: ["verdict", ...cells.map((c) => c.verdict || "–")] });
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
    const range = `${subsets[0]} ${digits(best(subsets[0]))} … ${subsets.at(-1)} ${digits(best(subsets.at(-1)))}`;
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
      const of = tasks[n].published;
      const rates = ["unmatched", "truncated", "empty"].map(
        (rate) => `${rate} ${percent(of[rate])}`,
      );
      const heading = runs.length > 1 ? `${name}, ${run.name}` : name;
      const chart = histogram(lengths.counts, lengths.unit, `${heading}: how long the answers are`);
      $("length-list").append(
        card(heading, false, chart, el("p", { class: "dim" }, rates.join(", "))),
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
        const examples = (one.ids || []).slice(0, 3).join(", ");
        const counts = [whole(one.answers), whole(one.gained), whole(one.lost), signed(one.points)];
        rows.push({ cells: [...who, one.cause, ...counts, examples] });
      }
      for (const [quirk, n] of Object.entries(task.quirks || {}))
        rows.push({ cells: [...who, `quirk: ${quirk}`, whole(n), "", "", "", ""] });
    }
  if (!rows.length) return hide("why");
  $("why-table").append(grid(headers, rows, "What robust reads otherwise, by cause"));
}

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

function showRun(runs) {
  for (const run of runs) {
    const { identity, sources, packages, items, times, ...rest } = run.manifest;
    const seconds = (times || []).map((one) => `${one.stage} ${number(one.seconds, 1)} s`);
    const known = flat(rest).filter(([k]) => FIRST_FACTS.includes(k) || k.startsWith("hardware."));
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
