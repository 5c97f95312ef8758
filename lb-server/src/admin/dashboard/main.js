// What is shown first, and who tells whom.

const past = new History();
const board = new Board(byId("charts"), past, [
  { title: "Requests per second", kind: "area", least: 4, format: rate, series: [{ key: "requests", name: "answered", colour: "--requests", heavy: true }] },
  {
    title: "Time to the head of the reply",
    kind: "lines",
    least: 1,
    format: milliseconds,
    series: [
      { key: "p50", name: "p50", colour: "--p50", dash: [2, 2] },
      { key: "p90", name: "p90", colour: "--p90", dash: [6, 3] },
      { key: "p99", name: "p99", colour: "--p99", heavy: true },
    ],
  },
  {
    title: "Replies per second by status",
    kind: "stack",
    least: 4,
    format: rate,
    // The few that matter most stand on the ground, where they are seen.
    series: ["5xx", "4xx", "3xx", "2xx"].map((name) => ({ key: name, name, colour: `--s${name[0]}` })),
  },
]);
const backends = new Backends(byId("backends"));
const routes = new Routes();
new Explain();
const features = new Features(byId("features"));
let shown = null;

for (const button of document.querySelectorAll("[data-span]")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("[data-span]")) mark(other, "aria-pressed", String(other === button));
    board.show(Number(button.dataset.span));
  });
}

/** Whatever a server of another version says: what can still be shown is better than a page that stands still. */
function understand(work) {
  try {
    work();
  } catch (cause) {
    console.error(cause);
    notice("page", `This page does not understand the server: ${cause.message}.`, { action: { name: "Reload the page", run: () => location.reload() } });
  }
}

let isDue = false;

/** Every status counts, the newest is shown: at the next frame, and none while nobody looks. */
function take(status) {
  const before = shown;
  past.add(status);
  backends.remember(status);
  shown = status;
  const out = status.pools.flatMap((pool) => pool.backends).filter((backend) => !takesRequests(backend)).length;
  document.title = `${out > 0 ? `(${out} out) ` : ""}lb · ${rate(status.totals.rate_1s)}/s`;
  if (before && before.started !== status.started) {
    tellChange({ at: status.now, kind: "reload", event: "restarted", details: "the server was started anew", caller: null });
  }
  if (before && before.version !== status.version) {
    notice("version", `The server is now version ${status.version}; this page is of ${before.version}.`, { grave: false, action: { name: "Reload the page", run: () => location.reload() } });
  }
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    understand(() => show(shown));
  });
}

function show(status) {
  const all = status.pools.flatMap((pool) => pool.backends);
  const able = all.filter(takesRequests).length;
  const tone = status.state !== "serving" || status.pools.some((pool) => pool.eligible === 0) ? "bad" : able < all.length ? "warn" : "good";
  const health = byId("health");
  health.dataset.tone = tone;
  if (health.childElementCount === 0) health.append(shape("unknown"), el("span"));
  reshape(health.firstChild, { good: "ready", warn: "full", bad: "unhealthy" }[tone]);
  const word = { starting: "starting: not every backend is probed yet; ", stopping: "stopping soon; ", draining: "draining: takes nothing new; " }[status.state] ?? "";
  write(health.lastChild, `${word}${count(able)} of ${plural(all.length, "backend")} ${able === 1 ? "takes" : "take"} requests`);
  write(byId("version"), status.version);
  keyed(byId("tiles"), tilesOf(status), (tile) => tile.name, makeTile, writeTile);
  backends.update(status);
  routes.update(status);
  features.update(status);
  board.draw();
  write(byId("about"), `lb ${status.version}, started ${moment(status.started)}. Configuration ${status.config.path ?? "without a file"}, ${status.config.etag}.`);
}

/** The figures that are looked at first. */
function tilesOf(status) {
  const { totals, connections, memory, config } = status;
  const latency = totals.latency.last_10s;
  const time = (value) => (latency.count > 0 ? milliseconds(value) : "–");
  const failing = totals.rate_10s > 0 ? totals.error_rate_10s / totals.rate_10s : 0;
  const queued = status.pools.reduce((sum, pool) => sum + pool.queue, 0);
  const reload = config.last_reload;
  const drift = config.drift > 0 ? `${plural(config.drift, "change")} until reload` : "";
  const reloaded = reload ? `${reload.ok ? "reloaded" : "reload failed"} ${moment(reload.at)}` : "as at the start";
  return [
    { name: "Requests/s", value: rate(totals.rate_1s), note: `${count(totals.requests)} in all` },
    { name: "Errors", value: percent(failing), note: `${count(totals.errors)} in all`, tone: failing >= 0.01 ? "bad" : failing > 0 ? "warn" : null },
    { name: "p50", value: time(latency.p50_ms), note: `p90 ${time(latency.p90_ms)}` },
    { name: "p99", value: time(latency.p99_ms), note: `slowest ${time(latency.max_ms)}` },
    { name: "In flight", value: count(totals.in_flight), note: `${count(queued)} queued`, tone: queued > 0 ? "warn" : null },
    { name: "Connections", value: count(connections.active), note: `of ${count(connections.max)}` },
    { name: "Memory held", value: bytes(memory.held_bytes), note: `of ${bytes(memory.limit_bytes)}` },
    { name: "Running", value: lasting(status.uptime_seconds), note: `since ${moment(status.started)}` },
    { name: "Configuration", value: `no. ${count(config.revision)}`, note: reload?.ok === false ? reloaded : drift || reloaded, tone: reload?.ok === false ? "bad" : null, title: reload?.details },
  ];
}

function makeTile({ name }) {
  const [value, note] = [el("dd"), el("dd", { class: "faint" })];
  return { node: el("div", {}, el("dt", {}, name), value, note), value, note };
}

function writeTile({ node, value, note }, tile) {
  write(value, tile.value);
  write(note, tile.note);
  mark(node, "data-tone", tile.tone);
  mark(note, "title", tile.title);
}

const CHANGES_KEPT = 100;

/** Newest first. */
function tellChange(change) {
  const about = [change.pool, change.backend].filter(Boolean).join(" / ");
  const line = el(
    "li",
    { "data-kind": change.kind },
    el("time", {}, moment(change.at)),
    el("b", {}, String(change.event).replaceAll("_", " ")),
    el("span", { class: "name" }, about),
    el("span", {}, change.details),
    change.caller ? el("span", { class: "faint" }, `by ${change.caller}`) : null,
  );
  const list = byId("changes");
  list.prepend(line);
  while (list.childElementCount > CHANGES_KEPT) list.lastElementChild.remove();
  byId("no-changes").hidden = true;
}

let retryAt = null;

function showLink(state, detail, why) {
  const link = byId("link");
  const before = link.dataset.link;
  link.dataset.link = state;
  retryAt = state === "lost" ? detail : null;
  byId("retry").hidden = state !== "lost";
  byId("token").hidden = state !== "refused" && !token.get();
  // What is old is not to be taken for what is.
  document.body.classList.toggle("old", state !== "live" && shown != null);
  if (state === "live" && before !== "live") {
    say("connected");
    withdraw("refused");
    withdraw("stream");
  }
  if (state === "refused") {
    const known = token.get() != null;
    notice("refused", `${detail.message}. ${known ? "The token is not the right one." : "This server asks for its admin token."}`, { action: { name: "Enter the token", run: () => enterToken() } });
    if (before !== "refused") enterToken(known);
  }
  if (state === "lost" && before === "live") say("connection lost");
  // Not gone but unwilling: what it says is what helps.
  if (state === "lost" && why instanceof Refused && why.status !== 0) notice("stream", why.message);
  tickLink();
}

function tickLink() {
  const state = byId("link").dataset.link;
  const wait = retryAt == null ? 0 : Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
  const since = shown ? `, figures of ${moment(shown.now)}` : "";
  write(byId("link-text"), { live: "live", connecting: `connecting${since}`, refused: "needs a token", lost: `connection lost${since}; next try ${wait > 0 ? `in ${wait} s` : "now"}` }[state]);
}

async function enterToken(wrong = false) {
  const typed = await question({
    title: "Admin token",
    text: `${wrong ? "The server refused the token that was entered. " : ""}It is what [admin] token or token_file says in the configuration.`,
    yes: "Connect",
    field: { label: "Token", type: "password", autocomplete: "off", spellcheck: "false", required: true },
    hint: "It is kept until this tab is closed.",
  });
  if (typed == null) return;
  token.set(typed.trim());
  live.retry();
}

const live = new Live({
  link: showLink,
  event(type, value) {
    understand(() => {
      if (type === "status") take(value);
      else if (type === "change") {
        tellChange(value);
        features.outdate();
        say(value.details);
      }
    });
  },
});

// The charts see to themselves; the lines in the table have no board.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown && backends.update(shown));
byId("retry").addEventListener("click", () => live.retry());
byId("token").addEventListener("click", () => enterToken());
setInterval(() => {
  tickLink();
  if (byId("link").dataset.link !== "live") board.draw();
}, 1_000);
live.run();
