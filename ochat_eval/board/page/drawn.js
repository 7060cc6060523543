// --- Texts with formulas: as they are written, or drawn -------------------------------------------

// Offers to draw the formulas of each text below a node that has some; written it stays at first,
// since that is what was asked, answered and read.
function offerFormulas(node) {
  for (const pre of node.querySelectorAll("pre")) {
    const text = pre.textContent;
    if (pre.querySelector(".gap") || !hasFormula(text)) continue;
    const button = el("button", { type: "button", class: "link", "aria-pressed": "false" }, "draw formulas");
    button.addEventListener("click", () => {
      const drawn = button.getAttribute("aria-pressed") === "false";
      if (drawn && !pre.nextElementSibling?.matches(".drawn"))
        pre.after(el("div", { class: "drawn", dir: "auto" }, ...formulas(text, (rest) => [rest])));
      pre.hidden = drawn;
      pre.nextElementSibling.hidden = !drawn;
      button.setAttribute("aria-pressed", String(drawn));
    });
    pre.before(button);
  }
}
