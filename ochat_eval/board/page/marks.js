// --- What people write: marks on readings, tags and a note --------------------------------------

const OPINIONS = { r: "right", w: "wrong", u: "unclear" };

let writing = Promise.resolve(); // marks are written down in the order in which they are given

// Questions whether the rules read an answer right, each with three buttons.
function readings(source, entry, sample) {
  const asked = entry.readings.filter(([own]) => own === sample);
  if (!asked.length) return [];
  const said = "It is the reading that is judged, not the model. r, w, u mark the first that has none.";
  return [
    el("h4", {}, "Do the rules read what the answer says?"),
    ...asked.map((one) => reading(source, entry, one)),
    el("p", { class: "dim remark" }, said),
  ];
}

// A mark is shown at once, so that the next key is for the next reading, and taken back if it
// cannot be written down, or somebody else's came before it.
function reading(source, entry, one) {
  const [sample, turn, rules] = one;
  const score = entry.runs[0].scores.find((s) => s[0] === sample && s[1] === turn && s[2] === rules[0]);
  const read = score[3] === null ? "nothing" : shorten(score[3], 80);
  const line = el("p", { class: "facts reading" }, el("span", {}, visible(`${rules.join(" and ")} read ${read}`)));
  let kept = one[3];
  const show = (mark) => {
    one[3] = mark; // of what is kept of the item, too
    line.classList.toggle("marked", mark !== null);
    for (const button of line.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button.textContent === mark));
  };
  const write = async (mark) => {
    try {
      const asked = { runs: source.runNames, id: entry.id, sample, turn, rules, mark, before: kept };
      ({ mark: kept } = await ask("mark", [], asked));
      if (kept !== mark)
        throw new Error(`it was marked ${kept} meanwhile: mark it again to change that`);
    } finally {
      show(kept);
    }
  };
  for (const [letter, opinion] of Object.entries(OPINIONS)) {
    const button = el("button", { type: "button", "data-key": letter }, opinion);
    button.addEventListener("click", () => {
      show(opinion);
      writing = writing.then(() => trying(() => write(opinion)));
    });
    line.append(button);
  }
  show(kept);
  return line;
}

// Marks by a key the first reading that has no mark yet, or the first; none while the item that is
// chosen is not there yet.
function markByKey(letter) {
  const { shown, chosenRow } = board.browser;
  if (chosenRow && shown.row !== chosenRow) return;
  const one =
    document.querySelector("#detail .reading:not(.marked)") ??
    document.querySelector("#detail .reading");
  one?.querySelector(`[data-key="${letter}"]`)?.click();
}

// Tags and a note of a run, to be changed; `saved` is called with those that are kept, which are
// somebody else's where these came first. Returns the form, and what fills it with others' changes
// where nothing is being written.
function notesForm(row, saved) {
  const tags = el("input", { placeholder: "tags, with commas", "aria-label": "Tags" });
  const note = el("textarea", { rows: 2, placeholder: "note", "aria-label": "Note" });
  const done = el("output", { class: "dim" });
  const form = el("form", { class: "notes" }, tags, note, el("button", { type: "submit" }, "Save"), done);
  for (const field of [tags, note]) field.dir = "auto";
  let before;
  const take = (notes) => {
    if (form.matches("[data-changed]")) return;
    before = { tags: notes.tags, note: notes.note };
    tags.value = notes.tags.join(", ");
    note.value = notes.note;
  };
  take(row);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
    trying(async () => {
      const notes = { tags: [...new Set(given)], note: note.value };
      const [tagged, noted] = [tags.value, note.value];
      before = await ask("notes", [], { run: row.name, ...notes, before });
      saved(before);
      if (JSON.stringify(before) !== JSON.stringify(notes))
        throw new Error("other tags or another note came meanwhile, as shown: save again to put yours in their place");
      if (tagged !== tags.value || noted !== note.value) return; // there is more by now
      delete form.dataset.changed;
      done.textContent = "saved";
    });
  });
  form.addEventListener("input", () => {
    form.dataset.changed = "";
    done.textContent = "";
  });
  return [form, take];
}
