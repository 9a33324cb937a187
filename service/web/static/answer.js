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

export function progress(text) {
  byId("progress").querySelector("progress").removeAttribute("value");
  tell(text, text);
}

// How far the probe is, and the gap so far; a sequential probe may end before its total.
export function measuring({ done, total, unit, problems, gap }, request) {
  const bar = byId("progress").querySelector("progress");
  bar.max = total;
  bar.value = done;
  const most = request.probe?.target_half_width ? "at most " : "";
  const rollouts = `${words.count(done)} of ${most}${words.count(total)} ${unit}`;
  const found = gap ? `Gap so far ${words.measured(gap)} ${words.POINTS} (SE) on ${words.count(problems)} problems` : "";
  tell(rollouts, String(Math.floor((4 * done) / total)), found);
}

// Drawn at every event, and spoken when the step is another one: at each quarter of a probe.
let spoken = "";

function tell(text, step, found = "") {
  byId("progress").hidden = false;
  byId("progress-text").textContent = text;
  byId("progress-gap").textContent = found;
  if (step !== spoken) byId("live").textContent = [text, found].filter(Boolean).join(". ");
  spoken = step;
}

// Shows a prediction in whatever state it is; one that has not ended shows its progress.
export function show(prediction) {
  clear();
  const { request } = prediction;
  byId("what").textContent = [request.model.name, request.task, words.context(request.context), words.when(prediction.created_at)].join(" · ");
  byId("what").hidden = false;
  if (!isTerminal(prediction)) {
    if (prediction.progress) measuring(prediction.progress, request);
    else progress(words.state(prediction.status));
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
  // what a law of undecided shape says beyond the stored gaps stands beside the interval
  const warnings = prediction.warnings.filter(({ code }) => code !== "link_undecided" || !improvement.branches.length);
  find("warnings").replaceChildren(...warnings.map((warning) => element("li", warning.message)));

  part("improvement").hidden = improvement.value === null;
  if (improvement.value !== null) fillImprovement(improvement);
  slot("gap", words.measured(gap));
  slot("student", `${words.percent(gap.student)} accuracy`);
  slot("self-teacher", `${words.percent(gap.self_teacher)} accuracy`);
  slot("net-gap", estimate(prediction.probe?.net_gap));
  slot("probe", gap.problems ? `${words.count(gap.problems)} problems × ${gap.rollouts} rollouts per arm` : "measured elsewhere");

  part("controls").hidden = !(controls.none || controls.placebo || controls.shuffled_feedback || controls.leak);
  for (const name of ["none", "placebo", "shuffled_feedback"]) slot(`control-${name}`, estimate(controls[name]));
  const leak = prediction.probe?.contexts_missing < 1 ? controls.leak : null; // nothing leaks where nothing was shown
  slot("leak-copied", leak && `${words.percent(leak.copied)} of self-teacher answers`);
  slot("leak-contains", leak && `${words.percent(leak.contains_answer)} of contexts`);

  part("probe").hidden = !prediction.probe;
  if (prediction.probe) fillProbe(prediction);

  slot("law-family", law.family);
  slot("law-recipe", words.recipe(request.recipe));
  slot("law-status", words.LAW_STATUS[law.status](law.n));
  fillLine(law);
  slot("law-fit", law.fit_id);
  find("law-fit").href = `/v1/fits/${encodeURIComponent(law.fit_id)}`;
  const held = cost.probe_gpu_hours ? `, ${words.gpuHours(cost.probe_gpu_hours)}` : "";
  slot("cost-probe", cost.probe_seconds === null ? null : `${words.duration(cost.probe_seconds)}${held}`);
  const drawn = prediction.probe?.cost;
  const reused = drawn?.rollouts_reused ? `, ${words.count(drawn.rollouts_reused)} reused from earlier probes` : "";
  slot("cost-rollouts", drawn ? `${words.count(drawn.rollouts_drawn)} drawn${reused}` : null);
  const training = cost.training_seconds_estimate;
  slot("cost-training", training === null ? "unknown" : `about ${words.duration(training)}`);
  slot("id", prediction.id);
  find("json").href = `/v1/predictions/${encodeURIComponent(prediction.id)}`;
}

// What a reader asks for second.
function fillProbe({ request, gap, probe }) {
  const { covariates, arms, engine } = probe;
  const ratio = covariates?.log_ratio;
  slot("headroom", covariates ? `${words.plainPoints(covariates.headroom)} points` : null);
  slot("pass-at-k", covariates ? words.passAtK(covariates.pass_at_k) : null);
  slot("spread", covariates ? `${words.plainPoints(covariates.mean_sd)} points (SD, mean over problems)` : null);
  slot("log-ratio", ratio ? `${words.decimal(ratio.mean)} nats per token; a tenth of the tokens carries ${words.percent(ratio.top_tenth)} of the change` : null);
  slot("truncated", words.truncated(arms));
  slot("missing", request.context.kind === "none" ? null : words.missing(probe.contexts_missing, arms.context.contexts_missing));
  slot("stopped", words.STOPPED[probe.stopped_by]?.(words.count(gap.problems), words.count(request.probe.problems)) ?? null);
  slot("engine", engine ? words.engine(engine) : null);
}

function estimate(found) {
  return found ? `${words.measured(found)} points` : null;
}

function fillLine(law) {
  const claimed = law.status === "fitted";
  const claim = (text) => (claimed ? text : "no claim below 3 observations");
  const between = (interval, word) => `(95 % confidence ${interval.map(word).join(" to ")})`;
  const improvement = (value, interval) => `${words.points(value)} ${words.POINTS} ${between(interval, words.points)}`;
  const common = law.at_common_gap; // none in an answer from before laws could bend
  const of = law.links.linear > 0.5 ? "points per point of gap" : "points per point of gap, at gap 0";
  slot("law-links", words.links(law.links));
  if (common) slot("law-common-gap", `At gap ${words.points(common.gap)}`);
  slot("law-common", law.depends_on_link ? claim(improvement(common.improvement, common.improvement_interval)) : null);
  slot("law-slope", law.depends_on_link ? null : claim(`${words.decimal(law.slope)} ${of} ${between(law.slope_interval, words.decimal)}`));
  slot("law-intercept", claim(improvement(law.intercept, law.intercept_interval)));
}

function fillImprovement({ value, intervals, branches, p_positive: positive, p_collapse: collapse }) {
  slot("improvement", words.points(value));
  const ends = [{ intervals }, ...branches].flatMap((one) => one.intervals).flatMap(({ lower, upper }) => [lower, upper]);
  const low = Math.min(0, ...ends);
  const high = Math.max(0, ...ends);
  const x = (share) => 5 + (90 * (share - low)) / (high - low);
  find("intervals").replaceChildren(...intervalRows(intervals, value, x));
  const heads = branches.length ? [rowHead("Beyond the stored gaps it depends on the law's shape:")] : [];
  const sides = branches.flatMap((branch) => [
    rowHead(`${words.sentence(words.branch(branch))}: ${words.points(branch.value)}`),
    ...intervalRows(branch.intervals, branch.value, x),
  ]);
  find("branches").replaceChildren(...heads, ...sides);
  const sure = positive === null ? "unknown" : `${words.probability(positive)} probability, if it does not collapse`;
  slot("p-positive", sure);
  slot("p-collapse", `${words.probability(collapse)} probability`);
}

function intervalRows(intervals, value, x) {
  return intervals.map(({ level, lower, upper }) => {
    const row = document.createElement("tr");
    const head = element("th", words.level(level));
    head.scope = "row";
    const picture = document.createElement("td");
    picture.append(strip(x(lower), x(upper), x(value), x(0)));
    row.append(head, number(words.points(lower)), number(words.points(upper)), picture);
    return row;
  });
}

function rowHead(text) {
  const row = document.createElement("tr");
  const head = element("th", text);
  head.scope = "rowgroup";
  head.colSpan = 4;
  row.append(head);
  return row;
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

// Null is what is not known: its row is not shown.
function slot(name, text) {
  const place = find(name);
  place.textContent = text;
  if (place.tagName === "DD") place.hidden = place.previousElementSibling.hidden = text === null;
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
