// --- Start ----------------------------------------------------------------------------------

function notes(index, runs) {
  const said = [];
  if (index.leftOut)
    said.push(`${whole(index.leftOut)} more answers are in the run's files and not on this page.`);
  (index.others || []).forEach((n, place) => {
    const name = runs[place + 1].name;
    if (n)
      said.push(
        `${whole(n)} items of ${name} are not on this page: ${runs[0].name} did not ask them.`,
      );
  });
  $("note").hidden = !said.length;
  $("note").textContent = visible(said.join(" "));
}

async function start() {
  const root = document.documentElement;
  root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  $("theme").addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  });
  const [{ runs }, index] = await Promise.all([unpack("about"), unpack("index")]);
  const models = new Set(runs.map((run) => run.summary.model));
  const names = runs.map((run) => run.name).join(" · ");
  const heading = visible(`${[...models].join(" · ")}: ${names}`);
  $("title").textContent = $("title").title = document.title = heading;
  notes(index, runs);
  for (const show of [showScores, showTables, showSubsets, showAnswers, showWhy, showReview, showRun])
    show(runs);
  new Browser(index, runs);
  root.dataset.ready = Math.round(performance.now());
}

start();
