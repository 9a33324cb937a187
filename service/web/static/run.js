// Shows one training run: how far it is, what it measured beside what was predicted, and its curves.
import { isTerminal } from "/static/api.js";
import { Chart } from "/static/chart.js";
import { showEvaluations } from "/static/tables.js";
import * as words from "/static/words.js";

const byId = (id) => document.getElementById(id);
const panel = byId("run");
const curves = { accuracy: new Chart(byId("run-chart")), loss: new Chart(byId("run-loss")) };
const QUARTERS = 4; // of the steps that are spoken
let live = {}; // what the events have told of the run that is shown
let spoken = "";

export function hide() {
  panel.hidden = true;
}

// What no run can be shown for.
export function fail(message) {
  begin();
  byId("run-facts").hidden = true;
  for (const id of ["run-what", "run-nothing", "run-key", "evaluations"]) byId(id).hidden = true;
  draw({ accuracy: null, loss: null });
  complain(message);
}

// Forgets what was told of the run before.
export function begin() {
  panel.hidden = false;
  live = {};
  spoken = byId("run-live").textContent = "";
  complain("");
}

export function complain(message) {
  byId("run-error").textContent = message;
  byId("run-error").hidden = !message;
}

export function busy(waiting) {
  for (const button of byId("run-buttons").children) button.disabled = waiting;
}

export function show(run) {
  byId("run-facts").hidden = byId("run-what").hidden = false;
  const { model, task, context, recipe } = run.configuration;
  byId("run-what").textContent = [model, task, words.context(context), `seed ${run.seed}`, `pool ${run.pool}`, words.when(run.created_at)].join(" · ");
  live.steps = recipe.steps;
  live.progress = run.progress ?? live.progress;
  const ended = isTerminal(run);
  byId("run-pause").hidden = ended || run.status === "paused";
  byId("run-resume").hidden = run.status !== "paused";
  byId("run-cancel").hidden = ended;
  byId("run-progress").hidden = ended;
  if (ended) showEnd(run);
  else tell(live.asked || live.happened || now(run));
  find("warnings").replaceChildren(...run.warnings.map((warning) => element("li", warning.message)));
  fill(run);
  showEvaluations(run.evaluations);
  byId("evaluations").hidden = !run.evaluations?.length;
}

export async function draw({ accuracy, loss }) {
  byId("run-key").hidden = !accuracy;
  byId("run-nothing").hidden = Boolean(accuracy);
  for (const name of ["held-out", "predicted"]) {
    const rows = accuracy?.datasets[name.replace("-", "_")] ?? [];
    byId("run-key").querySelector(`[data-key=${name}]`).hidden = rows.length === 0;
  }
  await Promise.all([curves.accuracy.show(accuracy), curves.loss.show(loss)]);
}

// Takes an event; a step is shown without asking the server again.
export function happened({ type, data }) {
  if (type in words.ASKED) {
    live.asked = words.ASKED[type];
  } else if (type in words.HAPPENED) {
    live.happened = words.HAPPENED[type];
    if (type !== "training.resumed") live.asked = "";
  } else if (type === "training.progress") {
    live.progress = data;
    live.happened = "";
  } else if (type === "training.metrics") {
    live.loss = data.loss === null ? "no context, no loss" : `loss ${Number(data.loss.toPrecision(3))} nats per token`;
  } else if (type === "training.gap") {
    live.accuracy = `accuracy ${words.percent(data.baseline)} before training`;
  } else if (type === "training.evaluated") {
    live.accuracy = `accuracy ${words.percent(data.accuracy)} at step ${words.count(data.step)}`;
  } else {
    return;
  }
  tell(live.asked || live.happened || now({ progress: live.progress, status: "running" }));
}

function now({ progress, status }) {
  if (!progress || status !== "running") return words.state(status);
  return words.PHASES[progress.phase] ?? progress.phase;
}

// Drawn at every event; spoken when the run does something else, and at each quarter.
export function tell(headline) {
  const { progress, steps } = live;
  const bar = byId("run-progress").querySelector("progress");
  const counted = progress && progress.phase !== "baseline";
  if (counted) [bar.max, bar.value] = [progress.total, progress.done];
  else bar.removeAttribute("value");
  const step = counted ? `step ${words.count(progress.done)} of ${words.count(progress.total)}` : `${words.count(steps)} steps`;
  headlined(headline, step, "");
  slot("latest", [live.loss, live.accuracy].filter(Boolean).join(" · "));
  const quarter = counted ? Math.floor((QUARTERS * progress.done) / progress.total) : 0;
  say(`${headline}, ${step}`, `${headline} ${quarter}`);
}

function headlined(headline, text, verdict) {
  slot("headline", headline);
  slot("text", text);
  find("box").dataset.verdict = verdict;
}

function say(text, what) {
  if (what !== spoken) byId("run-live").textContent = text;
  spoken = what;
}

function showEnd(run) {
  if (run.status !== "succeeded") {
    headlined(words.state(run.status), run.error?.message ?? "", run.status === "cancelled" ? "" : "refused");
  } else if (run.collapsed) {
    const stopped = run.stopped_by === "collapse" ? ", and the run ended there" : "";
    headlined("Collapsed", `Half of the accuracy before training was lost beyond noise${stopped}.`, "refused");
  } else {
    headlined(...judgement(run));
  }
  say(`${find("headline").textContent}. ${find("text").textContent}`, run.status);
}

function judgement({ predicted, improvement }) {
  const interval = predicted && words.judged(predicted);
  const gained = `Its accuracy changed by ${words.points(improvement.value)} ${words.POINTS}`;
  if (!interval) return ["Succeeded", `${gained}.`, "train"];
  const off = improvement.value - predicted.value;
  const text = `${gained}, ${words.plainPoints(Math.abs(off))} ${off < 0 ? "less" : "more"} than predicted.`;
  return [`${interval.covered ? "Inside" : "Outside"} its ${words.level(interval.level)} interval`, text, interval.covered ? "train" : ""];
}

function fill(run) {
  const { gap, improvement, predicted, checkpoint, artifact, cost } = run;
  const best = improvement?.best ?? null;
  const held = improvement?.held_out ?? null;
  slot("measured", improvement && `${words.measured(improvement)} ${words.POINTS} (SE)`);
  slot("predicted", predicted && prediction(predicted));
  slot("gap", gap && `${words.measured(gap)} ${words.POINTS} (SE)`);
  slot("before", gap && `student ${words.percent(gap.student)}, self-teacher ${words.percent(gap.self_teacher)}`);
  slot("best", best && `${words.count(best.step)}: ${words.measured(best)}, chosen by its value, so too high`);
  slot("held-out", held && `${words.measured(held)} on ${words.count(held.problems)} problems, ${words.percent(held.baseline)} before`);
  slot("checkpoint", checkpoint && run.status !== "succeeded" && run.status !== "cancelled" ? `step ${words.count(checkpoint.step)}, ${words.size(checkpoint.bytes)}, ${words.when(checkpoint.created_at)}` : null);
  slot("artifact", artifact && `${artifact.path} (${artifact.kind === "lora" ? "LoRA adapter" : "model"} of step ${words.count(artifact.step)}, ${words.size(artifact.bytes)})`);
  slot("cost", cost && [words.duration(cost.seconds), cost.gpu_hours ? words.gpuHours(cost.gpu_hours) : null, cost.rollouts ? `${words.count(cost.rollouts)} rollouts` : null].filter(Boolean).join(", "));
  link("observation", run.observation_id, "/v1/observations/");
  link("prediction", run.prediction_id, "/?prediction=");
  find("json").href = `/v1/training_runs/${encodeURIComponent(run.id)}`;
  slot("id", run.id);
}

function prediction({ value, intervals }) {
  if (value === null) return "no number: the law refused";
  const said = intervals.map(({ level, lower, upper, covered }) => {
    const held = covered === null ? "" : covered ? ", held" : ", missed";
    return `${words.level(level)}: ${words.points(lower)} to ${words.points(upper)}${held}`;
  });
  return `${words.points(value)} ${words.POINTS} (${said.join("; ")})`;
}

function link(name, id, address) {
  const place = find(name);
  const row = place.parentElement;
  row.hidden = row.previousElementSibling.hidden = id === null;
  if (id === null) return;
  place.href = `${address}${encodeURIComponent(id)}`;
  place.title = id;
  place.textContent = words.shortId(id);
}

function find(name) {
  return panel.querySelector(`[data-slot="${name}"]`);
}

// Null is what is not known: its row is not shown.
function slot(name, text) {
  const place = find(name);
  place.textContent = text;
  if (place.tagName === "DD") place.hidden = place.previousElementSibling.hidden = text === null;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
