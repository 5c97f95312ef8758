// Numbers, times and states as people read them, and the few helpers that put them into the page.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const shortDay = new Intl.DateTimeFormat("en-GB", { month: "short", day: "numeric" });
const day = new Intl.DateTimeFormat("en-GB", { year: "numeric", month: "short", day: "numeric" });

/** A count in at most five characters and a unit: `9,876`, `12.3k`, `4.56M`. */
function count(value) {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) < 10_000) return whole.format(value);
  for (const [size, unit] of [[1e3, "k"], [1e6, "M"], [1e9, "G"], [1e12, "T"]]) {
    if (Math.abs(value) < size * 999.5 || size === 1e12) return three(value / size) + unit;
  }
}

/** Three digits that count. */
function three(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}

/** Something a second. Below ten a fraction says more than the whole. */
function rate(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  if (value < 9.95) return value < 0.05 ? "<0.1" : value.toFixed(1);
  return count(value);
}

function milliseconds(value) {
  if (!Number.isFinite(value)) return "–";
  if (value >= 999.5) return three(value / 1000) + " s";
  if (value > 0 && value < 0.995) return (value * 1000).toFixed(0) + " µs";
  return three(value) + " ms";
}

function bytes(value) {
  if (!Number.isFinite(value)) return "–";
  if (value < 1024) return `${whole.format(value)} B`;
  for (const [power, unit] of [[1, "KiB"], [2, "MiB"], [3, "GiB"], [4, "TiB"]]) {
    const scaled = value / 1024 ** power;
    if (scaled < 1023.5 || power === 4) return `${three(scaled)} ${unit}`;
  }
}

function percent(share) {
  if (!Number.isFinite(share)) return "–";
  const value = share * 100;
  if (value > 0 && value < 0.1) return "<0.1 %";
  return `${value < 10 && value > 0 ? value.toFixed(1) : value.toFixed(0)} %`;
}

/** A duration by its two largest units: `3 d 4 h`, `2 min 5 s`. */
function lasting(seconds) {
  let left = Math.max(0, Math.floor(seconds));
  if (!Number.isFinite(left)) return "–";
  const parts = [];
  for (const [size, unit] of [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]]) {
    const number = Math.floor(left / size);
    left -= number * size;
    if (number > 0 || (unit === "s" && parts.length === 0)) parts.push(`${number} ${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** A moment in the reader's time zone, as exact as its distance asks for. */
function moment(seconds) {
  const date = new Date(seconds * 1000);
  const today = new Date();
  const time = clock.format(date);
  if (date.toDateString() === today.toDateString()) return time;
  return date.getFullYear() === today.getFullYear() ? `${shortDay.format(date)}, ${time.slice(0, 5)}` : day.format(date);
}

const date = (seconds) => day.format(new Date(seconds * 1000));

const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** The words for states, and whether somebody should look. */
const STATES = {
  ready: ["ready", "good"],
  slow_start: ["slow start", "good"],
  full: ["full", "warn"],
  draining: ["draining", "calm"],
  maintenance: ["maintenance", "calm"],
  unhealthy: ["unhealthy", "bad"],
  ejected: ["ejected", "bad"],
  circuit_open: ["circuit open", "bad"],
};

/** A state that a newer server may have and this page does not know is shown as it is. */
function state(word) {
  const [name, tone] = STATES[word] ?? [String(word).replaceAll("_", " "), "warn"];
  return { name, tone, shape: word in STATES ? word : "unknown" };
}

/** An element. What comes from the server goes in as text and as nothing else. */
function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name === "on") for (const [type, listener] of Object.entries(value)) made.addEventListener(type, listener);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, String(value));
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** Writes only what differs: a page of a thousand cells stands still between changes, and so does a selection in it. */
function write(node, text) {
  const wanted = text == null ? "" : String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

function mark(node, name, value) {
  if (value == null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

const SVG = "http://www.w3.org/2000/svg";

/** One of the shapes of the page, so that no state is told by colour alone. */
function shape(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "shape");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  reshape(svg, name);
  return svg;
}

function reshape(svg, name) {
  mark(svg.firstChild, "href", `#shape-${name}`);
}

/** Keeps one child of `parent` for each item, in their order behind `first`, made once and updated after that. */
function keyed(parent, items, key, make, update, first = null) {
  const kept = (parent.keyed ??= new Map());
  const wanted = new Set(items.map(key));
  for (const [name, child] of kept) {
    if (wanted.has(name)) continue;
    child.node.remove();
    kept.delete(name);
  }
  let place = first;
  for (const item of items) {
    const name = key(item);
    let child = kept.get(name);
    if (!child) kept.set(name, (child = make(item)));
    update(child, item);
    const next = place ? place.nextSibling : parent.firstChild;
    // Moving takes the focus away, so what already stands right stays.
    if (child.node !== next) parent.insertBefore(child.node, next);
    place = child.node;
  }
}
