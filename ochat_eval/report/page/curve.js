// --- A score against the step -------------------------------------------------------------------

const signOf = (pair) => (!pair || !pair.moved ? "" : pair.difference > 0 ? "▲" : "▼");
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

// A curve as series/curve.py has it, over points of {label, step}. Where nothing was compared `pairs`
// and `among` are empty and `best` is null.
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
  const best = curve.best === null ? null : `best: ${points[curve.best].label}`;
  const others = curve.among.filter((i) => i !== curve.best).map((i) => points[i].label);
  const rest = others.length ? `; cannot be told from it: ${others.join(", ")}` : "";
  return card(name, false, node, best && el("p", { class: "dim" }, visible(best + rest)));
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
