// --- What the board's server is asked ---------------------------------------------------------

const PAGE_ROWS = 200;
const KEPT_ENTRIES = 100;
const STATIC = document.body.dataset.mode === "files";

class KeyNeeded extends Error {}
class Unreachable extends Error {}

// A key is kept for this tab only; it comes with the address that the server printed.
const key = () => sessionStorage.getItem("key");

async function ask(path, parameters = [], body = undefined) {
  const unknown = key() ? "the board does not know this key" : "";
  if (/[^ -~]/.test(key())) throw new KeyNeeded(unknown); // no header takes it
  const headers = key() ? { Authorization: `Bearer ${key()}` } : {};
  const more = body && { method: "POST", body: JSON.stringify(body) };
  if (body) headers["Content-Type"] = "application/json";
  const query = new URLSearchParams(parameters).toString();
  let response;
  try {
    response = await fetch(query ? `${path}?${query}` : path, { headers, ...more });
  } catch {
    throw new Unreachable("the board's server cannot be reached: is it still running?");
  }
  if (response.status === 401) throw new KeyNeeded(unknown);
  const found = await response.json().catch(() => ({}));
  if (response.ok) return found;
  throw new Error(found.error?.message ?? `the board's server answered ${response.status}`);
}

// A source of items, as Browser takes one, page by page.
class Remote {
  constructor(names, index, runs) {
    this.runNames = names;
    this.names = index.names;
    this.size = index.size;
    this.filters = [...index.filters, ...flipFilters(runs), ...causeFilters(runs)];
    this.entries = new Map();
    this.searching = 0;
  }

  parameters(more) {
    return [...this.runNames.map((name) => ["run", name]), ...Object.entries(more)];
  }

  async find(asked) {
    const turn = ++this.searching;
    const pages = new Map();
    const page = (number) => {
      const part = { start: number * PAGE_ROWS, count: PAGE_ROWS };
      const coming = ask("items.json", this.parameters({ ...asked, ...part }));
      pages.set(number, coming);
      coming.then(
        ({ rows }) => pages.set(number, rows),
        () => pages.delete(number), // it is asked for again
      );
      return coming;
    };
    const first = await page(0);
    if (turn !== this.searching) return null;
    this.size = first.size;
    return {
      length: first.total,
      at: (place) => pages.get(Math.floor(place / PAGE_ROWS))?.[place % PAGE_ROWS],
      load: (from, to) => {
        const coming = [];
        for (let n = Math.floor(from / PAGE_ROWS); n * PAGE_ROWS < to; n++) {
          if (!pages.has(n)) page(n);
          if (!Array.isArray(pages.get(n))) coming.push(pages.get(n));
        }
        return coming.length ? Promise.all(coming) : null;
      },
      placeOf: (item) => {
        if (item === asked.item) return first.place;
        for (const [n, rows] of pages) {
          const at = Array.isArray(rows) ? rows.findIndex((r) => sampled(this.names, r) === item) : -1;
          if (at >= 0) return n * PAGE_ROWS + at;
        }
        return -1;
      },
    };
  }

  entry(row) {
    const id = idOf(this.names, row);
    if (!this.entries.has(id)) {
      if (this.entries.size === KEPT_ENTRIES) this.entries.delete(this.entries.keys().next().value);
      const coming = ask("item.json", this.parameters({ id }));
      coming.catch(() => this.entries.delete(id));
      this.entries.set(id, coming);
    }
    return this.entries.get(id);
  }

  // What is known of the texts may be old: they are asked for again.
  forget() {
    this.entries.clear();
  }

  drawn(node) {
    offerFormulas(node);
  }

  // Below an item: what a person thinks of its readings.
  more(entry, row) {
    return readings(this, entry, row[SAMPLE]);
  }
}
