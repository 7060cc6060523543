// --- The browser of items -------------------------------------------------------------------

const ROW_HEIGHT = 30;
// Places in a row of the index. The bits of the first run are followed by those of the others and,
// for a rated answer, by its rating.
const NAME = 0;
const INDEX = 1;
const BLOCK = 2;
const PLACE = 3;
const SAMPLE = 4;
const BITS = 5;
const STEPS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15 };
Object.assign(STEPS, { Home: -Infinity, End: Infinity });

// An item's id, and with its sample where that is not the first.
const idOf = (names, row) => `${names[row[NAME]].join("/")}/${row[INDEX]}`;
const sampled = (names, row, mark = "#") =>
  idOf(names, row) + (row[SAMPLE] ? mark + row[SAMPLE] : "");

// A browser's state as the part of an address behind a ?, and back.
const asQuery = (state) => {
  const said = Object.entries(state).filter(([, value]) => value && value !== "all");
  return said.length ? `?${new URLSearchParams(said)}` : "";
};
const asState = (address) =>
  Object.fromEntries(new URLSearchParams(address.slice((address + "?").indexOf("?") + 1)));

// Shows the items that a source has. A source is:
//   names      task and subset by number; size: how many answers there are
//   filters    [value, said] of each filter
//   find({task, subset, filter, search, item}, progress) -> what fits: {length, at(place): a row, or
//              undefined where it is not there yet, load(first, last): a promise, or null where all
//              of these rows are there, placeOf(item): where one stands, or -1, known for the
//              item asked for and for rows that are there}; null where another search has begun
//              since. progress(found, said) may be called before.
//   entry(row) -> a promise of all that is shown of an item
//   more(entry, row) -> further elements to show below it; drawn(node) is told where it stands
class Browser {
  // `moved` is called with what is chosen, for the page's address.
  constructor(source, runs, moved) {
    this.source = source;
    this.names = source.names;
    this.runs = runs;
    this.moved = moved;
    this.found = { length: 0, at: () => undefined, load: () => null, placeOf: () => -1 };
    this.chosen = -1;
    this.chosenRow = null;
    this.shown = {}; // whose row and entry stand beside the list
    this.asked = 0; // what a person waits for
    this.stale = false; // what is listed is not yet what is chosen above it
    this.listening = new AbortController();
    this.typing = 0; // the timer that waits for the end of a word
    fill($("filter"), source.filters);
    fill($("task"), all(this.names.map(([task]) => task)));
    this.fillSubsets();
    this.listen();
  }

  // Whether the page shows other runs by now: what still comes is not to be drawn into these.
  get closed() {
    return this.listening.signal.aborted;
  }

  // Waits for what a person has asked for.
  async wait(coming) {
    this.asked++;
    try {
      return await coming;
    } finally {
      this.asked--;
    }
  }

  // --- What is shown ---

  fillSubsets() {
    const task = $("task").value;
    const of = this.names.filter(([name]) => !task || name === task);
    fill($("subset"), all(of.map(([, subset]) => subset)));
  }

  // What is chosen, by name; an item by its id and, after a #, its sample.
  state() {
    const item = this.chosenRow ? sampled(this.names, this.chosenRow) : "";
    const search = $("search").value.trim();
    return { task: $("task").value, subset: $("subset").value, filter: $("filter").value, search, item };
  }

  // Chooses what a `state` says.
  async open({ task = "", subset = "", filter = "all", search = "", item = "" } = {}) {
    const known = (node, value, otherwise) =>
      [...node.options].some((one) => one.value === value) ? value : otherwise;
    $("task").value = known($("task"), task, "");
    this.fillSubsets();
    $("subset").value = known($("subset"), subset, "");
    $("filter").value = known($("filter"), filter, "all");
    $("search").value = search;
    const place = await this.refresh(item);
    if (place >= 0) await this.choose(place);
    return place;
  }

  // Shows what one filter lets through, whatever was chosen before.
  async only(filter) {
    $("items").scrollIntoView();
    $("list").focus({ preventScroll: true }); // first, so that no key is lost
    await this.open({ filter });
  }

  // Finds the same anew: there may be more by now. What is chosen stays. Tells whether it is shown:
  // it is not where a person asks or chooses meanwhile.
  async again() {
    if (this.asked) return false;
    const { found: before, chosenRow } = this;
    const late = () =>
      this.closed ||
      this.asked ||
      before !== this.found ||
      chosenRow !== this.chosenRow ||
      $("rows").querySelector(":active"); // a click would be lost
    const found = await this.source.find(this.state(), () => {});
    if (found === null || late()) return false;
    await found.load(...this.inSight(found)); // no row vanishes while it is read again
    if (late()) return false;
    this.show(found);
    this.moved?.(this.state());
    if (chosenRow) await this.detail(true);
    return true;
  }

  // Finds anew; returns the place of an item in what was found, or -1.
  async refresh(item = "") {
    clearTimeout(this.typing); // what was typed is asked for here, and must not undo a choice later
    this.chosen = -1;
    this.chosenRow = null;
    this.stale = true;
    $("list").scrollTop = 0;
    if ($("search").value.trim()) $("count").textContent = "searching …"; // through all texts
    const progress = (found, said) => this.show(found, said);
    const found = await this.wait(this.source.find({ ...this.state(), item }, progress));
    if (found === null || this.closed) return -1;
    this.show(found);
    this.moved?.(this.state());
    return item ? found.placeOf(item) : -1;
  }

  // Shows these rows; one that was chosen stays so.
  show(found, more = "") {
    this.chosen = this.chosenRow ? found.placeOf(sampled(this.names, this.chosenRow)) : -1;
    this.found = found;
    this.stale = false;
    $("count").textContent = `${whole(found.length)} of ${whole(this.source.size)} answers${more}`;
    this.draw();
  }

  // --- The list: only the rows in sight are in the document ---

  inSight({ length }) {
    const list = $("list");
    const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - 5);
    return [first, Math.min(length, first + Math.ceil(list.clientHeight / ROW_HEIGHT) + 12)];
  }

  draw() {
    if (this.closed) return;
    const { found } = this;
    $("spacer").style.height = `${found.length * ROW_HEIGHT}px`;
    const [first, last] = this.inSight(found);
    found.load(first, last)?.then(() => this.found === found && this.draw());
    $("rows").style.transform = `translateY(${first * ROW_HEIGHT}px)`;
    const drawn = [];
    for (let place = first; place < last; place++) drawn.push(this.drawRow(found.at(place), place));
    $("rows").replaceChildren(...drawn);
    $("list").classList.toggle("nothing", !found.length);
    const inSight = this.chosen >= first && this.chosen < last;
    $("list").setAttribute("aria-activedescendant", inSight ? `row${this.chosen}` : "");
  }

  drawRow(row, place) {
    if (!row) return el("div", { class: "row dim", role: "option" }, "…");
    const flipped = row.slice(BITS + 1, BITS + this.runs.length).some((bits) => bits & FLIPPED);
    const signs = [
      [flipped, "⇄", "flipped"],
      [row[BITS] & MISSING, "∅", "no response"],
      [row[BITS] & TRUNCATED, "✂", "truncated"],
      [row[BITS] & UNFINISHED, "…", "thought without an end"],
      [row[BITS] & UNMATCHED, "?", "unmatched (published)"],
    ].filter(([set]) => set);
    const name = visible(sampled(this.names, row, " #"));
    const node = el(
      "div",
      {
        class: "row",
        role: "option",
        id: `row${place}`,
        "aria-selected": place === this.chosen,
        "aria-posinset": place + 1,
        "aria-setsize": this.found.length,
      },
      ...this.drawVerdicts(row),
      el("span", { class: "id", title: name }, el("bdi", {}, name)),
      ...signs.map(([, sign, said]) => symbol("", sign, said)),
    );
    node.addEventListener("click", () => this.choose(place));
    return node;
  }

  drawVerdicts(row) {
    if (row[BITS] & RATED)
      return [symbol("rating", number(row[BITS + this.runs.length], 1), "rating")];
    return RULES.map((rule, n) => {
      if (row[BITS] & (UNSCORED | (UNREAD << n))) return symbol("none", "·", `${rule}: no verdict`);
      if (row[BITS] & (RIGHT << n)) return symbol("ok", "✓", `${rule}: right`);
      return symbol("no", "✗", `${rule}: wrong`);
    });
  }

  async choose(place) {
    const found = this.found;
    if (!found.length) return;
    this.chosen = Math.max(0, Math.min(found.length - 1, place));
    const list = $("list");
    const top = this.chosen * ROW_HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight)
      list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
    const at = this.chosen;
    const coming = found.load(at, at + 1);
    if (coming) {
      await this.wait(coming);
      if (this.closed || found !== this.found || at !== this.chosen) return; // another is chosen
    }
    this.chosenRow = found.at(at);
    this.draw();
    this.moved?.(this.state());
    await this.detail();
  }

  // Shows the chosen item; `stay`: where it was scrolled to, and as it was unfolded if it is the same.
  async detail(stay = false) {
    const row = this.chosenRow;
    const entry = await this.source.entry(row);
    if (this.closed || row !== this.chosenRow) return;
    const before = this.shown;
    if (stay && before.row === row && JSON.stringify(before.entry) === JSON.stringify(entry)) return;
    this.shown = { row, entry };
    const detail = $("detail");
    const top = detail.scrollTop;
    detail.replaceChildren(
      ...describe(entry, row[SAMPLE], this.runs),
      ...(this.source.more?.(entry, row) ?? []),
    );
    // The question stands at the end, behind the examples.
    for (const prompt of detail.querySelectorAll(".prompt")) prompt.scrollTop = prompt.scrollHeight;
    this.source.drawn?.(detail);
    detail.scrollTop = stay ? top : 0;
  }

  // --- Keys and mouse ---

  listen() {
    const { signal } = this.listening;
    const on = (node, name, heed) => node.addEventListener(name, heed, { signal });
    on($("search"), "input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.refresh(), 250);
    });
    on($("task"), "change", () => {
      this.fillSubsets();
      this.refresh();
    });
    for (const name of ["subset", "filter"]) on($(name), "change", () => this.refresh());
    on($("why-table"), "click", (event) => {
      const button = event.target.closest("[data-filter]");
      if (button) this.only(button.dataset.filter);
    });
    on($("list"), "scroll", () => requestAnimationFrame(() => this.draw()));
    on(window, "resize", () => this.draw());
    on(document, "keydown", (event) => this.key(event));
  }

  // Heeds nothing any more: the page shows other runs.
  close() {
    clearTimeout(this.typing);
    this.listening.abort();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select, textarea");
    const listed = $("list").contains(document.activeElement);
    if (event.key === "Escape") $("list").focus();
    else if (typing) return;
    else if (event.key === "/") $("search").focus();
    else if (event.key in STEPS && (listed || event.key === "j" || event.key === "k")) {
      const { top, bottom } = $("list").parentElement.getBoundingClientRect();
      if (bottom < 0 || top > window.innerHeight) $("items").scrollIntoView(); // what is chosen is seen
      this.choose(this.chosen + STEPS[event.key]);
    } else if (event.key === "Enter" && listed && this.chosen >= 0) $("detail").focus();
    else return;
    event.preventDefault();
  }
}

const all = (values) => [["", "all"], ...[...new Set(values)].map((value) => [value, value])];
const symbol = (kind, sign, said) =>
  el("span", { class: kind, title: said, role: "img", "aria-label": said }, sign);

function fill(node, values) {
  const options = values.map(([value, said]) => el("option", { value }, visible(said)));
  node.replaceChildren(...options);
}

// Says what of the runs is not among the items.
function notes(index, runs) {
  const said = [];
  if (index.leftOut)
    said.push(`${whole(index.leftOut)} more answers are in the run's files and not on this page.`);
  (index.others || []).forEach((n, place) => {
    const name = runs[place + 1].name;
    if (n)
      said.push(
        `${whole(n)} items of ${name} are not on this page: ${runs[0].name} did not ask them.`,
      );
  });
  $("note").hidden = !said.length;
  $("note").textContent = visible(said.join(" "));
}
