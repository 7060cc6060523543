// --- Runs of one training: their scores against the step ------------------------------------------

const CURVE_REMARK =
  "The published rule's scores; the band is each one's 95 % interval. What moved by more than noise, " +
  "item by item, ochat-eval series says.";

const scored = (row) => Object.values(row.tasks).some(Boolean);
const curveAddress = (names) => `#curve/${names.map(encodeURIComponent).join("+")}`;

// Those that have a step and scores, by step.
const stepped = (rows) =>
  rows.filter((row) => row.step && scored(row)).sort((a, b) => a.step[0] - b.step[0]);

// Why rows are no series; null where they are one.
function noSeries(rows) {
  if (rows.length < 2)
    return "Fewer than two of these runs have scores and a step, in their manifest (step=N) or their name (checkpoint-100).";
  const other = rows.find((row) => row.step[1] !== rows[0].step[1]);
  if (other) return `${rows[0].name} counts ${rows[0].step[1]}s, ${other.name} ${other.step[1]}s: choose the runs of one series.`;
  const n = rows.findIndex((row, i) => i && row.step[0] === rows[i - 1].step[0]);
  if (n < 0) return null;
  return `${rows[n - 1].name} and ${rows[n].name} have the same ${rows[n].step[1]}: choose the runs of one series.`;
}

// A section with a curve for each benchmark.
function curveSection(every) {
  const rows = stepped(every);
  const why = noSeries(rows);
  const heading = el("h2", {}, `Score against ${rows.length ? rows[0].step[1] : "step"}`);
  const section = el("section", { id: "curves", "data-name": "Series" }, heading);
  if (why) {
    section.append(el("p", { class: "dim" }, visible(why)));
    return section;
  }
  const unit = rows[0].step[1];
  const points = rows.map((row) => ({ label: `${row.name}, ${unit} ${row.step[0]}`, step: row.step[0] }));
  const tasks = [...new Set(rows.flatMap((row) => Object.keys(row.tasks)))];
  const cards = tasks.map((task) => {
    const own = rows.map((row) => row.tasks[task]?.published);
    const scores = own.map((one) => one?.score ?? null);
    const ends = own.map((one) => one?.ci95 ?? null);
    const drawn = curveCard({ task, scores, ends, pairs: [], best: null, among: [] }, points, unit);
    const marks = new Set(rows.flatMap((row) => row.tasks[task]?.marks ?? []));
    drawn.querySelector("h3").append(dagger([...marks]) ?? "");
    return drawn;
  });
  const missing = every.length - rows.length;
  const left = missing ? ` ${whole(missing)} without a step or without scores left out.` : "";
  section.append(el("div", { class: "charts" }, ...cards), el("p", { class: "dim remark" }, CURVE_REMARK + left));
  return section;
}
