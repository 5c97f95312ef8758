// Which requests lead where: match, then policies, then target, in the order in which routes are tried.

class Routes {
  #section = byId("routes");
  #list = byId("route-list");
  #routes = [];
  #of = null;

  /** Routes change with the configuration alone; what they lead to changes all the time. */
  update(status) {
    const of = `${status.started} ${status.config.revision} ${status.config.etag}`;
    if (of !== this.#of) {
      this.#of = of;
      this.#load(of, status);
    } else this.#show(status);
  }

  async #load(of, status) {
    try {
      this.#routes = await call("GET", "routes");
      withdraw("routes");
      this.#show(status);
    } catch (problem) {
      // Asked for again with the next status.
      if (this.#of === of) this.#of = null;
      notice("routes", `The routes cannot be read. ${problem.message}`);
    }
  }

  #show(status) {
    const known = {
      pools: new Map(status.pools.map((pool) => [pool.name, pool])),
      caches: new Map(status.caches.map((cache) => [cache.name, cache])),
    };
    this.#section.hidden = this.#routes.length === 0;
    const items = this.#routes.map((route, index) => ({ key: `${index} ${route.name}`, route, known }));
    keyed(this.#list, items, (item) => item.key, makeRoute, writeRoute);
  }
}

function makeRoute() {
  const [name, match, steps] = [el("span", { class: "name" }), el("code", { class: "match" }), el("ul", { class: "steps" })];
  return { node: el("li", {}, name, match, steps), name, match, steps };
}

function writeRoute(kept, { route, known }) {
  write(kept.name, route.name);
  write(kept.match, matchOf(route));
  keyed(kept.steps, stepsOf(route, known), (step) => step.key, makeStep, writeStep);
}

/** A rule as one would say it: `GET, HEAD example.com/api/* with x-debug: 1`. */
function matchOf({ hosts, path, methods, headers }) {
  const where = `${hosts.length > 0 ? hosts.join(", ") : "any host"} ${path ?? "/*"}`;
  const fields = Object.entries(headers).map(([name, value]) => (value == null ? name : `${name}: ${value}`));
  return [methods.join(", "), where, fields.length > 0 && `with ${fields.join(", ")}`].filter(Boolean).join(" ");
}

function stepsOf({ rate_limits, cache, target }, { pools, caches }) {
  const steps = rate_limits.map((name) => ({ key: `limit ${name}`, kind: "limit", text: name }));
  if (cache) {
    const kept = caches.get(cache);
    steps.push({ key: "cache", kind: "cache", text: kept ? `${cache}, ${percent(kept.hit_ratio)} hits` : cache });
  }
  const toPool = (name) => {
    const pool = pools.get(name);
    const tone = !pool || pool.eligible === 0 ? "bad" : pool.eligible < pool.backends.length ? "warn" : "good";
    const able = pool ? `, ${count(pool.eligible)} of ${plural(pool.backends.length, "backend")}` : ", which is not there";
    steps.push({ key: "pool", kind: "pool", text: name + able, link: name, tone });
  };
  if (target.kind === "pool") toPool(target.pool);
  else if (target.kind === "handler") {
    steps.push({ key: "handler", kind: "handler", text: "of the program" });
    if (target.pool) toPool(target.pool);
  } else if (target.kind === "redirect") steps.push({ key: "redirect", kind: `redirect ${target.status}`, text: target.to });
  else if (target.kind === "respond") steps.push({ key: "respond", kind: "reply", text: String(target.status) });
  else steps.push({ key: "other", kind: String(target.kind).replaceAll("_", " "), text: "" });
  return steps;
}

function makeStep({ tone, link }) {
  const [kind, text] = [el("span", { class: "faint" }), link ? el("a") : el("span")];
  const sign = tone ? shape("unknown") : null;
  const arrow = el("span", { class: "arrow", "aria-hidden": "true" }, "→");
  return { node: el("li", {}, arrow, el("span", { class: "step" }, sign, kind, " ", text)), kind, text, sign };
}

function writeStep(kept, { kind, text, link, tone }) {
  write(kept.kind, kind);
  write(kept.text, text);
  if (link) mark(kept.text, "href", `#pool-${encodeURIComponent(link)}`);
  if (!kept.sign || !tone) return;
  kept.sign.parentNode.dataset.tone = tone;
  reshape(kept.sign, { good: "ready", warn: "full", bad: "unhealthy" }[tone]);
}
