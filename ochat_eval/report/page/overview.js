// --- The overview: every score with its interval, as picture and figures in one table ------------

// What a column of a published table is called in a picture: the benchmark where it is its score.
const columnName = (column, table) =>
  !column.task ? `${column.name}, ${table}` : column.figure ? column.name : column.task;

// Calls back with each column of a run's tables: its name, itself, its cells by rule.
function eachColumn(run, look) {
  for (const [name, table] of Object.entries(run.summary.tables || {}))
    table.columns.forEach((column, i) => {
      const cells = (table.runs || []).map((row) => [row.rule, row.cells[i]]);
      look(columnName(column, name), column, Object.fromEntries(cells));
    });
}

// The figures published for the same model as a run's, by the column's name.
function publishedFigures(run) {
  const found = {};
  eachColumn(run, (name, column, { published }) => {
    if (published && published.published !== null) found[name] = published.published;
  });
  return found;
}

// What the tables have beside the benchmarks' scores (averages, HumanEval+), as `benchmarks`.
function otherColumns(runs) {
  const found = new Map();
  runs.forEach((run, n) =>
    eachColumn(run, (name, column, cells) => {
      if ((column.task && !column.figure) || !cells.published || cells.published.score === null)
        return;
      found.set(name, found.get(name) || Array(runs.length).fill(undefined));
      found.get(name)[n] = cells;
    }),
  );
  const points = { scale: 100, bounds: [0, 1] };
  return [...found].map(([name, tasks]) => ({ name, tasks, first: points }));
}

// One score on the scale of its benchmark: a bar, its interval, the figure published for the model.
function scoreBar(name, one, reference, [least, most], series) {
  const width = 320;
  const x = (v) => 4 + ((width - 8) * (v - least)) / (most - least);
  const node = picture(width, 18, "");
  node.setAttribute("aria-hidden", "true"); // the figures stand beside it
  node.setAttribute("preserveAspectRatio", "none");
  for (const v of ticks(least, most)) node.append(line(x(v), 0, x(v), 18, "axis"));
  node.append(oneBar({ name }, one, x, x(least), 4, series));
  if (reference !== undefined) {
    const said = title(`published figure: ${reference}`);
    node.append(svg("g", {}, said, line(x(reference), 1, x(reference), 17, "ref")));
  }
  return node;
}

const ticks = (least, most) => {
  const parts = (most - least) % 3 === 0 ? 3 : 4;
  return Array.from({ length: parts + 1 }, (_, i) => least + ((most - least) * i) / parts);
};

// The numbers of a scale, above the bars on it.
const axis = ([least, most]) => {
  const numbers = ticks(least, most).map((v) => el("span", {}, String(Math.round(v * 10) / 10)));
  return el("div", { class: "ticks" }, ...numbers);
};

function showScores(runs) {
  const several = runs.length > 1;
  const shown = rates(runs);
  const headers = [left("task"), left(several ? "run" : "rule"), right("score")];
  headers.push({ name: "", kind: "picture" }, right("95 % interval"), right("n"), ...shown.map(right));
  if (several) headers.splice(2, 0, left("rule"));
  const groups = new Map();
  for (const one of [...benchmarks(runs), ...otherColumns(runs)]) {
    const key = scale(one.first).join();
    groups.set(key, [...(groups.get(key) || []), one]);
  }
  const published = runs.map(publishedFigures);
  const rows = [];
  for (const group of groups.values()) {
    const ends = scale(group[0].first);
    const before = [...(several ? ["", ""] : [""]), ends[2], ""];
    const after = Array(headers.length - before.length - 1).fill("");
    rows.push({ kind: "scale", cells: [...before, axis(ends), ...after] });
    for (const one of group) rows.push(...scoreRows(runs, one, ends, published, shown));
  }
  const table = grid(headers, rows, "Scores");
  const marks = published.some((figures) => Object.keys(figures).length)
    ? [["ref", `published figure${several ? ", of each run's model" : ""}`]]
    : [];
  const colours = several ? runs.map((run) => run.name) : RULES.map((rule) => `${rule} rule`);
  const named = colours.map((name, n) => [`series${n % SERIES}`, name]);
  $("score-table").append(table, legend(...named, ...marks));
  for (const said of remarksOn(runs))
    $("score-table").append(el("p", { class: "dim remark" }, visible(said)));
}

// A benchmark's rows: one a rule, of each run.
function scoreRows(runs, { name, tasks }, ends, published, shown) {
  const rows = [];
  for (const [r, rule] of RULES.entries())
    for (const [n, run] of runs.entries()) {
      const one = tasks[n]?.[rule];
      if (!one) continue;
      const several = runs.length > 1;
      const reference = rule === RULES[0] ? published[n][name] : undefined;
      const drawn = scoreBar(name, bar(rule, one), reference, ends, several ? n : r);
      const interval = one.ci95 ? one.ci95.map((end) => number(end, 1)).join(" … ") : "–";
      const figures = [el("b", {}, number(one.score)), drawn, interval];
      figures.push(one.n === undefined ? "" : whole(one.n));
      const said = shown.map((rate) => (one.n === undefined ? "" : percent(one[rate] ?? null)));
      const who = several ? [run.name, rule] : [rule];
      const first = !rows.length;
      rows.push({ kind: first ? "task" : "", cells: [first ? name : "", ...who, ...figures, ...said] });
    }
  return rows;
}

// What else there is to say of each benchmark: further figures of a rule, and notes.
function remarksOn(runs) {
  const said = [];
  for (const { name, tasks } of benchmarks(runs))
    tasks.forEach((task, n) => {
      if (!task) return;
      const figures = RULES.map((rule) => [rule, moreFigures(task[rule])]);
      const more = figures.filter(([, all]) => all.length).map(([rule, all]) => `${rule}: ${all.join("; ")}`);
      const notes = [...more, ...(task.thoughts?.said || []), ...(task.notes || [])];
      if (notes.length) said.push(`${runs.length > 1 ? `${name}, ${runs[n].name}` : name}: ${notes.join("; ")}`);
    });
  return said;
}

// The rates of answers that are looked at; thoughts without an end only where there are thoughts.
const rates = (runs) => {
  const thoughtful = runs.some((run) => Object.values(run.summary.tasks).some((t) => t.thoughts));
  return ["unmatched", "truncated", "empty", ...(thoughtful ? ["unfinished"] : [])];
};

// A rule's figures beside its score, as the terminal's table has them.
const moreFigures = (one) => [
  ...Object.entries(one)
    .filter(([, value]) => value !== null && typeof value === "object" && "ci95" in value)
    .map(([name, value]) => `${name} ${number(value.score)}`),
  ...(one.samples?.said || []),
];
