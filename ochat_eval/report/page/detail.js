// --- One item with the answers to it --------------------------------------------------------

// What page.py's _entry packs, by name.
const response = ([sample, turn, text, ended, tokens, thought, thoughtTokens, unfinished]) => ({
  sample,
  turn,
  text,
  ended,
  tokens,
  thought,
  thoughtTokens,
  unfinished,
});
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

// A text is shown whole up to so many characters; of a longer one its beginning and end, and all
// of it at the press of a button, in pieces of which only those in sight are laid out. Laid out as
// one, 10 MB take 10 s, and 200,000 combining marks on a letter 200 s.
const LONGEST = 16_000;
const BEGINNING = 8_000;
const END = 4_000;
const PIECE = 4_000;

// A text with each span {start, end, rule} marked. Spans count code points, as Python does; where
// those of two rules overlap, the part that both have read is marked as both's.
function marked(text, spans, kind) {
  const ends = spans.flatMap(({ start, end }) => [start, end]);
  const units = inUnits(text, ends);
  const found = spans.map((s) => ({ start: units.get(s.start), end: units.get(s.end), rule: s.rule }));
  const part = (start, end) => markedPart(text, found, start, end);
  const pre = el("pre", { class: kind, tabindex: 0 });
  if (text.length <= LONGEST) {
    pre.append(...part(0, text.length));
    return pre;
  }
  const [first, last] = [border(text, BEGINNING), border(text, text.length - END)];
  const name = `show all ${whole(text.length)} characters`;
  const button = el("button", { type: "button", class: "link" }, name);
  button.addEventListener("click", () => {
    pre.replaceChildren(...pieces(text).map((ends) => el("span", { class: "piece" }, ...part(...ends))));
    pre.focus();
  });
  const gap = el("span", { class: "gap" }, `… ${whole(last - first)} characters … `, button);
  pre.append(...part(0, first), gap, ...part(last, text.length));
  return pre;
}

// The part of a text between two places, as nodes.
function markedPart(text, spans, first, last) {
  const inside = spans.flatMap(({ start, end }) => [start, end]);
  const cuts = [first, last, ...inside.filter((at) => first < at && at < last)];
  const sorted = [...new Set(cuts)].sort((a, b) => a - b);
  return sorted.slice(1).map((end, n) => {
    const part = visible(text.slice(sorted[n], end));
    const rules = spans.filter((s) => s.start <= sorted[n] && end <= s.end).map((s) => s.rule);
    const name = `read by: ${rules.join(", ")}`;
    return rules.length ? el("mark", { class: rules.join(" "), title: name }, part) : part;
  });
}

// Where the pieces of a text begin and end; at the end of a line where there is one.
function pieces(text) {
  const found = [];
  for (let start = 0; start < text.length; start = found.at(-1)[1]) {
    const end = Math.min(start + PIECE, text.length);
    const line = end < text.length ? text.slice(start, end).lastIndexOf("\n") + 1 : 0;
    found.push([start, line > PIECE / 2 ? start + line : border(text, end)]);
  }
  return found;
}

const isLow = (unit) => unit >= 0xdc00 && unit < 0xe000;
const isHigh = (unit) => unit >= 0xd800 && unit < 0xdc00;
const isPair = (text, at) => isHigh(text.charCodeAt(at)) && isLow(text.charCodeAt(at + 1));
// A place that divides no pair of surrogates.
const border = (text, at) => (at > 0 && isPair(text, at - 1) ? at + 1 : at);

// Places in code points -> in a string's own units.
function inUnits(text, places) {
  const found = new Map();
  let [unit, point] = [0, 0];
  for (const place of [...new Set(places)].sort((a, b) => a - b)) {
    for (; point < place && unit < text.length; point++) unit += isPair(text, unit) ? 2 : 1;
    found.set(place, unit);
  }
  return found;
}

function points(text) {
  let count = 0;
  for (let unit = 0; unit < text.length; count++) unit += isPair(text, unit) ? 2 : 1;
  return count;
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
    target.push(marked(entry.target.join("\n"), [], "target"));
  const name = entry.id + (sample ? `, sample ${sample}` : "");
  const parts = [el("h3", {}, visible(name)), ...badges];
  if (entry.system) parts.push(el("h4", {}, "System message"), marked(entry.system, [], "prompt"));
  if (entry.examples.length) parts.push(examples(entry.examples));
  entry.turns.forEach((turn, t) => {
    const heading = entry.turns.length > 1 ? `Prompt, turn ${t + 1}` : "Prompt";
    const prompt = marked(turn, [], "prompt");
    parts.push(el("h4", {}, `${heading} (${whole(points(turn))} characters)`), prompt);
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

// Worked examples that were asked and answered before the prompt, folded.
function examples(every) {
  const texts = every.flatMap((pair) => pair.map((text) => marked(text, [], "prompt")));
  const count = `${every.length} worked ${every.length === 1 ? "example" : "examples"} as turns`;
  return el("details", {}, el("summary", {}, visible(count)), ...texts);
}

// Said where a run asked another prompt, or had another target, under the same id.
function otherwise([turns, target], turn) {
  const summary = el("summary", { class: "no" }, "This run's prompt or target is another one");
  const more = [marked(turns[turn] ?? "–", [], ""), marked(target.join("\n"), [], "")];
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
    ...thought(found),
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

// What was thought before the answer, folded.
function thought({ thought, thoughtTokens, unfinished }) {
  if (typeof thought !== "string") return [];
  const tokens = typeof thoughtTokens === "number" ? `, ${whole(thoughtTokens)} tokens` : "";
  const said = `Thought${tokens}${unfinished ? ", without an end" : ""}`;
  return [el("details", { class: "thought" }, el("summary", {}, visible(said)), marked(thought, [], ""))];
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
  const verdict = points && (value === 0 || value === 1); // a tie of two answers is neither
  const said =
    value === null ? "no verdict" : !verdict ? number(value, points ? 2 : 1) : value ? "right" : "wrong";
  const kind = !verdict ? "badge" : value ? "badge ok" : "badge no";
  const unmatched = matched ? "" : " (unmatched)";
  const what = points || value === null ? `${rule} read ${read}${unmatched}` : rule;
  return el("span", { class: kind }, visible(`${what}: ${said}`));
}
