// --- The browser of items -------------------------------------------------------------------

const ROW_HEIGHT = 30;
const KEPT_BLOCKS = 60;
// Places in a row of the index. The bits of the first run are followed by those of the others and,
// for a rated answer, by its rating.
const NAME = 0;
const INDEX = 1;
const SAMPLE = 2;
const BLOCK = 3;
const PLACE = 4;
const BITS = 5;
const STEPS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15 };
Object.assign(STEPS, { Home: -Infinity, End: Infinity });

class Browser {
  constructor(index, runs) {
    this.names = index.names;
    this.all = index.rows;
    this.runs = runs;
    this.blocks = new Map();
    this.shown = [];
    this.chosen = -1;
    this.searching = 0;
    this.filters = this.makeFilters();
    fill($("filter"), this.filters);
    fill($("task"), all(this.names.map(([task]) => task)));
    this.fillSubsets();
    this.listen();
    this.refresh();
  }

  task(row) {
    return this.names[row[NAME]][0];
  }
  subset(row) {
    return this.names[row[NAME]][1];
  }
  id(row) {
    return `${this.task(row)}/${this.subset(row)}/${row[INDEX]}`;
  }
  rated(row) {
    return this.runs[0].summary.tasks[this.task(row)].scale !== 100;
  }
  block(number) {
    if (!this.blocks.has(number)) {
      if (this.blocks.size === KEPT_BLOCKS) this.blocks.delete(this.blocks.keys().next().value);
      this.blocks.set(number, unpack(`block${number}`));
    }
    return this.blocks.get(number);
  }

  // --- What is shown ---

  makeFilters() {
    const has = (bits) => (row) => (row[BITS] & bits) !== 0;
    const right = (rule) => (row) => !this.rated(row) && has(RIGHT << rule)(row);
    const wrong = (rule) => (row) =>
      !this.rated(row) && !has((RIGHT << rule) | (UNREAD << rule) | UNSCORED)(row);
    const flips = this.runs.slice(1).map((run, n) => {
      const flipped = (row) => (row[BITS + 1 + n] & FLIPPED) !== 0;
      return [n ? `flipped${n + 1}` : "flipped", `flipped against ${run.name}`, flipped];
    });
    return [
      ["all", "all", () => true],
      ["wrong", "wrong (published)", wrong(0)],
      ["wrong-robust", "wrong (robust)", wrong(1)],
      ["right", "right (published)", right(0)],
      ["right-robust", "right (robust)", right(1)],
      ["unmatched", "unmatched (published)", has(UNMATCHED)],
      ["unmatched-robust", "unmatched (robust)", has(UNMATCHED << 1)],
      ["disagree", "rules disagree", has(DISAGREE)],
      ["truncated", "truncated", has(TRUNCATED)],
      ["empty", "empty", has(EMPTY)],
      ["unfinished", "thought without an end", has(UNFINISHED)],
      ["unread", "verdict not readable", has(UNREAD | (UNREAD << 1))],
      ["unscored", "not scored", has(UNSCORED)],
      ["missing", "no response", has(MISSING)],
      ...flips,
      ...this.runs.flatMap((run) => this.causeFilters(run)),
    ];
  }

  // A filter for each cause by which the rules part, as the section "Why" lists them.
  causeFilters(run) {
    const who = this.runs.length > 1 ? `${run.name}, ` : "";
    return Object.entries(run.why || {}).flatMap(([task, { causes }]) =>
      causes
        .filter((one) => one.ids.length)
        .map((one) => {
          const ids = new Set(one.ids.map((id) => id.replace(/ turn \d+$/, "")));
          const test = (row) =>
            ids.has(this.id(row)) || ids.has(`${this.id(row)} sample ${row[SAMPLE]}`);
          return [causeFilter(run, task, one), `${who}${task}: ${one.cause}`, test];
        }),
    );
  }

  fillSubsets() {
    const task = $("task").value;
    const of = this.names.filter(([name]) => !task || name === task);
    fill($("subset"), all(of.map(([, subset]) => subset)));
  }

  fits() {
    const [, , test] = this.filters.find(([value]) => value === $("filter").value);
    const [task, subset] = [$("task").value, $("subset").value];
    const named = (row) =>
      (!task || this.task(row) === task) && (!subset || this.subset(row) === subset);
    return this.all.filter((row) => named(row) && test(row));
  }

  // Shows what one filter lets through, whatever was chosen before.
  only(filter) {
    $("task").value = $("search").value = "";
    this.fillSubsets();
    $("filter").value = filter;
    this.refresh();
    $("items").scrollIntoView();
    $("list").focus({ preventScroll: true });
  }

  async refresh() {
    const turn = ++this.searching;
    const rows = this.fits();
    const word = $("search").value.trim().toLowerCase();
    this.chosen = -1;
    if (!word) return this.show(rows);
    const found = new Set(rows.filter((row) => this.id(row).toLowerCase().includes(word)));
    const numbers = [...new Set(rows.map((row) => row[BLOCK]))];
    const members = Map.groupBy(rows, (row) => row[BLOCK]);
    for (const [done, number] of numbers.entries()) {
      const entries = await unpack(`block${number}`);
      if (turn !== this.searching) return;
      for (const row of members.get(number))
        if (contains(entries[row[PLACE]], row[SAMPLE], word)) found.add(row);
      if (done % 8 === 7) {
        const percent = Math.round((100 * (done + 1)) / numbers.length);
        this.show(
          rows.filter((row) => found.has(row)),
          `, searching ${percent} %`,
        );
        await new Promise((resume) => setTimeout(resume));
        if (turn !== this.searching) return;
      }
    }
    this.show(rows.filter((row) => found.has(row)));
  }

  // Shows these rows; one that was chosen stays so.
  show(rows, more = "") {
    this.chosen = this.chosen < 0 ? -1 : rows.indexOf(this.shown[this.chosen]);
    this.shown = rows;
    $("count").textContent = `${whole(rows.length)} of ${whole(this.all.length)} answers${more}`;
    if (this.chosen < 0) $("list").scrollTop = 0;
    this.draw();
  }

  // --- The list: only the rows in sight are in the document ---

  draw() {
    const list = $("list");
    $("spacer").style.height = `${this.shown.length * ROW_HEIGHT}px`;
    const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - 5);
    const last = first + Math.ceil(list.clientHeight / ROW_HEIGHT) + 12;
    $("rows").style.transform = `translateY(${first * ROW_HEIGHT}px)`;
    const drawn = this.shown.slice(first, last).map((row, n) => this.drawRow(row, first + n));
    $("rows").replaceChildren(...drawn);
    const inSight = this.chosen >= first && this.chosen < last;
    list.setAttribute("aria-activedescendant", inSight ? `row${this.chosen}` : "");
  }

  drawRow(row, place) {
    const flipped = row.slice(BITS + 1, BITS + this.runs.length).some((bits) => bits & FLIPPED);
    const signs = [
      [flipped, "⇄", "flipped"],
      [row[BITS] & MISSING, "∅", "no response"],
      [row[BITS] & TRUNCATED, "✂", "truncated"],
      [row[BITS] & UNFINISHED, "…", "thought without an end"],
      [row[BITS] & UNMATCHED, "?", "unmatched (published)"],
    ].filter(([set]) => set);
    const name = visible(this.id(row) + (row[SAMPLE] ? ` #${row[SAMPLE]}` : ""));
    const node = el(
      "div",
      {
        class: "row",
        role: "option",
        id: `row${place}`,
        "aria-selected": place === this.chosen,
        "aria-posinset": place + 1,
        "aria-setsize": this.shown.length,
      },
      ...this.drawVerdicts(row),
      el("span", { class: "id", title: name }, el("bdi", {}, name)),
      ...signs.map(([, sign, said]) => symbol("", sign, said)),
    );
    node.addEventListener("click", () => this.choose(place));
    return node;
  }

  drawVerdicts(row) {
    if (this.rated(row))
      return [symbol("rating", number(row[BITS + this.runs.length], 1), "rating")];
    return RULES.map((rule, n) => {
      if (row[BITS] & (UNSCORED | (UNREAD << n))) return symbol("none", "·", `${rule}: no verdict`);
      if (row[BITS] & (RIGHT << n)) return symbol("ok", "✓", `${rule}: right`);
      return symbol("no", "✗", `${rule}: wrong`);
    });
  }

  async choose(place) {
    if (!this.shown.length) return;
    this.chosen = Math.max(0, Math.min(this.shown.length - 1, place));
    const [list, detail] = [$("list"), $("detail")];
    const top = this.chosen * ROW_HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight)
      list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
    this.draw();
    const row = this.shown[this.chosen];
    const entry = (await this.block(row[BLOCK]))[row[PLACE]];
    if (row !== this.shown[this.chosen]) return; // another has been chosen meanwhile
    detail.replaceChildren(...describe(entry, row[SAMPLE], this.runs));
    detail.scrollTop = 0;
    // The question stands at the end, behind the examples.
    for (const prompt of detail.querySelectorAll(".prompt")) prompt.scrollTop = prompt.scrollHeight;
  }

  // --- Keys and mouse ---

  listen() {
    let waiting;
    $("search").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.refresh(), 250);
    });
    $("task").addEventListener("change", () => {
      this.fillSubsets();
      this.refresh();
    });
    for (const name of ["subset", "filter"])
      $(name).addEventListener("change", () => this.refresh());
    $("why-table").addEventListener("click", (event) => {
      const button = event.target.closest("[data-filter]");
      if (button) this.only(button.dataset.filter);
    });
    $("list").addEventListener("scroll", () => requestAnimationFrame(() => this.draw()));
    window.addEventListener("resize", () => this.draw());
    document.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select, textarea");
    const listed = $("list").contains(document.activeElement);
    if (event.key === "Escape") $("list").focus();
    else if (typing) return;
    else if (event.key === "/") $("search").focus();
    else if (event.key in STEPS && (listed || event.key === "j" || event.key === "k"))
      this.choose(this.chosen + STEPS[event.key]);
    else if (event.key === "Enter" && listed && this.chosen >= 0) $("detail").focus();
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

function contains(entry, sample, word) {
  const within = (said) => (said ?? "").toLowerCase().includes(word);
  const written = (run) => [
    ...run.responses.map(response).flatMap((one) => [one, { ...one, text: one.thought }]),
    ...run.verdicts.map(judgment),
  ];
  const answered = (run) => written(run).some((one) => one.sample === sample && within(one.text));
  return entry.turns.some(within) || entry.target.some(within) || entry.runs.some(answered);
}
