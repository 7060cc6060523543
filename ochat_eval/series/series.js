// --- A series of checkpoints ------------------------------------------------------------------

const SHOWN_FLIPS = 200;
const RATES = [
  ["unmatched", "unmatched", percent],
  ["truncated", "truncated", percent],
  ["unfinished", "unfinished", percent],
  ["tokens", "tokens of an answer", (v) => number(v, 0)],
];
const signOf = (pair) => (!pair || !pair.moved ? "" : pair.difference > 0 ? "▲" : "▼");
const signed = (value) => (value > 0 ? "+" : "") + number(value);
const sayP = (p) => (p < 0.001 ? "< 0.001" : p.toFixed(3));
const sayPair = (p) =>
  `${signed(p.difference)} (${number(p.lo)} to ${number(p.hi)})` +
  (p.p === null ? "" : `, p ${sayP(p.p)}`);

// Round numbers that span the values: [least, most, step].
function scaleOf(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const rough = (high - low || Math.abs(high) || 1) / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * size).find((n) => n >= rough);
  const least = Math.floor(low / step) * step;
  return [least, Math.max(Math.ceil(high / step) * step, least + step), step];
}

// Axes for values against step; returns the picture and where a step and a value are.
function axes(points, values, shown, describe) {
  const [width, high, left, right, top] = [480, 190, 52, 16, 16];
  const [least, most, gap] = scaleOf(values);
  const steps = points.map((p) => p.step);
  const [from, to] = [Math.min(...steps), Math.max(...steps)];
  const x = (step) =>
    from === to
      ? (left + width - right) / 2
      : left + 8 + ((width - left - right - 16) * (step - from)) / (to - from);
  const y = (v) => top + high * (1 - (v - least) / (most - least));
  const node = picture(width, high + top + 26, describe);
  for (let v = least; v <= most + gap / 2; v += gap)
    node.append(
      line(left, y(v), width - right, y(v), "axis"),
      label(left - 6, y(v) + 4, shown(v, gap), "dimtext", "end"),
    );
  let free = -Infinity;
  for (const step of steps) {
    const text = step.toLocaleString("en", { maximumFractionDigits: 2 });
    if (x(step) - free < 7 * text.length + 6) continue;
    free = x(step);
    node.append(label(x(step), top + high + 18, text, "dimtext", "middle"));
  }
  return [node, x, y];
}

// Runs of neighbours that have a figure.
function stretches(values) {
  const found = [];
  values.forEach((v, i) => {
    if (v === null) return;
    if (i && values[i - 1] !== null) found.at(-1).push(i);
    else found.push([i]);
  });
  return found;
}

function curveCard(curve, points, unit) {
  const known = curve.scores.filter((v) => v !== null);
  const name = curve.task || "average";
  if (!known.length) return card(name, false, el("p", { class: "dim" }, "no figure"));
  const every = [...known, ...curve.ends.filter((e) => e !== null).flat()];
  const shown = (v, gap) => number(v, gap < 1 ? 1 : 0);
  const [node, x, y] = axes(points, every, shown, `${name}: score against ${unit}`);
  for (const stretch of stretches(curve.scores)) {
    const ends = stretch.filter((i) => curve.ends[i] !== null);
    const at = (i, v) => `${x(points[i].step)},${y(v)}`;
    const edge = [
      ...ends.map((i) => at(i, curve.ends[i][1])),
      ...ends.reverse().map((i) => at(i, curve.ends[i][0])),
    ];
    const trace = stretch.map((i) => at(i, curve.scores[i]));
    node.append(
      svg("polygon", { points: edge.join(" "), class: "band" }),
      svg("polyline", { points: trace.join(" "), class: "trace" }),
    );
  }
  curve.scores.forEach((score, i) => {
    if (score !== null) node.append(pointOf(curve, points, i, x, y));
  });
  node.classList.add("series0");
  const best = curve.best === null ? "" : `best: ${points[curve.best].label}`;
  const others = curve.among.filter((i) => i !== curve.best).map((i) => points[i].label);
  const rest = others.length ? `; cannot be told from it: ${others.join(", ")}` : "";
  return card(name, false, node, el("p", { class: "dim" }, visible(best + rest)));
}

function pointOf(curve, points, i, x, y) {
  const [cx, cy] = [x(points[i].step), y(curve.scores[i])];
  const pair = curve.pairs.find((p) => p.a === i - 1 && p.b === i);
  const ends = curve.ends[i] ? ` (${curve.ends[i].map((v) => number(v)).join(" to ")})` : "";
  const change = pair ? `; since ${points[i - 1].label} ${sayPair(pair)}` : "";
  const open = curve.among.includes(i) && i !== curve.best;
  const node = svg("g", { tabindex: "0" }, title(`${points[i].label}: ${number(curve.scores[i])}${ends}${change}`));
  node.append(svg("circle", { cx, cy, r: 4, class: open ? "dot open" : "dot" }));
  if (i === curve.best) node.append(svg("circle", { cx, cy, r: 8, class: "halo" }));
  if (signOf(pair)) {
    const up = pair.difference > 0;
    node.append(label(cx, up ? cy - 11 : cy + 21, signOf(pair), up ? "up" : "down", "middle"));
  }
  return node;
}

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

function showFigures({ points, curves, rates, unit }) {
  const heads = ["task", unit, "score", "95 % interval", "since the one before"];
  heads.push(...RATES.map(([, text]) => text));
  const rows = curves.flatMap((curve) =>
    points.map((point, i) => {
      const pair = curve.pairs.find((p) => p.a === i - 1 && p.b === i);
      const own = rates[curve.task];
      const cells = [
        curve.task || "average", point.label, number(curve.scores[i]),
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
