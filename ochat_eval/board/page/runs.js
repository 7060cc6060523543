// --- The list of all runs -----------------------------------------------------------------------

const RUN_FILTERS = ["search", "task", "model", "state", "tag", "rule"];
const MOST_BESIDE = 8; // as the server takes
const SIGNS = { running: "▶", done: "✓", stopped: "■", failed: "✗" };

// Why a figure is not the benchmark's own, as a sign whose title says it.
const dagger = (marks) =>
  marks.length ? el("span", { class: "dim", title: visible(marks.join("; ")) }, " †") : null;

// A score as a point with its interval, on the scale of a column.
function whisker(one, [least, most]) {
  const node = picture(72, 14, "");
  node.setAttribute("aria-hidden", "true");
  const x = (v) => 3 + (66 * (v - least)) / (most - least || 1);
  const [low, high] = one.ci95 ?? [one.score, one.score];
  node.append(line(x(low), 7, x(high), 7, "whisker"));
  node.append(svg("circle", { cx: x(one.score), cy: 7, r: 3, class: "point series0" }));
  return node;
}

// How far a run is, and why it is where it is.
function stateOf(row) {
  const badge = el("span", { class: `badge state ${row.state}` }, `${SIGNS[row.state]} ${row.state}`);
  const parts = [badge];
  if (row.state !== "done" && row.requests && row.answers !== null) {
    const bar = el("progress", { max: row.requests, value: row.answers });
    bar.setAttribute("aria-label", "answers");
    parts.push(bar, el("span", { class: "dim" }, `${whole(row.answers)} of ${whole(row.requests)}`));
  }
  if (row.state === "running") {
    const said = [];
    if (row.rate !== null) said.push(`${number(row.rate, row.rate < 10 ? 1 : 0)} answers/s`);
    if (row.tokens) said.push(`${whole(Math.round(row.tokens))} tokens/s`);
    if (row.left !== null) said.push(`${duration(row.left)} left`);
    parts.push(el("span", { class: "dim" }, said.join(", ")));
  }
  if (row.line) parts.push(el("span", { class: "line", title: visible(row.line) }, visible(row.line)));
  return parts;
}

// The first requests that got no response or verdict, and why; folded.
function failuresOf(row, open = false) {
  if (!row.failures?.number) return [];
  const { number: of, lacks, first } = row.failures;
  const list = first.map(([id, reason]) => el("li", {}, el("b", {}, visible(id)), `: ${visible(reason)}`));
  if (of > first.length) list.push(el("li", { class: "dim" }, `and ${whole(of - first.length)} more, in the run's folder`));
  const said = el("summary", {}, `${whole(of)} without a ${lacks}`);
  return [el("details", open ? { open: "" } : {}, said, el("ul", { class: "listed" }, ...list))];
}

function duration(seconds) {
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${number(seconds / 3600, 1)} h`;
}

const tagBadge = (tag) => el("span", { class: "badge tag" }, el("bdi", {}, visible(tag)));
const when = (created) => created.replace("T", " ").slice(0, 16);
const runAddress = (names) => `#run/${names.map(encodeURIComponent).join("+")}`;

class Runs {
  // `moved` is called with what is chosen, for the page's address.
  constructor(moved) {
    this.moved = moved;
    this.rows = [];
    this.picked = new Set();
    this.order = { by: "created", down: true };
    this.wanted = {}; // by the address, before the runs are there
    for (const name of RUN_FILTERS)
      $(`run-${name}`).addEventListener("input", () => {
        this.draw();
        moved(this.state());
      });
    $("unpick").addEventListener("click", () => {
      this.picked.clear();
      this.draw();
    });
    $("beside").addEventListener("click", () => (location.hash = runAddress(this.chosen().map((r) => r.name))));
    $("against").addEventListener("click", () => (location.hash = curveAddress(this.chosen().map((r) => r.name))));
  }

  // In the order in which they were chosen: the others are compared with the first.
  chosen() {
    return [...this.picked].map((name) => this.rows.find((row) => row.name === name));
  }

  state() {
    const { by, down } = this.order;
    const sorted = by === "created" && down ? "" : (down ? "-" : "") + by;
    const given = RUN_FILTERS.map((name) => [name, $(`run-${name}`).value]);
    return { ...Object.fromEntries(given.filter(([, value]) => value !== "published")), sort: sorted };
  }

  // Chooses what a `state` says.
  open(state) {
    const by = state.sort || "-created";
    this.order = { by: by.replace(/^-/, ""), down: by.startsWith("-") };
    this.wanted = state;
    for (const name of RUN_FILTERS) $(`run-${name}`).value = state[name] ?? "";
    $("run-rule").value ||= "published";
  }

  show(rows) {
    this.rows = rows;
    const names = new Set(rows.map((row) => row.name));
    for (const name of this.picked) if (!names.has(name)) this.picked.delete(name);
    this.fill("task", rows.flatMap((row) => Object.keys(row.tasks)));
    this.fill("model", rows.map((row) => row.model));
    this.fill("state", rows.map((row) => row.state));
    this.fill("tag", rows.flatMap((row) => row.tags));
    this.wanted = {};
    this.draw();
  }

  // What is chosen stays a choice, though no run may have it by now.
  fill(name, values) {
    const node = $(`run-${name}`);
    const chosen = node.value || this.wanted[name] || "";
    const choices = all([...values, chosen].filter(Boolean).sort());
    const before = [...node.options].map((one) => one.value);
    if (JSON.stringify(before) !== JSON.stringify(choices.map(([value]) => value))) fill(node, choices);
    node.value = chosen;
  }

  fits() {
    const [search, task, model, state, tag] = RUN_FILTERS.map((name) => $(`run-${name}`).value);
    const word = search.trim().toLowerCase();
    const holds = (row) => [row.name, row.model, row.note, ...row.tags].some((t) => t.toLowerCase().includes(word));
    return this.rows.filter(
      (row) =>
        (!word || holds(row)) &&
        (!task || task in row.tasks) &&
        (!model || row.model === model) &&
        (!state || row.state === state) &&
        (!tag || row.tags.includes(tag)),
    );
  }

  sorted(rows, rule) {
    const { by, down } = this.order;
    const of = (row) =>
      by.startsWith("task ") ? (row.tasks[by.slice(5)]?.[rule].score ?? null) : row[by];
    const sign = down ? -1 : 1;
    return [...rows].sort((a, b) => {
      const [x, y] = [of(a), of(b)];
      if (x === null || y === null) return (x === null) - (y === null); // no figure comes last
      return sign * (typeof x === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true }));
    });
  }

  draw() {
    const rule = $("run-rule").value;
    const rows = this.sorted(this.fits(), rule);
    const only = $("run-task").value;
    const tasks = [...new Set(rows.flatMap((row) => Object.keys(row.tasks)))].filter(
      (task) => (!only || task === only) && rows.some((row) => row.tasks[task]),
    );
    $("run-count").textContent = `${whole(rows.length)} of ${whole(this.rows.length)} runs`;
    $("picked").hidden = !this.picked.size;
    const most = this.picked.size > MOST_BESIDE ? ` (at most ${MOST_BESIDE})` : "";
    $("beside").textContent = this.picked.size > 1 ? `${this.picked.size} side by side${most}` : "open";
    $("beside").disabled = most !== "";
    $("against").hidden = stepped(this.chosen()).length < 2;
    const aside = $("run-table").querySelector(".wide")?.scrollLeft ?? 0;
    const { focus } = $("run-table").querySelector(":focus")?.dataset ?? {};
    $("run-table").replaceChildren(this.rows.length ? this.table(rows, tasks, rule) : nothingYet());
    if (this.rows.length && !rows.length)
      $("run-table").append(el("p", { class: "dim" }, "No run fits: widen the search or choose “all”."));
    else if (this.rows.length) $("run-table").querySelector(".wide").scrollLeft = aside;
    if (focus) $("run-table").querySelector(`[data-focus=${CSS.escape(focus)}]`)?.focus({ preventScroll: true });
  }

  table(rows, tasks, rule) {
    const sorts = [[["run", "name"], ["when", "created"]], [["state", "state"]]];
    sorts.push(...tasks.map((task) => [[task, `task ${task}`]]));
    const scales = tasks.map((task) => {
      const ends = rows.flatMap((row) => {
        const one = row.tasks[task]?.[rule];
        return one && one.score !== null ? (one.ci95 ?? [one.score]) : [];
      });
      return [Math.min(...ends), Math.max(...ends)];
    });
    const choose = el("th", {}, el("span", { class: "unseen" }, "choose"));
    const head = el("tr", {}, choose, ...sorts.map((by, n) => this.head(by, n > 1)));
    const body = rows.map((row) => this.row(row, tasks, scales, rule));
    const table = el("table", { class: "runs" }, el("thead", {}, head), el("tbody", {}, ...body));
    const name = { role: "region", "aria-label": "Runs" };
    return el("div", { class: "wide", tabindex: 0, "data-focus": "table", ...name }, table);
  }

  // A column's head: a button for each way that its rows can be sorted, [said, by].
  head(ways, figure) {
    const { by: chosen, down } = this.order;
    const mine = ways.some(([, by]) => by === chosen);
    const sort = mine ? (down ? "descending" : "ascending") : "none";
    const buttons = ways.map(([said, by]) => {
      const arrow = by === chosen ? (down ? " ↓" : " ↑") : "";
      const more = { class: "link", "data-focus": `by ${by}` };
      const button = el("button", { type: "button", ...more }, visible(said) + arrow);
      button.addEventListener("click", () => {
        this.order = { by, down: by === chosen ? !down : figure || by === "created" };
        this.draw();
        this.moved(this.state());
      });
      return button;
    });
    return el("th", { scope: "col", class: figure ? "n" : "", "aria-sort": sort }, ...buttons);
  }

  row(row, tasks, scales, rule) {
    const box = el("input", { type: "checkbox", "aria-label": visible(`choose ${row.name}`) });
    box.dataset.focus = `choose ${row.name}`;
    box.checked = this.picked.has(row.name);
    box.addEventListener("change", () => {
      if (box.checked) this.picked.add(row.name);
      else this.picked.delete(row.name);
      this.draw();
    });
    const href = STATIC ? scored(row) && `${encodeURIComponent(row.name)}/report.html` : runAddress([row.name]);
    const name = href ? el("a", { href, "data-focus": `open ${row.name}` }, visible(row.name)) : visible(row.name);
    const tags = row.tags.map(tagBadge);
    const of = el("div", { class: "dim" }, visible(`${row.model} · ${when(row.created)}`));
    const about = el("td", { class: "name" }, el("bdi", {}, name), of);
    if (tags.length) about.append(el("div", {}, ...tags));
    if (row.note) about.append(el("div", { class: "line", dir: "auto", title: visible(row.note) }, visible(row.note)));
    const cells = tasks.map((task, n) => scoreCell(row.tasks[task], rule, scales[n]));
    const state = el("td", { class: "state" }, ...stateOf(row));
    return el("tr", {}, el("td", {}, STATIC ? null : box), about, state, ...cells);
  }
}

function scoreCell(task, rule, ends) {
  const one = task?.[rule];
  if (!one || one.score === null) return el("td", { class: "n dim" }, "–");
  const digits = task.scale === 100 ? 1 : 2;
  const between = one.ci95 ? ` (${one.ci95.map((v) => number(v, digits)).join(" to ")})` : "";
  const cell = el("td", { class: "n", title: `${number(one.score, 2)}${between}, n = ${whole(one.n)}` });
  cell.append(el("b", {}, number(one.score, digits)), dagger(task.marks) ?? "", whisker(one, ends));
  return cell;
}

const nothingYet = () =>
  el(
    "div",
    { class: "card empty" },
    el("h3", {}, "No runs here yet"),
    el("p", {}, "A first look takes a minute and no network:"),
    el("pre", {}, "ochat-eval task=demo"),
    el("p", { class: "dim" }, "It shows up here while it runs. Runs of another folder: ochat-eval board FOLDER."),
  );
