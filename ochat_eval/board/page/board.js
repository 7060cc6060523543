// --- Which view is open, and keeping it fresh ---------------------------------------------------

const FRESH_SECONDS = 4;

// Of a run's view: `shown`, the rows that it was drawn of; `listed`, how many answers its list was
// read at; `cards`, what renews the cards above.
const board = { runs: null, browser: null, names: [], curve: null, drawn: "", rows: new Map(), turn: 0 };

// Does something, and says in one line why it could not. What is done by the clock takes back only
// what it has said itself, and that the server was away.
async function trying(work, by = "person") {
  const fault = $("fault");
  try {
    await work();
    if (by === "person" || fault.dataset.by === by) fault.hidden = true;
  } catch (error) {
    $("key-form").hidden = !(error instanceof KeyNeeded);
    fault.hidden = !error.message; // a key was not given yet
    fault.textContent = visible(error.message);
    fault.dataset.by = error instanceof Unreachable ? "clock" : by;
  }
}

const heading = (text) => {
  $("title").textContent = $("title").title = document.title = visible(text);
};

async function latest() {
  const runs = STATIC ? await unpack("runs") : (await ask("runs.json")).runs;
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

// What an address says; as it stands there where somebody wrote it without %25 for a %.
function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const namesIn = (address, before) => address.slice(before.length).split("+").map(unescaped);

// One run, or several side by side: #run/one+other?filter=flipped&item=…
async function showRuns(address) {
  const { turn } = board;
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
  board.shown = rows;
  board.listed = answersOf(rows);
  if (stepped(rows).length > 1) $("pairs").after(curveSection(rows));
  const cards = rows.map(stateCard);
  $("states").replaceChildren(...cards.map(([card]) => card));
  board.cards = cards.map(([, renew]) => renew);
  showSections(runs);
  $("count").textContent = "reading the answers …";
  const index = await ask("index.json", names.map((name) => ["run", name]));
  if (turn !== board.turn) return;
  runs.forEach((run, n) => (run.lengths = index.lengths[n]));
  showAnswers(runs);
  notes(index, runs);
  const source = new Remote(names, index, runs);
  const browser = new Browser(source, runs, null);
  board.browser = browser;
  const place = await browser.open(asState(address));
  if (turn !== board.turn) return;
  browser.moved = (state) => history.replaceState(null, "", path + asQuery(state));
  if (browser.chosenRow) browser.moved(browser.state()); // another may have been chosen meanwhile
  if (place >= 0) $("items").scrollIntoView();
}

// Any number of runs as a series: #curve/one+other.
async function showCurves(address) {
  const { turn } = board;
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

const answersOf = (rows) => rows.map((row) => row.answers).join();

// Puts nodes in a node where they say something else: what has the focus or is selected stays.
function renew(node, nodes) {
  if (node.innerHTML !== el("div", {}, ...nodes).innerHTML) node.replaceChildren(...nodes);
}

// A run's state, and its tags and note, folded; and what renews them.
function stateCard(row) {
  const state = el("p", { class: "facts" }, ...stateOf(row));
  const failures = el("div", {}, ...failuresOf(row));
  const tags = el("span", {});
  const said = el("div", { class: "line", dir: "auto" });
  const show = (notes) => {
    tags.replaceChildren(...notes.tags.map(tagBadge));
    said.textContent = visible(notes.note);
  };
  show(row);
  const [form, take] = notesForm(row, show);
  const folded = el("details", {}, el("summary", {}, "tags and note"), form);
  const noted = ({ tags, note }) => JSON.stringify([tags, note]);
  let known = row;
  const fresh = (now) => {
    renew(state, stateOf(now));
    renew(failures, failuresOf(now, failures.querySelector("details")?.open));
    if (noted(now) !== noted(known)) {
      show(now);
      take(now);
    }
    known = now;
  };
  return [card(row.name, false, state, failures, tags, said, folded), fresh];
}

// Each further run against the first, with the tests; it is read while the rest is looked at.
async function showPairs(runs) {
  const parameters = runs.map((run) => ["run", run.name]);
  const list = $("pair-list"); // others may be on the page when it comes
  $("pairs").hidden = false;
  list.replaceChildren(el("p", { class: "dim" }, "comparing item by item …"));
  let found;
  try {
    found = await ask("differences.json", parameters);
  } catch (error) {
    list.replaceChildren(el("p", { class: "dim" }, visible(error.message)));
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
  list.replaceChildren(...tables);
}

function leave() {
  board.browser?.close();
  board.browser = null;
  board.names = [];
  board.curve = null;
  board.drawn = "";
  board.lost = false;
  board.turn++;
  $("index").hidden = $("view").hidden = true;
  $("view").replaceChildren();
}

async function route() {
  leave();
  const address = location.hash;
  const show = address.startsWith("#run/") ? showRuns : address.startsWith("#curve/") ? showCurves : showIndex;
  const { turn } = board;
  await trying(async () => {
    try {
      await show(address);
    } catch (error) {
      if (turn !== board.turn) return; // nobody waits for it any more
      board.lost = error instanceof Unreachable;
      throw error;
    }
  });
  document.documentElement.dataset.ready = Math.round(performance.now());
}

// Opens the same anew, by the clock: what is chosen, typed and scrolled to stays.
async function reopen() {
  const { id } = document.activeElement;
  const [top, listTop] = [window.scrollY, $("list")?.scrollTop];
  board.browser?.moved?.(board.browser.state());
  await route();
  if (id) $(id)?.focus({ preventScroll: true });
  if (board.browser && listTop !== undefined) $("list").scrollTop = listTop;
  window.scrollTo(0, top);
}

// Whether a note is being written: it is not to be lost, nor are its letters to become keys.
const isNoting = () => document.querySelector(".notes[data-changed], .notes :focus") !== null;

// What changes by itself: states, how far runs are, the answers of one that runs.
async function freshen() {
  if (document.hidden || STATIC || !$("key-form").hidden) return;
  await trying(async () => {
    const { turn, names, curve } = board;
    const rows = await latest();
    if (turn !== board.turn) return;
    if (board.lost) return route();
    if (curve) return drawCurves(curve);
    if (names.length) return freshenRuns(names);
    const pressed = $("run-table").querySelector(":active"); // a click would be lost
    if (!pressed && JSON.stringify(rows) !== JSON.stringify(board.runs.rows)) board.runs.show(rows);
  }, "clock");
}

async function freshenRuns(names) {
  const now = names.map((name) => board.rows.get(name));
  const gone = names.filter((_, n) => !now[n]);
  if (gone.length) throw new Error(`not here any more: ${gone.join(", ")}`);
  now.forEach((row, n) => board.cards[n](row));
  const other = (row, n) => row.state !== board.shown[n].state || row.created !== board.shown[n].created;
  if (now.some(other) && !isNoting()) return reopen();
  const { browser } = board;
  if (!browser) return;
  if (browser.stale || answersOf(now) !== board.listed) {
    browser.source.forget();
    if (await browser.again()) board.listed = answersOf(now);
  } else if (document.querySelector("#rows .dim")) browser.draw(); // they could not be read before
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
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
    sessionStorage.setItem("key", unescaped(given[1]));
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
    if (!isNoting()) route();
  });
  route().then(tick);
}

// The next turn begins when this one is done, however long the server takes.
function tick() {
  setTimeout(() => freshen().finally(tick), 1000 * FRESH_SECONDS);
}

startBoard();
