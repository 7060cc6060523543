// --- Which view is open, and keeping it fresh ---------------------------------------------------

const FRESH_SECONDS = 4;

const board = { runs: null, browser: null, names: [], curve: null, drawn: "", rows: new Map(), turn: 0 };

// Does something, and says in one line why it could not. What is done by the clock takes back only
// what it has said itself.
async function trying(work, by = "person") {
  const fault = $("fault");
  try {
    await work();
    if (by === "person" || fault.dataset.by === by) fault.hidden = true;
  } catch (error) {
    $("key-form").hidden = !(error instanceof KeyNeeded);
    fault.hidden = error instanceof KeyNeeded;
    fault.textContent = visible(error.message);
    fault.dataset.by = by;
  }
}

const heading = (text) => {
  $("title").textContent = $("title").title = document.title = visible(text);
};

async function latest() {
  const { runs } = await ask("runs.json");
  board.rows = new Map(runs.map((row) => [row.name, row]));
  return runs;
}

async function showIndex(address) {
  heading("ochat_eval board");
  $("nav").replaceChildren();
  $("index").hidden = false;
  board.runs.open(asState(address));
  board.runs.show(await latest());
}

const namesIn = (address, before) => address.slice(before.length).split("+").map(decodeURIComponent);

// One run, or several side by side: #run/one+other?filter=flipped&item=…
async function showRuns(address) {
  const turn = ++board.turn;
  const [path] = address.split("?");
  const names = namesIn(path, "#run/");
  heading(names.join(" · "));
  const about = await ask("about.json", names.map((name) => ["run", name]));
  if (turn !== board.turn) return;
  board.names = names;
  const { runs } = about;
  $("view").replaceChildren($("report").content.cloneNode(true));
  $("view").hidden = false;
  const models = new Set(runs.map((run) => run.row.model));
  heading(`${[...models].join(" · ")}: ${names.join(" · ")}`);
  if (names.length > 1) showPairs(runs);
  for (const run of runs) board.rows.set(run.name, run.row);
  const rows = runs.map((run) => run.row);
  if (stepped(rows).length > 1) $("pairs").after(curveSection(rows));
  $("states").replaceChildren(...runs.map((run) => stateCard(run.row)));
  showSections(runs);
  $("count").textContent = "reading the answers …";
  const index = await ask("index.json", names.map((name) => ["run", name]));
  if (turn !== board.turn) return;
  runs.forEach((run, n) => (run.lengths = index.lengths[n]));
  showAnswers(runs);
  notes(index, runs);
  const source = new Remote(names, index, runs);
  const browser = new Browser(source, runs, null);
  board.browser = source.browser = browser;
  const place = await browser.open(asState(address));
  if (turn !== board.turn) return;
  browser.moved = (state) => history.replaceState(null, "", path + asQuery(state));
  if (place >= 0) $("items").scrollIntoView();
}

// Any number of runs as a series: #curve/one+other.
async function showCurves(address) {
  const turn = ++board.turn;
  const names = namesIn(address, "#curve/");
  heading(`${whole(names.length)} runs against their steps`);
  $("nav").replaceChildren();
  await latest();
  if (turn !== board.turn) return;
  drawCurves(names);
}

function drawCurves(names) {
  board.curve = names;
  const rows = names.map((name) => board.rows.get(name)).filter(Boolean);
  const seen = JSON.stringify(rows.map((row) => row.tasks));
  if (seen === board.drawn) return;
  board.drawn = seen;
  const gone = names.filter((name) => !board.rows.has(name));
  const links = rows.map((row) => el("li", {}, el("a", { href: runAddress([row.name]) }, visible(row.name))));
  const list = el("details", {}, el("summary", {}, `${whole(rows.length)} runs`), el("ul", { class: "listed" }, ...links));
  const lost = gone.length ? el("p", { class: "note" }, visible(`Not here: ${gone.join(", ")}`)) : null;
  $("view").replaceChildren(...[lost, curveSection(rows), list].filter(Boolean));
  $("view").hidden = false;
}

// A run's state, and its tags and note, folded.
function stateCard(row) {
  const state = el("p", { class: "facts", "data-run": row.name }, ...stateOf(row));
  const failures = el("div", { "data-failures": row.name }, ...failuresOf(row));
  const tags = el("span", {});
  const said = el("div", { class: "line", dir: "auto" });
  const show = (notes) => {
    tags.replaceChildren(...notes.tags.map(tagBadge));
    said.textContent = visible(notes.note);
  };
  show(row);
  const form = el("details", {}, el("summary", {}, "tags and note"), notesForm(row, show));
  return card(row.name, false, state, failures, tags, said, form);
}

// Each further run against the first, with the tests; it is read while the rest is looked at.
async function showPairs(runs) {
  const parameters = runs.map((run) => ["run", run.name]);
  $("pairs").hidden = false;
  $("pair-list").replaceChildren(el("p", { class: "dim" }, "comparing item by item …"));
  let found;
  try {
    found = await ask("differences.json", parameters);
  } catch (error) {
    $("pair-list").replaceChildren(el("p", { class: "dim" }, visible(error.message)));
    return;
  }
  const headers = found.headers.map((name, n) => (n < 2 ? left(name) : n < 12 ? right(name) : text(name)));
  const tables = found.pairs.map(({ a, b, rows }, n) => {
    const [filter] = flipFilters(runs)[n];
    const table = grid(headers, rows.map((cells) => ({ cells })), `A: ${a}, B: ${b}`);
    const flips = el("button", { type: "button", class: "link" }, "show what flipped");
    flips.addEventListener("click", () => board.browser?.only(filter));
    return el("div", {}, table, flips);
  });
  $("pair-list").replaceChildren(...tables);
}

function leave() {
  board.browser?.close();
  board.browser = null;
  board.names = [];
  board.curve = null;
  board.drawn = "";
  board.turn++;
  $("index").hidden = $("view").hidden = true;
  $("view").replaceChildren();
}

async function route() {
  leave();
  const address = location.hash;
  const show = address.startsWith("#run/") ? showRuns : address.startsWith("#curve/") ? showCurves : showIndex;
  await trying(() => show(address));
  document.documentElement.dataset.ready = Math.round(performance.now());
}

// What changes by itself: states, how far runs are, the answers of one that runs.
async function freshen() {
  if (document.hidden || STATIC || !$("key-form").hidden) return;
  const before = board.names.map((name) => board.rows.get(name));
  await trying(async () => {
    const { turn, names, curve } = board;
    const rows = await latest();
    if (turn !== board.turn) return;
    if (curve) return drawCurves(curve);
    if (!names.length) {
      const used = $("run-table").contains(document.activeElement); // its focus would be lost
      if (!used && JSON.stringify(rows) !== JSON.stringify(board.runs.rows)) board.runs.show(rows);
      return;
    }
    const now = names.map((name) => board.rows.get(name));
    if (now.some((row, n) => row && before[n] && row.state !== before[n].state)) return route();
    for (const node of document.querySelectorAll("#states [data-run]")) {
      const row = board.rows.get(node.dataset.run);
      if (row) node.replaceChildren(...stateOf(row));
    }
    for (const node of document.querySelectorAll("#states [data-failures]")) {
      const row = board.rows.get(node.dataset.failures);
      if (row) node.replaceChildren(...failuresOf(row, node.querySelector("details")?.open));
    }
    if (board.browser && now.some((row, n) => row && before[n] && row.answers !== before[n].answers)) {
      board.browser.source.forget();
      await board.browser.again();
    }
  }, "clock");
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select, textarea")) return;
  if (event.key === "/" && !$("index").hidden) {
    event.preventDefault();
    $("run-search").focus();
  } else if (event.key in OPINIONS && board.browser) markByKey(event.key);
}

function startBoard() {
  themed();
  const given = /^#key=(.+)$/.exec(location.hash);
  if (given) {
    sessionStorage.setItem("key", decodeURIComponent(given[1]));
    history.replaceState(null, "", "#");
  }
  board.runs = new Runs((state) => history.replaceState(null, "", `#${asQuery(state)}`));
  window.addEventListener("hashchange", route);
  document.addEventListener("keydown", keys);
  // Of a list that is filtered or scrolled nobody waits for what the server says.
  window.addEventListener("unhandledrejection", (event) =>
    trying(() => Promise.reject(event.reason)),
  );
  // The head's links go to a part of this page; an address names a view.
  $("nav").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    $(link.getAttribute("href").slice(1)).scrollIntoView();
  });
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("key", $("key").value);
    $("key-form").hidden = true;
    route();
  });
  route().then(() => setInterval(freshen, 1000 * FRESH_SECONDS));
}

startBoard();
