// --- Formulas: LaTeX in a text, drawn by KaTeX ----------------------------------------------------

// \[ \], \( \), $$ $$, and $ $ by Pandoc's rule: no blank inside at its ends, no digit behind it.
const FORMULA =
  /\\\[([^]{1,2000}?)\\\]|\$\$([^$]{1,2000}?)\$\$|\\\(([^]{1,2000}?)\\\)|\$(?!\s)([^$\n]{0,500}?[^$\s\\])\$(?!\d)/g;
// A model's text is untrusted: no links, classes or sizes beyond the page, and an end to macros.
const KATEX = { trust: false, throwOnError: true, strict: "ignore", maxExpand: 200, maxSize: 10 };

const hasFormula = (text) => text.search(FORMULA) >= 0;

// A text as nodes: its formulas drawn, and the rest as `rest` makes it. What KaTeX cannot read stays
// as it is written.
function formulas(text, rest) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(FORMULA)) {
    const display = match[1] ?? match[2];
    const node = document.createElement("span");
    try {
      katex.render(display ?? match[3] ?? match[4], node, { ...KATEX, displayMode: display !== undefined });
    } catch {
      continue; // also where it is nested too deep
    }
    parts.push(...rest(text.slice(end, match.index)), node);
    end = match.index + match[0].length;
  }
  return [...parts, ...rest(text.slice(end))];
}
