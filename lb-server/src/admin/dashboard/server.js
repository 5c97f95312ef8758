// The way to the server: calls of the API, and the stream of events.

const API = new URL("api/v1/", document.baseURI);
const SILENCE_MS = 6_000;
const PATIENCE_MS = 15_000;
const LONGEST_LINE = 32 * 1024 * 1024;

/** The token lives as long as the tab, and where no other tab or site reads it. */
const token = {
  key: "lb-admin-token",
  get: () => sessionStorage.getItem(token.key),
  set: (value) => sessionStorage.setItem(token.key, value),
  forget: () => sessionStorage.removeItem(token.key),
};

/** An answer that is not what was asked for, with the server's own words. */
class Refused extends Error {
  constructor(status, title, detail, help) {
    super([title, detail && `: ${detail}`, help && `. ${help[0].toUpperCase()}${help.slice(1)}`].filter(Boolean).join(""));
    this.status = status;
  }
}

function ask(method, path, body, signal) {
  const headers = { accept: path === "events" ? "text/event-stream" : "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (token.get()) headers.authorization = `Bearer ${token.get()}`;
  return fetch(new URL(path, API), {
    method,
    headers,
    signal,
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
    redirect: "error",
  });
}

async function expectGood(answer) {
  if (answer.ok) return answer;
  let problem = {};
  try {
    problem = JSON.parse(await answer.text());
  } catch {
    // Somebody between answered; the status has to do.
  }
  throw new Refused(answer.status, problem.title ?? `The server answered ${answer.status}`, problem.detail, problem.help);
}

/** One call; its answer as JSON, or null where it has none. */
async function call(method, path, body) {
  let answer;
  try {
    answer = await ask(method, path, body, AbortSignal.timeout(PATIENCE_MS));
  } catch (cause) {
    const late = cause.name === "TimeoutError";
    throw new Refused(0, late ? "The server did not answer in time" : "The server cannot be reached", "whether the change was made is not known", "look at the state before trying again");
  }
  const text = await (await expectGood(answer)).text();
  return text ? JSON.parse(text) : null;
}

/** Event after event of a stream (WHATWG HTML §9.2.6, the fields that are used). */
async function* eventsOf(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let type = "";
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    if (rest.length > LONGEST_LINE) throw new Error("a line without end");
    for (const line of lines.map((line) => line.replace(/\r$/, ""))) {
      const [, field, text] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
      if (line === "") {
        if (data.length > 0) yield { type: type || "message", data: data.join("\n") };
        type = "";
        data = [];
      } else if (field === "event") type = text ?? "";
      else if (field === "data") data.push(text ?? "");
    }
  }
}

/**
 * The stream of events, kept open. An `EventSource` would do, could it send a token and tell a refusal from a failure.
 *
 * `on.event(type, value)` for each event; `on.link(state, detail, why)` with `connecting`, `live`, `lost` until a moment,
 * and `refused` with the refusal.
 */
class Live {
  #on;
  #failures = 0;
  #attempt = null;
  #goOn = () => {};
  #waitsForTime = false;

  constructor(on) {
    this.#on = on;
    const soon = () => this.#waitsForTime && this.#goOn();
    addEventListener("online", soon);
    document.addEventListener("visibilitychange", () => document.hidden || soon());
  }

  /** Tries now rather than when it would have. */
  retry() {
    this.#attempt?.abort();
    this.#goOn();
  }

  async run() {
    for (;;) {
      let why = null;
      this.#attempt = new AbortController();
      try {
        await this.#read(this.#attempt);
      } catch (cause) {
        why = cause;
      }
      if (why instanceof Refused && why.status === 401) {
        // Time does not make a token right.
        this.#on.link("refused", why);
        await new Promise((resolve) => (this.#goOn = resolve));
        continue;
      }
      const wait = Math.min(10_000, 1_000 * 2 ** this.#failures++);
      this.#on.link("lost", performance.now() + wait, why);
      this.#waitsForTime = true;
      await new Promise((resolve) => {
        this.#goOn = resolve;
        setTimeout(resolve, wait);
      });
      this.#waitsForTime = false;
    }
  }

  async #read(attempt) {
    this.#on.link("connecting");
    // A server that is gone without a word, and a proxy that buffers, both look like silence.
    let watch = setTimeout(() => attempt.abort(), PATIENCE_MS);
    const heard = () => {
      clearTimeout(watch);
      watch = setTimeout(() => attempt.abort(), SILENCE_MS);
    };
    try {
      const answer = await expectGood(await ask("GET", "events", undefined, attempt.signal));
      heard();
      for await (const { type, data } of eventsOf(answer.body, heard)) {
        this.#failures = 0;
        this.#on.link("live");
        this.#on.event(type, JSON.parse(data));
      }
    } finally {
      clearTimeout(watch);
      attempt.abort();
    }
  }
}
