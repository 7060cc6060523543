// --- Pictures -------------------------------------------------------------------------------

const label = (x, y, text, kind = "", anchor = "start") =>
  svg("text", { x, y, class: kind, "text-anchor": anchor }, visible(String(text)));
const title = (text) => svg("title", {}, visible(text));
const line = (x1, y1, x2, y2, kind) => svg("line", { x1, y1, x2, y2, class: kind });
const picture = (width, height, describe) =>
  svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": visible(describe) });
const legend = (...entries) =>
  el(
    "p",
    { class: "legend" },
    ...entries.map(([kind, text]) => el("span", {}, el("i", { class: kind }), visible(text))),
  );

// A long name without its middle: names of subsets part at their ends.
const inner = (name, most) => {
  const half = Math.floor((most - 1) / 2);
  return name.length > most ? `${name.slice(0, half)}…${name.slice(-half)}` : name;
};

// Horizontal bars with intervals: rows of {name, bars: [{value, low, high, kind}], reference}.
function bars(rows, [least, most, unit], describe) {
  const longest = Math.max(...rows.map((row) => row.name.length));
  const left = Math.max(44, Math.min(176, 12 + 6.3 * longest));
  const width = 460;
  const right = 40;
  const each = Math.max(...rows.map((row) => row.bars.length));
  const step = 12 * each + 7;
  const bottom = rows.length * step;
  const x = (v) => left + ((width - left - right) * (v - least)) / (most - least);
  const node = picture(width, bottom + 24, describe);
  const parts = (most - least) % 3 === 0 ? 3 : 4;
  for (let i = 0; i <= parts; i++) {
    const v = least + ((most - least) * i) / parts;
    node.append(
      line(x(v), 0, x(v), bottom + 4, "axis"),
      label(x(v), bottom + 17, Math.round(v * 10) / 10, "dimtext", "middle"),
    );
  }
  node.append(label(left - 12, bottom + 17, unit, "dimtext", "end"));
  rows.forEach((row, place) => {
    const top = place * step + 3;
    const name = inner(row.name, 26);
    const middle = top + 6 * row.bars.length;
    node.append(svg("g", {}, title(row.name), label(left - 6, middle + 3, name, "", "end")));
    row.bars.forEach((bar, n) => node.append(oneBar(row, bar, x, x(least), top + n * 12, n)));
    if (row.reference !== undefined) {
      const at = x(row.reference);
      const mark = line(at, top - 2, at, top + 12 * row.bars.length, "ref");
      node.append(svg("g", {}, title(`published figure: ${row.reference}`), mark));
    }
    row.bars.forEach((bar, n) => {
      const known = bar.value !== null && bar.value !== undefined;
      const end = known ? x(Math.max(bar.value, bar.high ?? bar.value)) : left;
      const mark = x(row.reference ?? least);
      const after = end < mark && mark < end + 34 ? mark : end; // beside the mark, not under it
      const said = known ? number(bar.value, 1) : "no figure";
      node.append(label(after + 4, top + n * 12 + 9, said, known ? "value" : "dimtext"));
    });
  });
  return node;
}

function oneBar(row, bar, x, left, y, series) {
  if (bar.value === null || bar.value === undefined) return "";
  const known = bar.low !== null && bar.low !== undefined;
  const between = known ? ` (${number(bar.low)} to ${number(bar.high)})` : "";
  const group = svg(
    "g",
    {},
    title(`${row.name}, ${bar.kind}: ${number(bar.value)}${between}`),
    svg("rect", {
      x: left,
      y,
      width: Math.max(0, x(bar.value) - left),
      height: 10,
      class: `series${series % SERIES}`,
    }),
  );
  if (known) {
    group.append(line(x(bar.low), y + 5, x(bar.high), y + 5, "whisker"));
    for (const end of [bar.low, bar.high])
      group.append(line(x(end), y + 2, x(end), y + 8, "whisker"));
  }
  return group;
}

// A value to each name, on spokes: one outline a series.
function radar(names, series, [least, most], describe) {
  const [cx, cy, r] = [200, 150, 105];
  const node = picture(400, 300, describe);
  const at = (i, v) => {
    const angle = (2 * Math.PI * i) / names.length - Math.PI / 2;
    const d = (r * (v - least)) / (most - least);
    return [cx + d * Math.cos(angle), cy + d * Math.sin(angle)];
  };
  const outline = (values, kind) =>
    svg("polygon", { points: values.map((v, i) => at(i, v).join()).join(" "), class: kind });
  for (let ring = 1; ring <= 3; ring++) {
    const v = least + ((most - least) * ring) / 3;
    const [x, y] = at(0, v);
    node.append(outline(Array(names.length).fill(v), "axis ring"));
    node.append(label(x + 3, y + 11, Math.round(v * 10) / 10, "dimtext"));
  }
  names.forEach((name, i) => {
    const [x, y] = at(i, most);
    const [tx, ty] = at(i, most + (most - least) * 0.1);
    const anchor = tx > cx + 8 ? "start" : tx < cx - 8 ? "end" : "middle";
    const short = inner(name, 16);
    const value = series.length === 1 ? " " + number(series[0][i], 1) : "";
    node.append(line(cx, cy, x, y, "axis"));
    node.append(svg("g", {}, title(name), label(tx, ty + 4, short + value, "", anchor)));
  });
  series.forEach((values, n) => {
    node.append(
      outline(
        values.map((v) => v ?? least),
        `area series${n % SERIES}`,
      ),
    );
  });
  return node;
}

// How many answers are how long, in a run's colour; `counts` by the number of binary digits of the
// length.
function histogram(counts, unit, series, describe) {
  const most = Math.max(...Object.keys(counts).map(Number));
  const total = Object.values(counts).reduce((a, b) => a + b, 0);
  const peak = Math.max(...Object.values(counts));
  const [width, high, left] = [420, 110, 44];
  const step = (width - left - 10) / (most + 1);
  const node = picture(width, high + 44, describe);
  for (const part of [0, 0.5, 1]) {
    const y = 10 + high * (1 - part);
    node.append(line(left, y, width - 10, y, "axis"));
    node.append(
      label(left - 4, y + 4, `${((100 * peak * part) / total).toFixed(0)} %`, "dimtext", "end"),
    );
  }
  for (let k = 0; k <= most; k++) {
    const n = counts[k] || 0;
    const height = (high * n) / peak;
    const from = k ? 2 ** (k - 1) : 0;
    const to = k ? 2 ** k - 1 : 0;
    const share = `${((100 * n) / total).toFixed(1)} %`;
    const x = left + k * step;
    node.append(
      svg(
        "g",
        {},
        title(`${whole(from)} to ${whole(to)} ${unit}: ${whole(n)} answers (${share})`),
        svg("rect", { x: x + 1, y: 10, width: step - 2, height: high, class: "clear" }),
        svg("rect", {
          x: x + 1,
          y: 10 + high - height,
          width: step - 2,
          height,
          class: `series${series % SERIES}`,
        }),
      ),
      label(x + step / 2, high + 23, from >= 1024 ? `${from / 1024}k` : from, "dimtext", "middle"),
    );
  }
  node.append(
    label(width - 10, high + 38, `${unit}, from this to twice as many`, "dimtext", "end"),
  );
  return node;
}

// Requests under way in each replica of the engine over time, and where one died.
function replicaChart(lines) {
  const end = Math.max(...lines.map((l) => l.seconds), 1);
  const peak = Math.max(...lines.map((l) => l.in_flight || 0), 1);
  const [width, high, left] = [800, 150, 36];
  const x = (s) => left + ((width - left - 10) * s) / end;
  const y = (n) => 8 + (high - 8) * (1 - n / peak);
  const node = picture(width, high + 30, "requests under way in each replica over time");
  node.append(
    line(left, y(0), width - 10, y(0), "axis"),
    label(left - 6, y(0) + 4, 0, "dimtext", "end"),
    label(left - 6, y(peak) + 8, peak, "dimtext", "end"),
    label(width - 10, high + 22, `seconds, to ${Math.round(end)}`, "dimtext", "end"),
  );
  const replicas = [...new Set(lines.map((l) => l.replica))].sort((a, b) => a - b);
  replicas.forEach((replica, place) => {
    const own = lines.filter((l) => l.replica === replica);
    const points = own
      .filter((l) => "in_flight" in l)
      .map((l) => `${x(l.seconds)},${y(l.in_flight)}`);
    const kind = `trace series${place % SERIES}`;
    node.append(
      svg(
        "g",
        {},
        title(`replica ${replica}`),
        svg("polyline", { points: points.join(" "), class: kind }),
      ),
    );
    for (const died of own.filter((l) => l.event === "died")) {
      const mark = line(x(died.seconds), 8, x(died.seconds), high, "ref");
      node.append(svg("g", {}, title(`replica ${replica} died: ${died.reason}`), mark));
    }
  });
  const shown = replicas.slice(0, SERIES).map((replica, n) => [`series${n}`, `replica ${replica}`]);
  return card("Requests under way", true, node, legend(...shown, ["ref", "a replica died"]));
}
