// --- The browser of items -------------------------------------------------------------------

const ROW_HEIGHT = 30;
const KEPT_BLOCKS = 60;
const NAME = 0;
const INDEX = 1;
const SAMPLE = 2;
const BLOCK = 3;
const PLACE = 4;
const BITS = 5; // those of the first run; the other runs' follow, then a rating

function browser(index, runs) {
  const list = $("list");
  const detail = $("detail");
  const all = index.rows;
  const blocks = new Map();
  let shown = [];
  let chosen = -1;
  let searching = 0;

  const task = (row) => index.names[row[NAME]][0];
  const subset = (row) => index.names[row[NAME]][1];
  const id = (row) => `${task(row)}/${subset(row)}/${row[INDEX]}`;
  const rated = (row) => (runs[0].summary.tasks[task(row)] || {}).scale !== 100;

  function block(n) {
    if (!blocks.has(n)) {
      if (blocks.size === KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
      blocks.set(n, unpack(`block${n}`));
    }
    return blocks.get(n);
  }

  // --- What is shown ---

  const has = (bits) => (row) => (row[BITS] & bits) !== 0;
  const wrong = (rule) => (row) =>
    !rated(row) && !(row[BITS] & ((RIGHT << rule) | (UNREAD << rule) | UNSCORED));
  const filters = [
    ["all", "all", () => true],
    ["wrong", "wrong (published)", wrong(0)],
    ["wrong-robust", "wrong (robust)", wrong(1)],
    ["right", "right (published)", (row) => has(RIGHT)(row) && !rated(row)],
    ["right-robust", "right (robust)", (row) => has(RIGHT << 1)(row) && !rated(row)],
    ["unmatched", "unmatched (published)", has(UNMATCHED)],
    ["unmatched-robust", "unmatched (robust)", has(UNMATCHED << 1)],
    ["disagree", "rules disagree", has(DISAGREE)],
    ["truncated", "truncated", has(TRUNCATED)],
    ["empty", "empty", has(EMPTY)],
    ["unread", "verdict not readable", has(UNREAD | (UNREAD << 1))],
    ["unscored", "not scored", has(UNSCORED)],
    ["missing", "no response", has(MISSING)],
  ];
  runs.slice(1).forEach((run, n) => {
    const other = (row) => (row[BITS + 1 + n] & FLIPPED) !== 0;
    filters.push([n ? `flipped${n + 1}` : "flipped", `flipped against ${run.name}`, other]);
  });

  function fill(node, values) {
    const options = values.map(([value, said]) => el("option", { value }, visible(said)));
    node.replaceChildren(...options);
  }
  const same = (values) => [["", "all"], ...[...new Set(values)].map((value) => [value, value])];
  const fillSubsets = () => {
    const of = index.names.filter(([t]) => !$("task").value || t === $("task").value);
    fill($("subset"), same(of.map(([, s]) => s)));
  };
  fill($("filter"), filters);
  fill($("task"), same(index.names.map(([t]) => t)));
  fillSubsets();

  async function refresh() {
    const turn = ++searching;
    const [, , test] = filters.find(([value]) => value === $("filter").value);
    const [wanted, part] = [$("task").value, $("subset").value];
    const word = $("search").value.trim().toLowerCase();
    const fits = all.filter(
      (row) => (!wanted || task(row) === wanted) && (!part || subset(row) === part) && test(row),
    );
    chosen = -1;
    if (!word) return show(fits);
    const found = new Set(fits.filter((row) => id(row).toLowerCase().includes(word)));
    const numbers = [...new Set(fits.map((row) => row[BLOCK]))];
    const members = Map.groupBy(fits, (row) => row[BLOCK]);
    for (const [done, number] of numbers.entries()) {
      const entries = await unpack(`block${number}`);
      if (turn !== searching) return;
      for (const row of members.get(number))
        if (!found.has(row) && contains(entries[row[PLACE]], row[SAMPLE], word)) found.add(row);
      if (done % 8 === 7) {
        const part = Math.round((100 * (done + 1)) / numbers.length);
        show(
          fits.filter((row) => found.has(row)),
          `, searching ${part} %`,
        );
        await new Promise((resume) => setTimeout(resume));
        if (turn !== searching) return;
      }
    }
    show(fits.filter((row) => found.has(row)));
  }

  function contains(entry, sample, word) {
    const within = (said) => said.toLowerCase().includes(word);
    const answered = (run) =>
      [...run.responses, ...run.verdicts].some((r) => r[0] === sample && within(r[2]));
    return entry.turns.some(within) || entry.target.some(within) || entry.runs.some(answered);
  }

  function show(rows, more = "") {
    const at = chosen >= 0 ? rows.indexOf(shown[chosen]) : -1;
    shown = rows;
    $("count").textContent = `${whole(shown.length)} of ${whole(all.length)} answers${more}`;
    chosen = at;
    if (at < 0) list.scrollTop = 0;
    draw();
  }

  // --- The list: only the rows in sight are in the document ---

  function draw() {
    $("spacer").style.height = `${shown.length * ROW_HEIGHT}px`;
    const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - 5);
    const last = first + Math.ceil(list.clientHeight / ROW_HEIGHT) + 12;
    $("rows").style.transform = `translateY(${first * ROW_HEIGHT}px)`;
    const drawn = shown.slice(first, last).map((row, n) => drawRow(row, first + n));
    $("rows").replaceChildren(...drawn);
    const current = chosen >= first && chosen < last ? `row${chosen}` : "";
    list.setAttribute("aria-activedescendant", current);
  }

  function verdict(row, rule) {
    const bits = row[BITS];
    if (bits & (UNSCORED | (UNREAD << rule))) return ["none", "·", "no verdict"];
    return bits & (RIGHT << rule) ? ["ok", "✓", "right"] : ["no", "✗", "wrong"];
  }

  function verdicts(row) {
    if (rated(row)) {
      const rating = row[BITS + runs.length];
      return [el("span", { class: "rating", title: "rating" }, number(rating, 1))];
    }
    return RULES.map((rule, n) => {
      const [kind, sign, said] = verdict(row, n);
      const name = `${rule}: ${said}`;
      return el("span", { class: kind, title: name, role: "img", "aria-label": name }, sign);
    });
  }

  function drawRow(row, place) {
    const flipped = row.slice(BITS + 1, BITS + runs.length).some((bits) => bits & FLIPPED);
    const signs = [
      [flipped, "⇄", "flipped"],
      [row[BITS] & MISSING, "∅", "no response"],
      [row[BITS] & TRUNCATED, "✂", "truncated"],
      [row[BITS] & UNMATCHED, "?", "unmatched (published)"],
    ].filter(([bit]) => bit);
    const name = visible(id(row) + (row[SAMPLE] ? ` #${row[SAMPLE]}` : ""));
    const node = el(
      "div",
      {
        class: "row",
        role: "option",
        id: `row${place}`,
        "aria-selected": place === chosen,
        "aria-posinset": place + 1,
        "aria-setsize": shown.length,
      },
      ...verdicts(row),
      el("span", { class: "id", title: name }, el("bdi", {}, name)),
      ...signs.map(([, sign, title]) =>
        el("span", { title, role: "img", "aria-label": title }, sign),
      ),
    );
    node.addEventListener("click", () => choose(place));
    return node;
  }

  async function choose(place) {
    if (!shown.length) return;
    chosen = Math.max(0, Math.min(shown.length - 1, place));
    const top = chosen * ROW_HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight)
      list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
    draw();
    const row = shown[chosen];
    const entry = (await block(row[BLOCK]))[row[PLACE]];
    if (row !== shown[chosen]) return; // another has been chosen meanwhile
    detail.replaceChildren(...describe(entry, row[SAMPLE], runs));
    detail.scrollTop = 0;
    for (const prompt of detail.querySelectorAll("pre.prompt"))
      prompt.scrollTop = prompt.scrollHeight;
  }

  // --- Keys and mouse ---

  let waiting;
  $("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 250);
  });
  $("task").addEventListener("change", () => {
    fillSubsets();
    refresh();
  });
  for (const name of ["subset", "filter"]) $(name).addEventListener("change", refresh);
  list.addEventListener("scroll", () => requestAnimationFrame(draw));
  window.addEventListener("resize", draw);
  const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15 };
  Object.assign(steps, { Home: -Infinity, End: Infinity });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select, textarea");
    const listed = list.contains(document.activeElement);
    if (event.key === "Escape") list.focus();
    else if (typing) return;
    else if (event.key === "/") $("search").focus();
    else if (event.key in steps && (listed || event.key === "j" || event.key === "k"))
      choose(chosen + steps[event.key]);
    else if (event.key === "Enter" && listed && chosen >= 0) detail.focus();
    else return;
    event.preventDefault();
  });
  refresh();
}
