// Draws what /stats.json says, once a second. What was seen is kept for five minutes, in this page
// alone; numbers only grow, so that rates are differences.
"use strict";

const keptSeconds = 300;
// A page just opened shows one minute, and more as it comes.
const leastSeconds = 60;
const rateSeconds = 5;
const paceSeconds = 60;
const maxRanks = 512;
const svgNames = "http://www.w3.org/2000/svg";
const looks = [];
const points = [];

const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const isDrawing = ["svg", "polyline", "line", "text", "rect"].includes(name);
  const made = isDrawing ? document.createElementNS(svgNames, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// MARK: words

function digits(value) {
  if (value === 0 || value >= 99.95) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (count >= 999.5 && unit < units.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(count) : digits(count)} ${units[unit]}`;
}

function time(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1e-3) return `${digits(seconds * 1e6)} µs`;
  if (seconds < 1) return `${digits(seconds * 1e3)} ms`;
  return `${digits(seconds)} s`;
}

function clock(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return "–";
  const all = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(all / 3600);
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
  const minutes = Math.floor(all / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}

function percent(share) {
  if (share === null) return "–";
  if (share > 0 && share < 1) return `${Math.min(99.9, Math.max(0.1, share * 100)).toFixed(1)} %`;
  return `${Math.round(share * 100)} %`;
}

// MARK: two looks

// About how long the given share took at most: buckets double from 4 µs.
function quantile(now, then, share) {
  const counts = now.map((histogram, number) =>
    histogram.counts.map((count, bucket) => Math.max(0, count - (then[number].counts[bucket] || 0)))
  ).reduce((sum, counts) => counts.map((count, bucket) => count + (sum[bucket] || 0)), []);
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let below = 0;
  for (let bucket = 0; bucket < counts.length; bucket += 1) {
    if (below + counts[bucket] >= all * share && counts[bucket] > 0) {
      const lower = bucket === 0 ? 0 : 4e-6 * 2 ** (bucket - 1);
      if (bucket === counts.length - 1) return lower;
      const upper = 4e-6 * 2 ** bucket;
      return lower + (upper - lower) * (all * share - below) / counts[bucket];
    }
    below += counts[bucket];
  }
  return null;
}

function lookBefore(seconds) {
  const last = looks[looks.length - 1];
  for (let number = looks.length - 2; number >= 0; number -= 1) {
    if (last.uptimeSeconds - looks[number].uptimeSeconds >= seconds) return looks[number];
  }
  return looks[0];
}

function samples(look) {
  return look.ranks.reduce((sum, rank) => sum + rank.samples, 0);
}

function report() {
  const now = looks[looks.length - 1];
  const then = lookBefore(rateSeconds);
  const seconds = now.uptimeSeconds - then.uptimeSeconds;
  const rate = (value) => Math.max(0, value(now) - value(then)) / seconds;
  const hits = rate((look) => look.reads.hits);
  const waits = rate((look) => look.reads.waits);
  const reads = (look) => [look.reads.hitSeconds, look.reads.waitSeconds];
  const requests = (look) => [look.store.requestSeconds];
  return {
    at: now.uptimeSeconds,
    read: rate((look) => look.reads.bytes),
    network: rate((look) => look.store.bytesReceived),
    samples: rate(samples),
    hitRate: hits + waits > 0 ? hits / (hits + waits) : null,
    readMedian: quantile(reads(now), reads(then), 0.5),
    readSlow: quantile(reads(now), reads(then), 0.99),
    getMedian: quantile(requests(now), requests(then), 0.5),
    getSlow: quantile(requests(now), requests(then), 0.99),
    retries: rate((look) => look.store.retries),
  };
}

// MARK: figures

function figure(name, value, note) {
  return element("div", { class: "card" },
    element("div", { class: "name" }, name),
    element("div", { class: "value" }, value),
    element("div", { class: "note" }, note));
}

function showFigures(now, point) {
  const cache = now.cache;
  const used = Math.max(cache.memoryBytes, cache.diskBytes);
  const limit = now.store.inFlightLimit > 0 ? ` of ${now.store.inFlightLimit}` : "";
  const causes = Object.entries(now.store.retriesByCause).filter(([, count]) => count > 0)
    .sort((left, right) => right[1] - left[1]).map(([cause, count]) => `${count} ${cause}`);
  byId("figures").replaceChildren(
    figure("read", `${bytes(point.read)}/s`, `${digits(point.samples)} samples/s`),
    figure("hit rate", percent(point.hitRate), `${now.reads.waiting} waiting now`),
    figure("read latency", time(point.readMedian), `99 %: ${time(point.readSlow)}`),
    figure("network", `${bytes(point.network)}/s`, `${now.store.inFlight}${limit} in flight`),
    figure("retries", `${digits(point.retries)} /s`,
      now.store.isThrottled ? "throttled now" : causes.join(", ") || "none since mount"),
    figure("cache", bytes(used), `${percent(used / cache.budgetBytes)} of ${bytes(cache.budgetBytes)}`),
  );
}

// MARK: plots

const plots = [
  { title: "throughput", series: [["read", "read"], ["network", "network"]], text: (value) => `${bytes(value)}/s` },
  { title: "hit rate", series: [["hitRate", "hits"]], text: percent, top: 1 },
  { title: "read latency", series: [["readMedian", "median"], ["readSlow", "99 %"]], text: time },
  { title: "request latency", series: [["getMedian", "median"], ["getSlow", "99 %"]], text: time },
];
const size = { width: 480, height: 150, left: 4, right: 4, top: 16, bottom: 16 };

// A round number not below the greatest: 1, 2 or 5 times a power of ten.
function roundTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value * 0.999);
}

function draw(plot) {
  const last = points[points.length - 1];
  const values = plot.series.flatMap(([key]) => points.map((point) => point[key] ?? 0));
  const top = plot.top ?? roundTop(Math.max(...values));
  const seconds = Math.min(keptSeconds, Math.max(leastSeconds, last.at - points[0].at));
  const x = (at) => size.width - size.right
    - (last.at - at) / seconds * (size.width - size.left - size.right);
  const y = (value) => size.height - size.bottom
    - Math.min(1, value / top) * (size.height - size.top - size.bottom);
  const svg = element("svg", {
    viewBox: `0 0 ${size.width} ${size.height}`, preserveAspectRatio: "none", role: "img",
    "aria-label": `${plot.title} over the last ${clock(seconds)} minutes`,
  });
  for (const part of [0, 0.5, 1]) {
    svg.append(element("line", {
      class: "grid", x1: size.left, x2: size.width - size.right, y1: y(part * top), y2: y(part * top),
    }));
  }
  svg.append(element("text", { x: size.left, y: size.top - 4 }, plot.text(top)));
  svg.append(element("text", { x: size.left, y: size.height - 3 }, `${clock(seconds)} ago`));
  svg.append(element("text", { x: size.width - size.right, y: size.height - 3, "text-anchor": "end" }, "now"));
  const caption = element("figcaption", {}, element("b", {}, plot.title));
  plot.series.forEach(([key, name], number) => {
    const style = number === 0 ? "first" : "second";
    // Where nothing was measured the line has a gap.
    let run = [];
    const end = () => {
      if (run.length > 0) svg.append(element("polyline", { class: style, points: run.join(" ") }));
      run = [];
    };
    for (const point of points) {
      if (point[key] === null) end();
      else run.push(`${x(point.at).toFixed(1)},${y(point[key]).toFixed(1)}`);
    }
    end();
    caption.append(element("span", { class: style }, `${name} ${plot.text(last[key])}`));
  });
  return element("figure", { class: "card" }, caption, svg);
}

// MARK: ranks

function shares(rank, before) {
  const parts = ["network", "throttle", "reader"].map((cause) => {
    const key = `${cause}Seconds`;
    return [cause, Math.max(0, rank[key] - (before ? before[key] : 0))];
  });
  const sum = parts.reduce((all, [, seconds]) => all + seconds, 0);
  const svg = element("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img" });
  let start = 0;
  const words = [];
  for (const [cause, seconds] of parts) {
    const width = sum > 0 ? seconds / sum * 100 : cause === "reader" ? 100 : 0;
    svg.append(element("rect", { class: cause, x: start, y: 0, width, height: 10 }));
    words.push(`${cause} ${percent(width / 100)}`);
    start += width;
  }
  svg.setAttribute("aria-label", words.join(", "));
  return element("div", { class: "share", title: words.join(", ") }, svg);
}

function showRanks(now) {
  const name = (rank) => `${rank.split}/${rank.rank}`;
  const index = (look) => new Map(look.ranks.map((rank) => [name(rank), rank]));
  const then = lookBefore(rateSeconds);
  const before = index(then);
  const old = lookBefore(paceSeconds);
  const atPaceStart = index(old);
  const seconds = Math.max(1e-3, now.uptimeSeconds - then.uptimeSeconds);
  const rows = now.ranks.slice(0, maxRanks).map((rank) => {
    const last = before.get(name(rank));
    const gone = rank.samples - (atPaceStart.get(name(rank))?.samples ?? 0);
    const pace = gone / Math.max(1, now.uptimeSeconds - old.uptimeSeconds);
    const isKnown = rank.length !== null && rank.length !== undefined;
    const left = isKnown ? rank.length - rank.consumed : null;
    const toGo = left === null ? null : left <= 0 ? 0 : pace > 0 ? left / pace : null;
    const bar = isKnown
      ? element("progress", { max: Math.max(1, rank.length), value: rank.consumed, "aria-label": name(rank) })
      : "not all counted";
    const count = rank.consumed.toLocaleString("en-US");
    return element("tr", {},
      element("td", {}, name(rank)),
      element("td", { class: "number" }, String(rank.epoch)),
      element("td", {}, bar),
      element("td", { class: "number" }, isKnown ? `${count} of ${rank.length.toLocaleString("en-US")}` : count),
      element("td", { class: "number" }, digits(Math.max(0, rank.samples - (last?.samples ?? 0)) / seconds)),
      element("td", { class: "number" }, clock(toGo)),
      element("td", {}, shares(rank, last)));
  });
  byId("ranks").replaceChildren(...rows);
  byId("ranksummary").textContent = now.ranks.length === 0 ? "none has been read yet"
    : now.ranks.length > maxRanks ? `the first ${maxRanks} of ${now.ranks.length}` : "";
}

// MARK: looks

async function ask(path) {
  const reply = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(5000) });
  if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
  return reply.json();
}

async function look() {
  const now = await ask("stats.json");
  const last = looks[looks.length - 1];
  if (last && now.uptimeSeconds < last.uptimeSeconds) {
    looks.length = 0;
    points.length = 0;
  }
  if (last && now.uptimeSeconds === last.uptimeSeconds) return;
  looks.push(now);
  while (looks.length > 2 && now.uptimeSeconds - looks[1].uptimeSeconds >= paceSeconds) looks.shift();
  byId("state").className = "";
  byId("state").textContent = `up ${clock(now.uptimeSeconds)}`;
  if (looks.length < 2) return;
  const point = report();
  points.push(point);
  while (points.length > 1 && point.at - points[0].at > keptSeconds) points.shift();
  showFigures(now, point);
  byId("plots").replaceChildren(...plots.map(draw));
  showRanks(now);
}

async function run() {
  for (;;) {
    try {
      if (!byId("remote").textContent) {
        const mount = await ask("config.json");
        byId("remote").textContent = mount.remote;
        byId("mountpoint").textContent = `on ${mount.mountpoint}, world size ${mount.worldSize},`;
        byId("version").textContent = mount.program;
        document.title = `wdsfs ${mount.remote}`;
      }
      await look();
    } catch (error) {
      byId("state").className = "bad";
      byId("state").textContent = "the mount does not answer; the numbers are old";
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

run();
