// --- The items of a single file: an index of all rows, and packed blocks of their texts ---------

const KEPT_BLOCKS = 60;

// A source of items, as Browser takes one.
class Packed {
  constructor(index, runs) {
    this.names = index.names;
    this.rows = index.rows;
    this.size = index.rows.length;
    this.runs = runs;
    this.blocks = new Map();
    this.searching = 0;
    this.tests = this.makeTests(index.filters);
    this.filters = this.tests.map(([value, said]) => [value, said]);
  }

  id(row) {
    return idOf(this.names, row);
  }
  block(number) {
    if (!this.blocks.has(number)) {
      if (this.blocks.size === KEPT_BLOCKS) this.blocks.delete(this.blocks.keys().next().value);
      this.blocks.set(number, unpack(`block${number}`));
    }
    return this.blocks.get(number);
  }
  async entry(row) {
    return (await this.block(row[BLOCK]))[row[PLACE]];
  }

  // Each filter: [value, said, test of a row].
  makeTests(filters) {
    const flips = flipFilters(this.runs).map((filter, n) => {
      const flipped = (row) => (row[BITS + 1 + n] & FLIPPED) !== 0;
      return [...filter, flipped];
    });
    return [
      ...filters.map(([value, said, some, none]) => {
        const lets = (row) => (!some || row[BITS] & some) && !(row[BITS] & none);
        return [value, said, lets];
      }),
      ...flips,
      ...causeFilters(this.runs).map(([value, said, { ids }]) => {
        const known = new Set(ids.map((id) => id.replace(/ turn \d+$/, "")));
        const test = (row) =>
          known.has(this.id(row)) || known.has(`${this.id(row)} sample ${row[SAMPLE]}`);
        return [value, said, test];
      }),
    ];
  }

  fits({ task, subset, filter }) {
    const [, , test] = this.tests.find(([value]) => value === filter);
    const named = ([name, part]) => (!task || name === task) && (!subset || part === subset);
    const wanted = this.names.map(named);
    return this.rows.filter((row) => wanted[row[NAME]] && test(row));
  }

  async find(asked, progress) {
    const turn = ++this.searching;
    const rows = this.fits(asked);
    const word = asked.search.toLowerCase();
    const found = (kept) => ({
      length: kept.length,
      at: (place) => kept[place],
      load: () => null,
      placeOf: (item) => kept.findIndex((row) => item === sampled(this.names, row)),
    });
    if (!word) return found(rows);
    const hits = new Set(rows.filter((row) => this.id(row).toLowerCase().includes(word)));
    const members = Map.groupBy(rows, (row) => row[BLOCK]);
    let done = 0;
    for (const [number, own] of members) {
      const entries = await unpack(`block${number}`);
      if (turn !== this.searching) return null;
      for (const row of own) if (contains(entries[row[PLACE]], row[SAMPLE], word)) hits.add(row);
      if (++done % 8 === 0) {
        const percent = Math.round((100 * done) / members.size);
        progress(found(rows.filter((row) => hits.has(row))), `, searching ${percent} %`);
        await new Promise((resume) => setTimeout(resume));
        if (turn !== this.searching) return null;
      }
    }
    return found(rows.filter((row) => hits.has(row)));
  }
}

function contains(entry, sample, word) {
  const within = (said) => (said ?? "").toLowerCase().includes(word);
  const written = (run) => [
    ...run.responses.map(response).flatMap((one) => [one, { ...one, text: one.thought }]),
    ...run.verdicts.map(judgment),
  ];
  const answered = (run) => written(run).some((one) => one.sample === sample && within(one.text));
  return entry.turns.some(within) || entry.target.some(within) || entry.runs.some(answered);
}
