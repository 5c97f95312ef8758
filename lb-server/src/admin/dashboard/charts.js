// What was seen over time, drawn on canvases that share one axis of time and one cursor.

const KEPT_SECONDS = 3_600;
/** Two figures further apart have something unknown between them: no line is drawn through it. */
const GAP_SECONDS = 2.5;

/** Samples, oldest first; those of a restarted server follow a gap. */
class History {
  samples = [];
  #last = null;
  #heardAt = 0;

  /** Takes a status; counters become rates by what lies between two of them. */
  add(status) {
    const { totals, now } = status;
    const last = this.#last;
    this.#last = { now, totals, started: status.started };
    this.#heardAt = performance.now();
    const seconds = last ? now - last.now : 0;
    const goesOn = last && last.started === status.started && seconds > 0 && seconds <= GAP_SECONDS;
    const pace = (of) => (goesOn ? Math.max(0, of(totals) - of(last.totals)) / seconds : null);
    const latency = totals.latency.last_1s.count > 0 ? totals.latency.last_1s : null;
    this.samples.push({
      t: now,
      // The first after a gap has no rate yet, and draws none.
      joined: Boolean(goesOn),
      requests: pace((counted) => counted.requests),
      "2xx": pace((counted) => counted.classes["2xx"]),
      "3xx": pace((counted) => counted.classes["3xx"]),
      "4xx": pace((counted) => counted.classes["4xx"]),
      "5xx": pace((counted) => counted.classes["5xx"]),
      p50: latency?.p50_ms ?? null,
      p90: latency?.p90_ms ?? null,
      p99: latency?.p99_ms ?? null,
    });
    const oldest = now - KEPT_SECONDS - 10;
    const stale = this.samples.findIndex((sample) => sample.t >= oldest);
    if (stale > 60) this.samples.splice(0, stale);
  }

  /** The server's clock, which goes on while nothing is heard. */
  now() {
    return this.#last ? this.#last.now + (performance.now() - this.#heardAt) / 1000 : Date.now() / 1000;
  }

  /** The sample nearest to a moment, if one is near enough to speak for it. */
  at(t) {
    let low = 0;
    let high = this.samples.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.samples[middle].t < t) low = middle + 1;
      else high = middle;
    }
    const near = [this.samples[low - 1], this.samples[low]].filter(Boolean);
    near.sort((one, other) => Math.abs(one.t - t) - Math.abs(other.t - t));
    return near[0] && Math.abs(near[0].t - t) < GAP_SECONDS / 2 ? near[0] : null;
  }
}

/** 1, 2 or 5 times a power of ten, at least as large. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((factor) => factor * power >= value * 0.999) * power;
}

const TIME_STEPS = [10, 15, 30, 60, 120, 300, 600, 900, 1_800];

/** Draws at the resolution of the screen, whatever its zoom; tells the size in CSS pixels. */
function prepare(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== high) canvas.height = high;
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** One chart: lines, or areas on top of each other. */
class Chart {
  #plan;
  #board;
  #canvas;
  #tip;
  #latest = new Map();
  #area = { left: 0, right: 1, top: 0, bottom: 1 };

  constructor(board, plan) {
    this.#board = board;
    this.#plan = plan;
    this.#canvas = el("canvas", { tabindex: "0", role: "img" });
    this.#tip = el("div", { class: "tip", hidden: true });
    const legend = el("ul", { class: "legend" });
    for (const series of plan.series) {
      const value = el("b");
      this.#latest.set(series.key, value);
      const swatch = el("span", { class: `swatch ${series.dash ? `dash-${series.key}` : plan.kind}`, "aria-hidden": "true" });
      swatch.style.setProperty("--swatch", `var(${series.colour})`);
      legend.append(el("li", {}, swatch, `${series.name} `, value));
    }
    this.node = el("figure", { class: "chart" }, el("figcaption", {}, el("h3", {}, plan.title), legend), el("div", { class: "plot" }, this.#canvas, this.#tip));
    this.#listen();
  }

  #listen() {
    const canvas = this.#canvas;
    const point = (event) => {
      const { left } = canvas.getBoundingClientRect();
      this.#board.point(this.#timeAt(event.clientX - left));
    };
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", point);
    canvas.addEventListener("pointerleave", () => this.#board.point(null));
    canvas.addEventListener("blur", () => this.#board.point(null));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 }[event.key];
      if (step) {
        this.#board.move(step);
        this.#say();
      } else if (event.key === "Escape") this.#board.point(null);
      else return;
      event.preventDefault();
    });
  }

  /** What is under the cursor, for those who moved it without seeing it. */
  #say() {
    const { cursor } = this.#board;
    const sample = this.#board.sampleAt(cursor);
    const { format, series } = this.#plan;
    const words = series.map(({ key, name }) => `${name} ${sample?.[key] == null ? "none" : format(sample[key])}`);
    say(`${clock.format(cursor * 1000)}: ${sample ? words.join(", ") : "no data"}`);
  }

  #timeAt(x) {
    const { left, right } = this.#area;
    const share = Math.min(1, Math.max(0, (x - left) / (right - left)));
    return this.#board.end - this.#board.span * (1 - share);
  }

  draw() {
    const { samples, begin, end, span, cursor } = this.#board;
    const plan = this.#plan;
    const shown = samples.filter((sample) => sample.t >= begin - GAP_SECONDS);
    const value = (sample, series) => sample[series.key];
    const height = plan.kind === "stack"
      ? (sample) => plan.series.reduce((sum, series) => sum + (value(sample, series) ?? 0), 0)
      : (sample) => Math.max(...plan.series.map((series) => value(sample, series) ?? 0));
    const highest = shown.reduce((top, sample) => Math.max(top, height(sample)), 0);
    const room = Math.max(highest * 1.05, plan.least);
    const step = roundUp(room / 4);
    const top = step * Math.ceil(room / step);

    const { pen, width, height: high } = prepare(this.#canvas);
    if (width === 0) return;
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step);
    const labels = ticks.map((tick) => plan.format(tick).replace(/\.0+(?!\d)/, ""));
    const gutter = Math.ceil(Math.max(...labels.map((label) => pen.measureText(label).width))) + 8;
    const area = (this.#area = { left: gutter, right: width - 1, top: 7, bottom: high - 20 });
    const x = (t) => area.left + ((t - begin) / span) * (area.right - area.left);
    const y = (amount) => area.bottom - (amount / top) * (area.bottom - area.top);

    this.#axes(pen, area, { ticks, labels, x, y });
    pen.save();
    pen.beginPath();
    pen.rect(area.left, area.top - 2, area.right - area.left, area.bottom - area.top + 2);
    pen.clip();
    if (plan.kind === "stack") this.#stack(pen, shown, x, y);
    else for (const series of plan.series) this.#line(pen, shown, series, x, y, plan.kind === "area");
    pen.restore();
    if (!shown.some((sample) => plan.series.some((series) => value(sample, series) != null))) {
      pen.fillStyle = colour("--faint");
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.fillText("no requests seen yet", (area.left + area.right) / 2, (area.top + area.bottom) / 2);
    }
    this.#tell(pen, area, x, cursor, end, highest);
  }

  #axes(pen, area, { ticks, labels, x, y }) {
    const { begin, end, span } = this.#board;
    pen.lineWidth = 1;
    pen.fillStyle = colour("--faint");
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    ticks.forEach((tick, index) => {
      const level = Math.round(y(tick)) + 0.5;
      pen.strokeStyle = colour(index === 0 ? "--axis" : "--grid");
      pen.beginPath();
      pen.moveTo(area.left, level);
      pen.lineTo(area.right, level);
      pen.stroke();
      pen.fillText(labels[index], area.left - 6, level);
    });
    const places = Math.max(2, (area.right - area.left) / 88);
    const step = TIME_STEPS.find((step) => span / step <= places) ?? TIME_STEPS.at(-1);
    pen.textBaseline = "alphabetic";
    // In steps of the reader's clock, not of UTC: zones differ by quarters of an hour.
    const zone = new Date(end * 1000).getTimezoneOffset() * 60;
    for (let t = Math.ceil((begin - zone) / step) * step + zone; t <= end; t += step) {
      const at = Math.round(x(t)) + 0.5;
      pen.strokeStyle = colour("--axis");
      pen.beginPath();
      pen.moveTo(at, area.bottom);
      pen.lineTo(at, area.bottom + 4);
      pen.stroke();
      const label = step % 60 === 0 ? clock.format(t * 1000).slice(0, 5) : clock.format(t * 1000);
      const half = pen.measureText(label).width / 2;
      pen.textAlign = "center";
      pen.fillText(label, Math.min(Math.max(at, area.left - 4 + half), area.right - half), area.bottom + 15);
    }
  }

  /** Runs of samples with nothing missing in between. */
  #runs(samples, has) {
    const runs = [];
    let run = null;
    for (const sample of samples) {
      if (!sample.joined) run = null;
      if (!has(sample)) run = null;
      else if (run) run.push(sample);
      else runs.push((run = [sample]));
    }
    return runs;
  }

  #line(pen, samples, series, x, y, filled) {
    pen.strokeStyle = colour(series.colour);
    pen.lineWidth = series.heavy ? 2 : 1.5;
    pen.lineJoin = "round";
    for (const run of this.#runs(samples, (sample) => sample[series.key] != null)) {
      pen.setLineDash(series.dash ?? []);
      pen.beginPath();
      run.forEach((sample, index) => pen[index === 0 ? "moveTo" : "lineTo"](x(sample.t), y(sample[series.key])));
      // One sample alone is a point.
      if (run.length === 1) pen.lineTo(x(run[0].t) + 1.5, y(run[0][series.key]));
      pen.stroke();
      pen.setLineDash([]);
      if (!filled || run.length === 1) continue;
      pen.lineTo(x(run.at(-1).t), y(0));
      pen.lineTo(x(run[0].t), y(0));
      pen.globalAlpha = 0.14;
      pen.fillStyle = colour(series.colour);
      pen.fill();
      pen.globalAlpha = 1;
    }
  }

  #stack(pen, samples, x, y) {
    const all = this.#plan.series;
    for (const run of this.#runs(samples, (sample) => sample[all[0].key] != null)) {
      const below = run.map(() => 0);
      for (const series of all) {
        const above = run.map((sample, index) => below[index] + (sample[series.key] ?? 0));
        pen.beginPath();
        run.forEach((sample, index) => pen.lineTo(x(sample.t), y(above[index])));
        if (run.length === 1) pen.lineTo(x(run[0].t) + 1.5, y(above[0]));
        const edge = new Path2D();
        run.forEach((sample, index) => edge.lineTo(x(sample.t), y(above[index])));
        for (let index = run.length - 1; index >= 0; index--) pen.lineTo(x(run[index].t), y(below[index]));
        pen.closePath();
        pen.fillStyle = colour(series.colour);
        pen.globalAlpha = 0.55;
        pen.fill();
        pen.globalAlpha = 1;
        if (above.some((sum, index) => sum > below[index])) {
          pen.strokeStyle = colour(series.colour);
          pen.lineWidth = 1;
          pen.stroke(edge);
        }
        below.splice(0, below.length, ...above);
      }
    }
  }

  /** The legend's figures, the cursor with what is under it, and the same in words for who does not see it. */
  #tell(pen, area, x, cursor, end, highest) {
    const { format, series: all, title } = this.#plan;
    const under = cursor == null ? null : this.#board.sampleAt(cursor);
    const newest = this.#board.samples.at(-1);
    const last = newest && end - newest.t < 2 * GAP_SECONDS ? newest : null;
    const words = (sample, series) => (sample?.[series.key] == null ? "–" : format(sample[series.key]));
    for (const series of all) write(this.#latest.get(series.key), words(last, series));
    const now = all.map((series) => `${series.name} ${words(last, series)}`).join(", ");
    mark(this.#canvas, "aria-label", `${title}. Now: ${now}. Highest shown: ${format(highest)}. Arrow keys read earlier moments.`);
    this.#tip.hidden = cursor == null;
    if (cursor == null) return;
    const at = Math.round(x(under?.t ?? cursor)) + 0.5;
    pen.strokeStyle = colour("--faint");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(at, area.top);
    pen.lineTo(at, area.bottom);
    pen.stroke();
    const rows = all.map((series) => el("div", {}, el("span", {}, series.name), el("b", {}, words(under, series))));
    this.#tip.replaceChildren(el("p", {}, clock.format((under?.t ?? cursor) * 1000)), ...(under ? rows : ["no data"]));
    const wide = this.#tip.offsetWidth;
    const left = at + 10 + wide > area.right ? at - 10 - wide : at + 10;
    this.#tip.style.transform = `translate(${Math.max(0, left)}px, ${area.top}px)`;
  }
}

/** All charts, their span and their cursor. */
class Board {
  span = 120;
  end = 0;
  cursor = null;
  #history;
  #charts;
  #drawing = false;

  constructor(place, history, plans) {
    this.#history = history;
    this.#charts = plans.map((plan) => new Chart(this, plan));
    place.append(...this.#charts.map((chart) => chart.node));
    new ResizeObserver(() => this.draw()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  get samples() {
    return this.#history.samples;
  }

  get begin() {
    return this.end - this.span;
  }

  sampleAt(t) {
    return this.#history.at(t);
  }

  point(t) {
    this.cursor = t;
    this.draw();
  }

  move(steps) {
    const from = this.cursor ?? this.samples.at(-1)?.t ?? this.end;
    this.point(Math.min(this.end, Math.max(this.begin, from + steps * (this.span / 120))));
  }

  show(span) {
    this.span = span;
    this.draw();
  }

  /** Once for each frame, however many reasons there are. */
  draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.end = this.#history.now();
      for (const chart of this.#charts) chart.draw();
    });
  }
}

/** A line as small as a word: the last minute of one backend, against the busiest of its pool. */
function spark(canvas, values, highest) {
  const { pen, width, height } = prepare(canvas);
  if (width === 0 || values.length < 2) return;
  const x = (index) => width - 1 - (values.length - 1 - index) * ((width - 2) / 59);
  const y = (value) => height - 1.5 - (value / Math.max(highest, 0.1)) * (height - 3);
  pen.strokeStyle = colour("--requests");
  pen.lineWidth = 1.25;
  pen.beginPath();
  values.forEach((value, index) => pen.lineTo(x(index), y(value)));
  pen.stroke();
}
