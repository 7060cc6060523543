// --- What people write: marks on readings, tags and a note --------------------------------------

const OPINIONS = { r: "right", w: "wrong", u: "unclear" };

// Questions whether the rules read an answer right, each with three buttons.
function readings(source, entry, sample) {
  const asked = entry.readings.filter(([own]) => own === sample);
  if (!asked.length) return [];
  const said = "It is the reading that is judged, not the model. r, w, u mark the first that has none.";
  return [
    el("h4", {}, "Do the rules read what the answer says?"),
    ...asked.map(([, turn, rules, mark]) => reading(source, entry, { sample, turn, rules, mark })),
    el("p", { class: "dim remark" }, said),
  ];
}

function reading(source, entry, { sample, turn, rules, mark }) {
  const score = entry.runs[0].scores.find((one) => one[0] === sample && one[1] === turn && one[2] === rules[0]);
  const read = score[3] === null ? "nothing" : shorten(score[3], 80);
  const buttons = Object.entries(OPINIONS).map(([letter, opinion]) => {
    const pressed = String(opinion === mark);
    const button = el("button", { type: "button", "aria-pressed": pressed, "data-key": letter }, opinion);
    button.addEventListener("click", () =>
      trying(async () => {
        const { runNames: runs } = source;
        await ask("mark", [], { runs, id: entry.id, sample, turn, rules, mark: opinion });
        source.forget();
        await source.browser.detail(true);
      }),
    );
    return button;
  });
  const name = `${rules.join(" and ")} read ${read}`;
  return el("p", { class: "facts reading", "data-mark": mark }, el("span", {}, visible(name)), ...buttons);
}

// Marks by a key the first reading in sight that has no mark yet, or the first.
function markByKey(letter) {
  const one =
    document.querySelector("#detail .reading:not([data-mark])") ??
    document.querySelector("#detail .reading");
  one?.querySelector(`[data-key="${letter}"]`)?.click();
}

// Tags and a note of a run, to be changed; `saved` is called with them.
function notesForm(row, saved) {
  const tags = el("input", { value: row.tags.join(", "), placeholder: "tags, with commas", "aria-label": "Tags" });
  const note = el("textarea", { rows: 2, placeholder: "note", "aria-label": "Note" }, row.note);
  const done = el("output", { class: "dim" });
  const form = el("form", { class: "notes" }, tags, note, el("button", { type: "submit" }, "Save"), done);
  for (const field of [tags, note]) field.dir = "auto";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
    trying(async () => {
      const notes = { tags: given, note: note.value };
      await ask("notes", [], { run: row.name, ...notes });
      done.textContent = "saved";
      saved(notes);
    });
  });
  form.addEventListener("input", () => (done.textContent = ""));
  return form;
}
