// --- A series of checkpoints ------------------------------------------------------------------

const SHOWN_FLIPS = 200;
const RATES = [
  ["unmatched", "unmatched", percent],
  ["truncated", "truncated", percent],
  ["unfinished", "unfinished", percent],
  ["tokens", "tokens of an answer", (v) => number(v, 0)],
];

function ratesCard([key, heading, shown], { points, rates, unit }) {
  const tasks = Object.keys(rates);
  const values = tasks.flatMap((task) => rates[task][key]).filter((v) => v !== null);
  if (!values.some((v) => v > 0)) return null;
  const [node, x, y] = axes(points, [0, ...values], (v) => shown(v), `${heading} against ${unit}`);
  tasks.forEach((task, n) => {
    const group = svg("g", { class: `series${n % SERIES}` });
    const own = rates[task][key];
    for (const stretch of stretches(own)) {
      const trace = stretch.map((i) => `${x(points[i].step)},${y(own[i])}`);
      group.append(svg("polyline", { points: trace.join(" "), class: "trace" }));
    }
    own.forEach((v, i) => {
      if (v === null) return;
      const dot = svg("circle", { cx: x(points[i].step), cy: y(v), r: 3, class: "dot" });
      group.append(svg("g", {}, title(`${task}, ${points[i].label}: ${shown(v)}`), dot));
    });
    node.append(group);
  });
  const names = tasks.map((task, n) => [`series${n % SERIES}`, task]);
  return card(heading, false, node, tasks.length > 1 ? legend(...names) : null);
}

// Cells of text, numbers but where `kinds` says otherwise.
const row = (cells, kinds = [], tag = "td") =>
  el("tr", {}, ...cells.map((text, i) => el(tag, { class: kinds[i] || "n" }, visible(text))));
const tableOf = (headers, kinds, rows) =>
  el("table", {}, el("thead", {}, row(headers, kinds, "th")), el("tbody", {}, ...rows));

// The differences between two checkpoints, and which items flipped.
function showPair({ points, curves, items }, a, b) {
  const [first, second] = a < b ? [a, b] : [b, a];
  const turn = a < b ? 1 : -1;
  const rows = curves.flatMap((curve) => {
    const pair = curve.pairs.find((p) => p.a === first && p.b === second);
    if (!pair) return [];
    const seen = turn > 0 ? pair : { ...pair, difference: -pair.difference, lo: -pair.hi, hi: -pair.lo };
    const [gained, lost] = turn > 0 ? [pair.gained, pair.lost] : [pair.lost, pair.gained];
    const sign = signOf(seen);
    const kind = sign === "▲" ? "n up" : sign === "▼" ? "n down" : "n";
    const cells = [
      curve.task || "average", number(curve.scores[a]), number(curve.scores[b]),
      signed(seen.difference) + sign, `${number(seen.lo)} to ${number(seen.hi)}`,
      pair.p === null ? "–" : sayP(pair.p), whole(gained), whole(lost),
    ];
    return [row(cells, ["name", "n", "n", kind])];
  });
  const headers = [
    "task", points[a].label, points[b].label, "difference", "95 % interval", "p (Holm)", "gained", "lost",
  ];
  const none = el("p", { class: "dim" }, a === b ? "Choose two." : "These two share too few items.");
  $("differences").replaceChildren(rows.length ? tableOf(headers, ["name"], rows) : none);
  const lists = Object.entries(items).flatMap(([task, { ids, values }]) => {
    const change = (i) => values[b][i] - values[a][i];
    const places = ids.map((_, i) => i);
    return [
      flipList(`${task}: lost`, places.filter((i) => change(i) < 0).map((i) => ids[i])),
      flipList(`${task}: gained`, places.filter((i) => change(i) > 0).map((i) => ids[i])),
    ];
  });
  const how = `ochat-eval compare ${points[a].run} ${points[b].run} --flips shows both answers`;
  $("flips").replaceChildren(...lists.filter(Boolean), el("p", { class: "dim" }, visible(how)));
}

function flipList(heading, ids) {
  if (!ids.length) return null;
  const shown = ids.slice(0, SHOWN_FLIPS).map((id) => el("li", {}, visible(id)));
  const more = ids.length - shown.length;
  return el(
    "details",
    {},
    el("summary", {}, visible(`${heading}, ${whole(ids.length)}`)),
    el("ul", { class: "ids" }, ...shown),
    more > 0 ? el("p", { class: "dim" }, `and ${whole(more)} more`) : null,
  );
}

function showFigures({ points, curves, rates, marked, unit }) {
  const heads = ["task", unit, "score", "95 % interval", "since the one before"];
  heads.push(...RATES.map(([, text]) => text));
  const rows = curves.flatMap((curve) =>
    points.map((point, i) => {
      const pair = curve.pairs.find((p) => p.a === i - 1 && p.b === i);
      const own = rates[curve.task];
      const cells = [
        curve.task || "average", point.label, number(curve.scores[i]) + (marked[curve.task]?.[i] ? " †" : ""),
        curve.ends[i] ? curve.ends[i].map((v) => number(v, 1)).join(" to ") : "–",
        pair ? sayPair(pair) + signOf(pair) : "–",
        ...RATES.map(([key, , shown]) => (own ? shown(own[key][i]) : "")),
      ];
      return row(cells, ["name", "name"]);
    }),
  );
  $("figures").replaceChildren(tableOf(heads, ["name", "name"], rows));
}

async function start() {
  themed();
  const data = await unpack("series");
  const { points } = data;
  const heading = visible(`${data.name}: ${points.length} checkpoints`);
  $("title").textContent = $("title").title = document.title = heading;
  $("left").hidden = !data.left.length;
  $("left").append(...data.left.map((text) => el("div", {}, visible(text))));
  const ordered = [...data.curves].sort((a, b) => (a.task !== "") - (b.task !== "")); // average first
  $("curves").append(...ordered.map((curve) => curveCard(curve, points, data.unit)));
  $("rates").append(...RATES.map((rate) => ratesCard(rate, data)).filter(Boolean));
  const choose = () => showPair(data, Number($("a").value), Number($("b").value));
  for (const [id, chosen] of [["a", Math.max(0, points.length - 2)], ["b", points.length - 1]]) {
    $(id).append(...points.map((p, i) => el("option", { value: i }, visible(p.label))));
    $(id).value = chosen;
    $(id).addEventListener("change", choose);
  }
  choose();
  showFigures(data);
  $("notes").append(...data.notes.map((text) => el("li", {}, visible(text))));
  document.documentElement.dataset.ready = Math.round(performance.now());
}

start();
