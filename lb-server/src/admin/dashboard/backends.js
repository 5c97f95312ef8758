// The table of pools and backends, and the buttons that change them.

const COLUMNS = [
  ["backend", "Backend"],
  ["state", "State"],
  ["check", "Last check"],
  ["weight", "Weight", "number"],
  ["flight", "In flight", "number"],
  ["rate", "Requests/s", "number"],
  ["errors", "Errors", "number"],
  ["retries", "Retries", "number"],
  ["p50", "p50", "number"],
  ["p99", "p99", "number"],
  ["breaker", "Breaker"],
  ["act", "Set to"],
];

/** What the API takes, how the button names it, and the state that shows it is in force. */
const ORDERS = [
  ["ready", "Ready", "takes requests again"],
  ["drain", "Drain", "takes no new clients and finishes what it began"],
  ["maintain", "Maintain", "takes no requests and is not probed"],
];

/** What the operator has said; anything else is the backend's own doing. */
function ordered(backend) {
  return { draining: "drain", maintenance: "maintain" }[backend.state] ?? "ready";
}

const takesRequests = (backend) => ["ready", "slow_start", "full"].includes(backend.state);

const pathOf = (pool, backend) => `pools/${encodeURIComponent(pool)}/backends/${encodeURIComponent(backend)}`;

/** What somebody should look at. */
const isTroubled = (backend) => state(backend.state).tone !== "good" || backend.error_rate > 0;

/** A pool stays a `tbody`, a backend a row, for as long as they exist. */
class Backends {
  #table;
  #head;
  #last = null;
  #paces = new Map();
  /** Buttons whose change is on its way, by backend. */
  #busy = new Map();

  constructor(table) {
    const titles = COLUMNS.map(([name, title, kind]) => el("th", { scope: "col", role: "columnheader", class: `${name} ${kind ?? ""}` }, title));
    // Roles are written out: as cards on a narrow screen the elements are no table to the browser any more.
    this.#head = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...titles));
    this.#table = table;
    table.append(this.#head);
    byId("find").addEventListener("input", () => this.#sift());
    byId("troubled").addEventListener("change", () => this.#sift());
  }

  /** Takes down what every status says, also those that are never shown. */
  remember(status) {
    const known = new Set();
    for (const pool of status.pools) for (const backend of pool.backends) known.add(this.#remember(pool, backend, status.now));
    for (const name of this.#paces.keys()) if (!known.has(name)) this.#paces.delete(name);
  }

  update(status) {
    this.#last = status;
    keyed(this.#table, status.pools, (pool) => pool.name, () => this.#makePool(), (kept, pool) => this.#writePool(kept, pool), this.#head);
    this.#sift();
    this.#draw();
  }

  /** After all is written: a size asked for in between would make the browser lay out the page for every row. */
  #draw() {
    for (const kept of this.#table.keyed.values()) {
      for (const row of kept.node.keyed.values()) if (!row.node.hidden) spark(row.spark, this.#paceOf(kept.pool, row.backend), kept.busiest);
    }
  }

  /** Requests a second over the last minute, second by second. */
  #remember(pool, backend, now) {
    const name = JSON.stringify([pool.name, backend.id]);
    const pace = this.#paces.get(name) ?? { at: null, requests: 0, values: [] };
    const seconds = now - pace.at;
    const grown = backend.requests - pace.requests;
    if (pace.at == null || seconds > 2 * GAP_SECONDS || grown < 0) pace.values = [];
    else if (seconds > 0.2) pace.values.push(grown / seconds);
    else return name;
    if (pace.values.length > 60) pace.values.shift();
    Object.assign(pace, { at: now, requests: backend.requests });
    this.#paces.set(name, pace);
    return name;
  }

  #paceOf(pool, backend) {
    return this.#paces.get(JSON.stringify([pool.name, backend.id])).values;
  }

  #makePool() {
    const facts = el("ul", { class: "facts" });
    const [name, algorithm] = [el("span", { class: "name" }), el("span", { class: "faint" })];
    const title = el("th", { scope: "rowgroup", role: "rowheader", colspan: COLUMNS.length }, name, " ", algorithm, facts);
    const row = el("tr", { role: "row", class: "pool" }, title);
    return { node: el("tbody", { role: "rowgroup" }, row), row, name, algorithm, facts };
  }

  #writePool(kept, pool) {
    kept.pool = pool;
    write(kept.name, pool.name);
    write(kept.algorithm, pool.algorithm);
    kept.node.id = `pool-${encodeURIComponent(pool.name)}`;
    keyed(kept.facts, poolFacts(pool), (fact) => fact.key, () => ({ node: el("li") }), ({ node }, fact) => {
      write(node, fact.text);
      mark(node, "data-tone", fact.tone);
    });
    kept.busiest = Math.max(0, ...pool.backends.map((backend) => Math.max(0, ...this.#paceOf(pool, backend))));
    keyed(kept.node, pool.backends, (backend) => backend.id, (backend) => this.#makeRow(pool.name, backend.id), (row, backend) => this.#writeRow(row, kept, backend), kept.row);
  }

  #makeRow(pool, id) {
    const row = { pool, id, cells: {} };
    const cells = COLUMNS.map(([name, title, kind]) => {
      const cell = name === "backend"
        ? el("th", { scope: "row", role: "rowheader", class: name })
        : el("td", { role: "cell", class: `${name} ${kind ?? ""}`, "data-label": title });
      row.cells[name] = cell;
      return cell;
    });
    const cell = (name, ...children) => row.cells[name].append(...children);
    cell("backend", (row.name = el("span", { class: "name" })), (row.tag = el("span", { class: "tag", hidden: true }, "backup")), (row.url = el("small")));
    cell("state", (row.shape = shape("unknown")), (row.word = el("span", { class: "word" })), " ", (row.since = el("span", { class: "faint" })), (row.why = el("small")));
    cell("check", (row.check = el("span")), " ", (row.ago = el("small")));
    row.weight = el("button", { type: "button", class: "plain", on: { click: () => this.#weigh(row) } });
    cell("weight", row.weight, (row.warming = el("small")));
    cell("flight", (row.flight = el("span")), (row.meter = el("span", { class: "meter", hidden: true, "aria-hidden": "true" }, el("i"))));
    cell("rate", (row.spark = el("canvas", { class: "spark", "aria-hidden": "true" })), (row.rate = el("span")), (row.total = el("small")));
    cell("errors", (row.errors = el("span")), (row.failing = el("small")));
    cell("breaker", (row.breaker = el("span")), (row.ejections = el("small")));
    row.orders = ORDERS.map(([order, title]) => el("button", { type: "button", "data-order": order, on: { click: () => this.#order(row, order) } }, title));
    cell("act", el("div", { class: "choice", role: "group", "aria-label": `Set ${id} to` }, ...row.orders));
    return Object.assign(row, { node: el("tr", { role: "row" }, ...cells) });
  }

  #writeRow(row, kept, backend) {
    const { now } = this.#last;
    const told = state(backend.state);
    row.backend = backend;
    row.node.dataset.tone = told.tone;
    write(row.name, backend.id);
    row.name.title = backend.id;
    write(row.url, backend.url === backend.id ? "" : backend.url);
    row.url.title = backend.url;
    row.tag.hidden = !backend.backup;

    reshape(row.shape, told.shape);
    row.cells.state.dataset.tone = told.tone;
    write(row.word, told.name);
    write(row.since, `for ${lasting(now - backend.since)}`);
    row.since.title = `since ${moment(backend.since)}`;
    write(row.why, backend.why);
    write(row.check, backend.last_check ?? "not probed yet");
    row.check.title = backend.last_check ?? "";
    write(row.ago, backend.last_check_at == null ? "" : `${lasting(now - backend.last_check_at)} ago`);

    write(row.weight, count(backend.weight));
    mark(row.weight, "aria-label", `Weight of ${backend.id} is ${backend.weight}: change`);
    write(row.warming, backend.percent < 100 ? `at ${backend.percent} %` : "");
    const room = backend.max_connections;
    write(row.flight, room == null ? count(backend.in_flight) : `${count(backend.in_flight)} / ${count(room)}`);
    row.meter.hidden = room == null;
    if (room != null) row.meter.firstChild.style.width = `${Math.min(100, (100 * backend.in_flight) / Math.max(1, room))}%`;
    write(row.rate, rate(backend.rate));
    write(row.total, `${count(backend.requests)} in all`);
    write(row.errors, count(backend.errors));
    write(row.failing, backend.error_rate > 0 ? `${rate(backend.error_rate)}/s` : "");
    row.cells.errors.dataset.tone = backend.error_rate > 0 ? "bad" : "";
    write(row.cells.retries, count(backend.retries));
    const answered = backend.p99_ms > 0;
    write(row.cells.p50, answered ? milliseconds(backend.p50_ms) : "–");
    write(row.cells.p99, answered ? milliseconds(backend.p99_ms) : "–");
    write(row.breaker, backend.breaker?.replace("_", " ") ?? "off");
    write(row.ejections, backend.ejections > 0 ? `${count(backend.ejections)}× ejected` : "");
    row.cells.breaker.dataset.tone = backend.breaker && backend.breaker !== "closed" ? "bad" : "";

    const busy = this.#busy.get(row.node);
    for (const button of row.orders) {
      const { order } = button.dataset;
      mark(button, "aria-pressed", String(order === ordered(backend)));
      mark(button, "aria-busy", busy === order ? "true" : null);
    }
  }

  /** Shows what is looked for. A pool is shown with the backends that match, or whole if its own name does. */
  #sift() {
    const wanted = byId("find").value.trim().toLowerCase();
    const troubled = byId("troubled").checked;
    let any = false;
    for (const kept of this.#table.keyed?.values() ?? []) {
      const has = (text) => text.toLowerCase().includes(wanted);
      const named = has(kept.pool.name);
      let some = false;
      for (const { node, backend } of kept.node.keyed.values()) {
        const found = named || has(backend.id) || has(backend.url) || has(state(backend.state).name);
        node.hidden = !found || (troubled && !isTroubled(backend));
        some ||= !node.hidden;
      }
      // A pool without backends answers nobody, which is a trouble of its own.
      kept.node.hidden = !some && !(named && kept.pool.backends.length === 0);
      any ||= !kept.node.hidden;
    }
    byId("none-found").hidden = any;
  }

  async #order(row, order) {
    const { backend } = row;
    const pool = this.#last.pools.find((pool) => pool.name === row.pool);
    if (!pool || this.#busy.has(row.node)) return;
    const others = pool.backends.filter((other) => other.id !== row.id && takesRequests(other));
    const last = order !== "ready" && takesRequests(backend) && others.length === 0;
    if (last || (order === "maintain" && order !== ordered(backend))) {
      const rest = last
        ? "No other backend of this pool takes requests: clients will get 503."
        : `${plural(others.length, "other backend")} of this pool ${others.length === 1 ? "takes" : "take"} requests.`;
      const kind = order === "drain"
        ? "Clients that are bound to it stay; new ones go elsewhere."
        : "New requests and probes stay away, also those of clients that are bound to it. What it has begun is finished.";
      const sure = await question({
        title: `${order === "drain" ? "Drain" : "Maintain"} ${row.id} of ${row.pool}?`,
        text: `${kind} ${rest}`,
        yes: order === "drain" ? "Drain it" : "Maintain it",
        grave: last,
      });
      if (!sure) return;
    }
    const means = ORDERS.find(([name]) => name === order)[2];
    await this.#change(row, { state: order }, order, `${row.id} of ${row.pool} ${means}`);
  }

  async #weigh(row) {
    const pool = this.#last.pools.find((pool) => pool.name === row.pool);
    const sum = pool.backends.reduce((sum, backend) => sum + backend.weight, 0);
    const typed = await question({
      title: `Weight of ${row.id} of ${row.pool}`,
      text: `The weights of this pool add up to ${count(sum)}. It counts in the next pick and lasts until the next reload.`,
      yes: "Set",
      field: { label: "Weight", type: "number", min: "1", max: "65535", step: "1", required: true, inputmode: "numeric", value: row.backend.weight },
    });
    if (typed == null) return;
    const weight = Number(typed);
    await this.#change(row, { weight }, "weight", `${row.id} of ${row.pool} has the weight ${weight}`);
  }

  /** Sends a change. The table shows it when the server says so, not before. */
  async #change(row, what, busy, done) {
    const key = `change ${row.pool} ${row.id}`;
    this.#busy.set(row.node, busy);
    row.orders.find((button) => button.dataset.order === busy)?.setAttribute("aria-busy", "true");
    try {
      await call("PATCH", pathOf(row.pool, row.id), what);
      withdraw(key);
      say(done);
    } catch (problem) {
      const again = { name: "Try again", run: () => this.#change(row, what, busy, done) };
      const token = problem.status === 401 ? { name: "Enter a token", run: () => enterToken() } : again;
      notice(key, `${row.id} of ${row.pool} was not changed. ${problem.message}`, { action: token });
    } finally {
      this.#busy.delete(row.node);
      for (const button of row.orders) mark(button, "aria-busy", null);
    }
  }
}

/** What there is to say of a pool as a whole; what is as it should be is left out. */
function poolFacts(pool) {
  const facts = [];
  const fact = (key, text, tone = null) => facts.push({ key, text, tone });
  const total = pool.backends.length;
  fact("eligible", total === 0 ? "no backends" : `${count(pool.eligible)} of ${count(total)} take requests`, pool.eligible === 0 ? "bad" : pool.eligible < total ? "warn" : null);
  fact("flight", pool.max_connections == null ? `${count(pool.in_flight)} in flight` : `${count(pool.in_flight)} of ${count(pool.max_connections)} in flight`);
  fact("queue", pool.queue_max > 0 ? `${count(pool.queue)} of ${count(pool.queue_max)} queued` : "no queue", pool.queue > 0 ? "warn" : null);
  const { breaker, retry_budget: budget } = pool;
  if (breaker.is_on) {
    const open = [breaker.open && `${count(breaker.open)} open`, breaker.half_open && `${count(breaker.half_open)} half open`].filter(Boolean);
    fact("breaker", open.length > 0 ? `breakers: ${open.join(", ")}` : "breakers closed", open.length > 0 ? "bad" : null);
  } else fact("breaker", "no breaker");
  if (budget.is_on) {
    const spent = budget.after_answer === 0;
    fact("retries", `${plural(pool.retries, "retry", "retries")}, budget ${spent ? "spent" : `for ${count(budget.after_answer)} more`}`, spent ? "warn" : null);
  } else fact("retries", "no retries");
  if (pool.panic_since != null) fact("panic", `too few backends are left: ejections are disregarded since ${moment(pool.panic_since)}`, "bad");
  return facts;
}
