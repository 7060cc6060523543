// --- One item with the answers to it --------------------------------------------------------

// What page.py's _entry packs, by name.
const response = ([sample, turn, text, ended, tokens]) => ({ sample, turn, text, ended, tokens });
const score = ([sample, turn, rule, answer, matched, value, detail]) => ({
  sample,
  turn,
  rule,
  answer,
  matched,
  value,
  detail: detail || {},
});
const judgment = ([sample, turn, text, judge]) => ({ sample, turn, text, judge });

// A text with each span {start, end, rule} marked. Spans count code points, as Python does; where
// those of two rules overlap, the part that both have read is marked as both's.
function marked(text, spans, kind) {
  const points = [...text];
  const ends = spans.flatMap(({ start, end }) => [start, end]);
  const cuts = [...new Set([0, points.length, ...ends])].sort((a, b) => a - b);
  const pre = el("pre", { class: kind, tabindex: 0 });
  cuts.slice(1).forEach((end, n) => {
    const part = visible(points.slice(cuts[n], end).join(""));
    const rules = spans.filter((s) => s.start <= cuts[n] && end <= s.end).map((s) => s.rule);
    const name = `read by: ${rules.join(", ")}`;
    pre.append(rules.length ? el("mark", { class: rules.join(" "), title: name }, part) : part);
  });
  return pre;
}

const spans = (scores, name) =>
  scores
    .filter((s) => Array.isArray(s.detail[name]))
    .map((s) => ({ start: s.detail[name][0], end: s.detail[name][1], rule: s.rule }));

function describe(entry, sample, runs) {
  const task = runs[0].summary.tasks[entry.id.split("/")[0]];
  const badges = entry.condition ? [el("span", { class: "badge" }, visible(entry.condition))] : [];
  const target = entry.target.length ? [el("h4", {}, "Target")] : [];
  if (entry.target.length)
    target.push(el("pre", { class: "target" }, visible(entry.target.join("\n"))));
  const name = entry.id + (sample ? `, sample ${sample}` : "");
  const parts = [el("h3", {}, visible(name)), ...badges];
  entry.turns.forEach((turn, t) => {
    const heading = entry.turns.length > 1 ? `Prompt, turn ${t + 1}` : "Prompt";
    const prompt = el("pre", { class: "prompt", tabindex: 0 }, visible(turn));
    parts.push(el("h4", {}, `${heading} (${whole([...turn].length)} characters)`), prompt);
    entry.runs.forEach((run, n) => {
      parts.push(
        el("h4", {}, visible(runs.length > 1 ? `Response of ${runs[n].name}` : "Response")),
      );
      if (run.asked) parts.push(otherwise(run.asked, t));
      parts.push(...answer(run, sample, t, entry.turns.length, task));
    });
  });
  return [...parts, ...target];
}

// Said where a run asked another prompt, or had another target, under the same id.
function otherwise([turns, target], turn) {
  const summary = el("summary", { class: "no" }, "This run's prompt or target is another one");
  const more = [
    el("pre", {}, visible(turns[turn] ?? "–")),
    el("pre", {}, visible(target.join("\n"))),
  ];
  return el("details", {}, summary, ...more);
}

// A response of a run, what the rules read in it, and a judge's verdict on it.
function answer(run, sample, turn, turns, task) {
  const mine = (one) => one.sample === sample && (one.turn === turn || turns === 1);
  const found = run.responses.map(response).find(mine);
  if (!found) return [el("p", { class: "dim" }, "no response")];
  const scores = run.scores.map(score).filter(mine);
  const ended = { stop: "ended", length: "truncated" }[found.ended] || found.ended || "";
  const tokens = found.tokens === null ? "" : `${whole(found.tokens)} tokens`;
  const facts = [ended, tokens].filter(Boolean).join(", ");
  const parts = [
    found.text ? marked(found.text, spans(scores, "span"), "") : el("pre", {}, "(empty)"),
  ];
  const badges = scores.map((one) => badge(one, task));
  parts.push(el("p", { class: "facts" }, ...badges, el("span", { class: "dim" }, visible(facts))));
  parts.push(...remarks(scores));
  for (const verdict of run.verdicts.map(judgment).filter(mine)) {
    const text = marked(verdict.text, spans(scores, "verdict_span"), "");
    const summary = el("summary", {}, visible(`Verdict of ${verdict.judge}`));
    parts.push(el("details", { open: "" }, summary, text));
  }
  return parts;
}

// What else the scores say, once where both rules say the same.
function remarks(scores) {
  const rules = new Map();
  for (const { rule, detail } of scores) {
    const { span, verdict_span, ...more } = detail;
    const words = Object.entries(more).map(
      ([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    const said = words.join("; ");
    if (said) rules.set(said, [...(rules.get(said) || []), rule]);
  }
  return [...rules].map(([said, who]) => {
    const name = who.length === RULES.length ? "" : `${who.join(", ")}: `;
    return el("p", { class: "dim remark" }, visible(name + shorten(said, 600)));
  });
}

function badge({ rule, answer, matched, value }, task) {
  const read = answer === null ? "nothing" : shorten(answer, 120);
  const points = task.scale === 100;
  const said =
    value === null ? "no verdict" : !points ? number(value, 1) : value ? "right" : "wrong";
  const kind = value === null || !points ? "badge" : value ? "badge ok" : "badge no";
  const unmatched = matched ? "" : " (unmatched)";
  const what = points || value === null ? `${rule} read ${read}${unmatched}` : rule;
  return el("span", { class: kind }, visible(`${what}: ${said}`));
}
