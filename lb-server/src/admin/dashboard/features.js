// Routes, and what stands beside the pools: caches, limits, sessions, the store, certificates, listeners.

/** How fast counters grow, over the last ten seconds. */
class Paces {
  #kept = new Map();

  of(key, value, now) {
    const seen = this.#kept.get(key) ?? [];
    if (seen.length > 0 && value < seen.at(-1).value) seen.length = 0;
    seen.push({ value, now });
    while (seen.length > 2 && now - seen[0].now > 10) seen.shift();
    this.#kept.set(key, seen);
    const seconds = now - seen[0].now;
    return seconds > 0 ? (value - seen[0].value) / seconds : 0;
  }
}

const DAYS_TO_WARN = 14;

/** One box for each kind of thing; a kind the configuration has none of has no box. */
class Features {
  #place;
  #paces = new Paces();
  #drift = [];
  #driftIsOf = null;

  constructor(place) {
    this.#place = place;
  }

  /** Somebody changed something, perhaps what a reload will undo. */
  outdate() {
    this.#driftIsOf = null;
  }

  async #loadDrift(config) {
    this.#driftIsOf = config.drift;
    try {
      this.#drift = config.drift > 0 ? await call("GET", "config/drift") : [];
    } catch {
      // Asked for again with the next status; how many there are is shown all the same.
      this.outdate();
    }
  }

  update(status) {
    if (this.#driftIsOf !== status.config.drift) this.#loadDrift(status.config);
    const pace = (kind, item, counter) => {
      const perSecond = this.#paces.of(JSON.stringify([kind, item.name ?? "", counter]), item[counter], status.now);
      return `${count(item[counter])}${perSecond >= 0.05 ? ` (${rate(perSecond)}/s)` : ""}`;
    };
    const boxes = [
      { title: "Changed while running, until the next reload", items: this.#drift.map(driftItem) },
      { title: "Caches", items: status.caches.map((cache) => cacheItem(cache, pace)) },
      { title: "Rate limits", items: status.rate_limits.map((limit) => limitItem(limit, pace)) },
      { title: "Sessions", items: status.sessions ? [sessionItem(status.sessions)] : [] },
      { title: "Redis", items: status.store ? [storeItem(status.store, pace)] : [] },
      { title: "Certificates", items: status.certificates.map(certificateItem) },
      { title: "Listeners", items: status.listeners.map(listenerItem) },
      { title: "Answers of the proxy itself", items: reasonItems(status.totals.reasons, pace) },
    ].filter((box) => box.items.length > 0);
    keyed(this.#place, boxes, (box) => box.title, makeBox, writeBox);
  }
}

function makeBox({ title }) {
  const list = el("ul", { class: "items" });
  return { node: el("section", { class: "box" }, el("h2", {}, title), list), list };
}

function writeBox({ list }, { items }) {
  // A name may come twice, as that of a listener with two addresses.
  keyed(list, items.map((item, index) => ({ ...item, key: `${index} ${item.name}` })), (item) => item.key, makeItem, writeItem);
}

function makeItem() {
  const item = { name: el("h3"), note: el("p", { class: "note" }), facts: el("dl", { class: "pairs" }), meter: el("span", { class: "meter", "aria-hidden": "true" }, el("i")) };
  return Object.assign(item, { node: el("li", {}, item.name, item.note, item.meter, item.facts) });
}

function writeItem(kept, { name, note = "", tone = null, share = null, facts }) {
  write(kept.name, name);
  kept.name.title = name;
  write(kept.note, note);
  kept.note.hidden = !note;
  mark(kept.note, "data-tone", tone);
  kept.meter.hidden = share == null;
  if (share != null) kept.meter.firstChild.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  keyed(kept.facts, facts, ([title]) => title, ([title]) => {
    const value = el("dd");
    return { node: el("div", {}, el("dt", {}, title), value), value };
  }, ({ value }, [, text]) => write(value, text));
}

function driftItem({ pool, backend, what, configured, in_force, since }) {
  const values = what === "added" || what === "removed" ? what : `${what}: ${in_force ?? "none"}, configured is ${configured ?? "none"}`;
  return { name: `${backend} of ${pool}`, note: values, facts: since == null ? [] : [["since", moment(since)]] };
}

function cacheItem(cache, pace) {
  return {
    name: cache.name,
    note: `${percent(cache.hit_ratio)} answered from the cache; ${bytes(cache.bytes)} of ${bytes(cache.max_bytes)} in ${plural(cache.entries, "entry", "entries")}`,
    share: cache.bytes / Math.max(1, cache.max_bytes),
    facts: ["hits", "misses", "stale", "validated", "collapsed", "bypassed", "stored", "evicted", "purged"].map((counter) => [counter, pace("cache", cache, counter)]),
  };
}

function limitItem(limit, pace) {
  return {
    name: limit.name,
    note: `${plural(limit.keys, "key")} counted, room for ${count(limit.max_keys)}`,
    share: limit.keys / Math.max(1, limit.max_keys),
    facts: [
      ["admitted", pace("limit", limit, "admitted")],
      ["refused", pace("limit", limit, "refused")],
      ["would be refused", pace("limit", limit, "observed")],
      ["store errors", pace("limit", limit, "store_errors")],
    ],
  };
}

function sessionItem(sessions) {
  const elsewhere = sessions.store === "redis";
  return {
    name: elsewhere ? "in Redis" : "in memory",
    note: elsewhere ? "What is in Redis is not counted here." : "",
    facts: elsewhere ? [] : ["active", "logged_in", "stored", "expired", "ended", "evicted", "refused"].map((counter) => [counter.replace("_", " "), count(sessions[counter])]),
  };
}

function storeItem(store, pace) {
  const errors = Object.entries(store.errors).map(([cause, number]) => [cause.replaceAll("_", " "), count(number)]);
  return {
    name: store.is_up ? "connected" : "not connected",
    note: store.is_up ? "" : "What is configured as on_store_error decides; it is tried again by itself.",
    tone: store.is_up ? null : "bad",
    facts: [["answered", pace("store", store, "answered")], ...errors],
  };
}

function certificateItem(certificate) {
  const left = certificate.days_left;
  const over = left < 0;
  const when = over ? `expired ${plural(-left, "day")} ago` : left === 0 ? "expires today" : `${plural(left, "day")} left`;
  const own = certificate.is_self_signed;
  return {
    name: certificate.name,
    note: own ? `${when}; made at the start, trusted by nobody` : when,
    tone: over ? "bad" : left < DAYS_TO_WARN && !own ? "warn" : null,
    facts: [["until", date(certificate.not_after)], ["for", certificate.names.join(", ")]],
  };
}

function listenerItem(listener) {
  return { name: listener.name, facts: [["address", listener.address], ["speaks", `${listener.protocols.join(", ")}${listener.is_tls ? " over TLS" : ", in clear"}`]] };
}

function reasonItems(reasons, pace) {
  const facts = Object.keys(reasons).map((reason) => [reason.replaceAll("_", " "), pace("reason", reasons, reason)]);
  return facts.length > 0 ? [{ name: "refused and broken off, by reason", facts }] : [];
}
