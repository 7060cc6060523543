// --- Start ----------------------------------------------------------------------------------

async function start() {
  themed();
  const [{ runs }, index] = await Promise.all([unpack("about"), unpack("index")]);
  const models = new Set(runs.map((run) => run.summary.model));
  const names = runs.map((run) => run.name).join(" · ");
  const heading = visible(`${[...models].join(" · ")}: ${names}`);
  $("title").textContent = $("title").title = document.title = heading;
  notes(index, runs);
  showSections(runs);
  // An address names what is chosen: #items?task=gsm8k&filter=wrong&item=gsm8k/main/3
  const address = location.hash;
  const moved = (state) => history.replaceState(null, "", asQuery(state) ? `#items${asQuery(state)}` : "#");
  const browser = new Browser(new Packed(index, runs), runs);
  const named = address.startsWith("#items?");
  await browser.open(named ? asState(address) : {});
  browser.moved = moved;
  if (named) $("items").scrollIntoView();
  window.addEventListener("hashchange", async () => {
    const wanted = asState(location.hash);
    if (!location.hash.startsWith("#items?") || asQuery(wanted) === asQuery(browser.state())) return;
    await browser.open(wanted);
    $("items").scrollIntoView();
  });
  document.documentElement.dataset.ready = Math.round(performance.now());
}

start();
