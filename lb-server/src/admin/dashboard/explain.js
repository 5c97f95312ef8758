// Where a request would go, and why: the server's own explanation, for which nothing is sent or counted.

class Explain {
  #answer = byId("explained");

  constructor() {
    byId("explain").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
  }

  async #ask() {
    const request = { method: byId("explain-method").value, url: byId("explain-url").value.trim() };
    // A path alone is what operators have in mind; whatever host the routes want is theirs to write.
    if (request.url.startsWith("/")) request.url = `https://localhost${request.url}`;
    try {
      this.#show(await call("POST", "routes/explain", request));
    } catch (problem) {
      this.#answer.replaceChildren(el("p", { class: "told", "data-tone": "bad" }, problem.message));
    }
    this.#answer.hidden = false;
  }

  #show(told) {
    const lines = [...told.considered.map(routeLine), ...told.rate_limits.map(limitLine), cacheLine(told.cache), affinityLine(told.affinity), ...poolLines(told)];
    const end = told.refused
      ? { tone: "bad", text: `It would be refused: ${told.refused.replaceAll("_", " ")}.` }
      : { tone: "good", text: told.pool?.backend ? `It would go to ${told.pool.backend} of ${told.pool.name}.` : targetText(told.target) };
    this.#answer.replaceChildren(
      el("p", { class: "told", "data-tone": end.tone }, shape(end.tone === "good" ? "ready" : "unhealthy"), end.text),
      el("p", { class: "faint" }, `${told.method} ${told.host}${told.path}, of a client at ${told.client}, at this moment`),
      el("dl", { class: "lines" }, ...lines.filter(Boolean).map(({ name, text, note }) => el("div", {}, el("dt", {}, name), el("dd", {}, text, note ? el("span", { class: "faint" }, ` · ${note}`) : null)))),
    );
  }
}

function targetText(target) {
  if (target?.kind === "redirect") return `It would be redirected to ${target.to} with ${target.status}.`;
  if (target?.kind === "respond") return `It would be answered with ${target.status}.`;
  return "The program's own handler would answer it.";
}

function routeLine({ name, matches, why }) {
  return { name: `route ${name}`, text: matches ? "matches" : "does not match", note: why.join("; ") };
}

function limitLine({ name, admits, enforces, remaining, retry_after_seconds }) {
  const text = admits == null ? "decided in the shared store" : admits ? "admits it" : enforces ? "refuses it" : "would refuse it, but only observes";
  const left = remaining == null ? "" : `${count(remaining)} left`;
  return { name: `limit ${name}`, text, note: admits === false && retry_after_seconds != null ? `again in ${lasting(Math.ceil(retry_after_seconds))}` : left };
}

function cacheLine(cache) {
  return cache && { name: `cache ${cache.name}`, text: cache.result, note: cache.why ?? "" };
}

function affinityLine(affinity) {
  return affinity && { name: `cookie ${affinity.cookie}`, text: affinity.backend ? `binds the client to ${affinity.backend}` : "is not there, or not genuine", note: affinity.strict ? "and to no other" : "" };
}

function poolLines({ pool }) {
  if (!pool) return [];
  const candidate = ({ id, score, excluded, why, in_flight, weight }) => ({
    name: id,
    text: excluded ? `out: ${excluded.replaceAll("_", " ")}` : `candidate${score == null ? "" : `, score ${three(score)}`}${id === pool.backend ? ", picked" : ""}`,
    note: why ?? `${count(in_flight)} in flight, weight ${count(weight)}`,
  });
  const how = { name: `pool ${pool.name}`, text: `${pool.algorithm}: ${pool.verdict.replaceAll("_", " ")}`, note: [pool.rule, pool.draw].filter(Boolean).join("; ") };
  return [how, ...pool.candidates.map(candidate)];
}
