// Shows one prediction: what was asked, how far it is, and its numbers.
import { isTerminal } from "/static/api.js";
import * as words from "/static/words.js";

const byId = (id) => document.getElementById(id);
const article = byId("answer");

function clear() {
  for (const id of ["answer-empty", "progress", "answer-error", "answer"]) byId(id).hidden = true;
  byId("live").textContent = "";
}

export function nothing() {
  clear();
  byId("what").hidden = true;
  byId("answer-empty").hidden = false;
}

export function fail(message) {
  clear();
  byId("answer-error").textContent = message;
  byId("answer-error").hidden = false;
}

// Progress is spoken in steps of a quarter and when the arm changes, and drawn at every event.
let spoken = "";

export function progress(text, done = null, unit = "", arm = "") {
  byId("progress").hidden = false;
  const bar = byId("progress").querySelector("progress");
  let shown = text;
  if (done) {
    bar.max = done.total;
    bar.value = done.done;
    shown = `${words.count(done.done)} of ${words.count(done.total)} ${unit}${words.arm(arm)}`;
  } else {
    bar.removeAttribute("value");
  }
  byId("progress-text").textContent = shown;
  const step = done ? `${Math.floor((4 * done.done) / done.total)}${arm}` : text;
  if (step !== spoken) byId("live").textContent = shown;
  spoken = step;
}

// Shows a prediction in whatever state it is; one that has not ended shows its progress.
export function show(prediction) {
  clear();
  const { request } = prediction;
  byId("what").textContent = [request.model.name, request.task, words.context(request.context), words.when(prediction.created_at)].join(" · ");
  byId("what").hidden = false;
  if (!isTerminal(prediction)) {
    const now = prediction.progress;
    progress(words.state(prediction.status), now?.total ? now : null, now?.unit, now?.arm);
    return;
  }
  if (prediction.status !== "succeeded") {
    const reason = prediction.error ? `: ${prediction.error.message}` : ".";
    fail(`${words.state(prediction.status)}${reason}`);
    return;
  }
  fill(prediction);
  article.hidden = false;
  const [verdict] = words.VERDICTS[prediction.verdict];
  const value = prediction.improvement.value;
  byId("live").textContent = value === null ? verdict : `${verdict}: ${words.points(value)} ${words.POINTS} predicted.`;
}

function fill(prediction) {
  const { request, gap, controls, improvement, law, cost } = prediction;
  const [verdict, text] = words.VERDICTS[prediction.verdict];
  const gain = `${request.min_gain ? words.points(request.min_gain) : "0"} ${words.POINTS}`;
  slot("verdict", verdict);
  slot("verdict-text", text.replace("{gain}", gain));
  find("verdict-box").dataset.verdict = prediction.verdict;
  find("warnings").replaceChildren(...prediction.warnings.map((warning) => element("li", warning.message)));

  part("improvement").hidden = improvement.value === null;
  if (improvement.value !== null) fillImprovement(improvement);
  slot("gap", words.measured(gap));
  slot("student", `${words.percent(gap.student)} accuracy`);
  slot("self-teacher", `${words.percent(gap.self_teacher)} accuracy`);
  slot("probe", gap.problems ? `${words.count(gap.problems)} problems × ${gap.rollouts} rollouts per arm` : "measured elsewhere");

  part("controls").hidden = !(controls.none || controls.placebo || controls.leak);
  for (const name of ["none", "placebo"]) {
    slot(`control-${name}`, controls[name] ? `${words.measured(controls[name])} ${words.POINTS}` : "not run");
  }
  slot("leak-copied", controls.leak ? `${words.percent(controls.leak.copied)} of self-teacher answers` : "not measured");
  slot("leak-contains", controls.leak ? `${words.percent(controls.leak.contains_answer)} of contexts` : "not measured");

  slot("law-family", law.family);
  slot("law-status", words.LAW_STATUS[law.status](law.n));
  fillLine(law);
  slot("law-fit", law.fit_id);
  find("law-fit").href = `/v1/fits/${encodeURIComponent(law.fit_id)}`;
  slot("cost-probe", cost.probe_seconds === null ? "none: a stored probe answered" : words.duration(cost.probe_seconds));
  const training = cost.training_seconds_estimate;
  slot("cost-training", training === null ? "unknown" : `about ${words.duration(training)}`);
  slot("id", prediction.id);
  find("json").href = `/v1/predictions/${encodeURIComponent(prediction.id)}`;
}

function fillLine(law) {
  const claimed = law.status === "fitted";
  const between = (interval, word) => `(95 % confidence ${interval.map(word).join(" to ")})`;
  slot("law-slope", claimed ? `${words.decimal(law.slope)} points per point of gap ${between(law.slope_interval, words.decimal)}` : "no claim below 3 observations");
  slot("law-intercept", claimed ? `${words.points(law.intercept)} ${words.POINTS} ${between(law.intercept_interval, words.points)}` : "no claim below 3 observations");
}

function fillImprovement(improvement) {
  slot("improvement", words.points(improvement.value));
  const ends = improvement.intervals.flatMap(({ lower, upper }) => [lower, upper]);
  const low = Math.min(0, ...ends);
  const high = Math.max(0, ...ends);
  const x = (share) => 5 + (90 * (share - low)) / (high - low);
  const rows = improvement.intervals.map(({ level, lower, upper }) => {
    const row = document.createElement("tr");
    const head = element("th", words.level(level));
    head.scope = "row";
    const picture = document.createElement("td");
    picture.append(strip(x(lower), x(upper), x(improvement.value), x(0)));
    row.append(head, number(words.points(lower)), number(words.points(upper)), picture);
    return row;
  });
  find("intervals").replaceChildren(...rows);
  const sure = improvement.p_positive === null ? "unknown" : `${words.probability(improvement.p_positive)} probability, if it does not collapse`;
  slot("p-positive", sure);
  slot("p-collapse", `${words.probability(improvement.p_collapse)} probability`);
}

// A small drawing of an interval beside zero; the numbers in its row say the same.
function strip(lower, upper, value, zero) {
  const svg = drawn("svg", { viewBox: "0 0 100 12", class: "strip", "aria-hidden": "true" });
  svg.append(
    drawn("line", { x1: zero, x2: zero, y1: 0, y2: 12, class: "zero" }),
    drawn("line", { x1: lower, x2: upper, y1: 6, y2: 6, class: "range" }),
    drawn("circle", { cx: value, cy: 6, r: 3 }),
  );
  return svg;
}

function drawn(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function find(name) {
  return article.querySelector(`[data-slot="${name}"]`);
}

function part(name) {
  return article.querySelector(`[data-part="${name}"]`);
}

function slot(name, text) {
  find(name).textContent = text;
}

function number(text) {
  const cell = element("td", text);
  cell.className = "number";
  return cell;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
