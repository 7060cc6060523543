// --- What a person has marked ----------------------------------------------------------------

const ALL_ANSWERS = "all, estimated";
const REVIEW_SAID =
  "In percent of the readings marked right or wrong. Each rate is that of its kind of answers; " +
  "the rate over all answers weights them, and is known only where every kind has marks.";

// A rate with its interval; dashes where there are no marks.
const rateCells = ({ rate, ci95 }) =>
  rate === null
    ? ["–", "–"]
    : [percent(rate), ci95.map((end) => number(100 * end, 1)).join(" … ")];

function showReview(runs) {
  const headers = [left("task"), left("rule"), left("answers"), right("of"), right("marked")];
  headers.push(right("wrong"), right("unclear"), right("error"), right("95 % interval"));
  if (runs.length > 1) headers.splice(1, 0, left("run"));
  const rows = [];
  const stale = [];
  for (const run of runs)
    for (const [name, task] of Object.entries(run.review || {})) {
      const who = runs.length > 1 ? [name, run.name] : [name];
      const total = Object.values(task.strata).reduce((sum, n) => sum + n, 0);
      for (const rule of RULES) {
        for (const [kind, part] of Object.entries(task[rule].strata)) {
          const counts = [task.strata[kind], part.marked, part.wrong, part.unclear].map(whole);
          rows.push({ cells: [...who, rule, kind, ...counts, ...rateCells(part)] });
        }
        const all = [ALL_ANSWERS, whole(total), "", "", "", ...rateCells(task[rule])];
        rows.push({ kind: "own", cells: [...who, rule, ...all] });
      }
      if (task.stale)
        stale.push(
          `${who.join(", ")}: marks of readings that have changed since: ${whole(task.stale)}.`,
        );
    }
  if (!rows.length) return hide("review");
  $("review-table").append(grid(headers, rows, "Readings that a person has marked"));
  for (const said of [REVIEW_SAID, ...stale])
    $("review-table").append(el("p", { class: "dim remark" }, visible(said)));
}
