// The tables: observations behind the plot, past predictions with their outcomes, a run's evaluations, recent predictions
// and training runs.
import * as words from "/static/words.js";

export function showObservations(rows) {
  fill(document.getElementById("observations"), rows, (one) => {
    const row = tableRow([
      one.model,
      one.family,
      one.recipe,
      one.context.replaceAll("_", " "),
      { number: words.measured(one.gap) },
      { number: words.measured(one.improvement) },
      one.note,
    ]);
    row.dataset.mark = one.mark;
    return row;
  });
}

export function showOutcomes(rows) {
  fill(document.getElementById("outcomes"), rows, (one) => {
    const [lower, upper] = one.interval;
    return tableRow([
      { link: `/?prediction=${encodeURIComponent(one.prediction_id)}`, text: words.when(one.at), label: "Open its prediction" },
      { number: words.points(one.predicted) },
      { number: `${words.points(lower)} to ${words.points(upper)}` },
      { number: words.points(one.outcome) },
      one.inside ? "yes" : "no",
    ]);
  });
}

export function showEvaluations(rows) {
  fill(document.getElementById("evaluations"), rows ?? [], (one) =>
    tableRow([
      { number: words.count(one.step) },
      { number: words.percent(one.accuracy) },
      { number: words.measured(one.improvement) },
      { number: one.held_out ? words.measured(one.held_out) : "" },
    ]),
  );
}

function fill(details, rows, tableRowOf) {
  details.querySelector("[data-slot=count]").textContent = `(${words.count(rows.length)})`;
  details.querySelector("tbody").replaceChildren(...rows.map(tableRowOf));
}

export function showRecent(predictions, openId) {
  fillNewest("recent", "No predictions yet.", predictions, openId, (prediction) => {
    const { request } = prediction;
    return [
      { link: `/?prediction=${encodeURIComponent(prediction.id)}`, text: words.when(prediction.created_at), label: `Open ${request.model.name}, ${words.context(request.context)}` },
      request.model.name,
      request.task,
      words.context(request.context),
      { number: prediction.gap ? words.measured(prediction.gap) : "" },
      { number: improvement(prediction.improvement) },
      verdict(prediction),
    ];
  });
}

export function showRuns(runs, openId) {
  const empty = "None yet. Train an answered prediction with its button, or with gapcast train.";
  fillNewest("runs", empty, runs, openId, (run) => {
    const { model, context } = run.configuration;
    const { gap, improvement: gained, predicted } = run;
    return [
      { link: `/?run=${encodeURIComponent(run.id)}`, text: words.when(run.created_at), label: `Open run of ${model}, ${words.context(context)}, seed ${run.seed}` },
      model,
      words.context(context),
      { number: String(run.seed) },
      run.collapsed ? "Collapsed" : words.state(run.status),
      { number: step(run) },
      { number: gap ? words.measured(gap) : "" },
      { number: predicted && predicted.value !== null ? words.points(predicted.value) : "" },
      { number: gained ? words.measured(gained) : "" },
      covered(predicted),
      run.pool,
    ];
  });
}

function fillNewest(id, nothing, rows, openId, cellsOf) {
  const table = document.getElementById(id);
  table.hidden = rows.length === 0;
  const empty = document.getElementById(`${id}-empty`);
  empty.textContent = nothing;
  empty.hidden = rows.length > 0;
  const made = rows.map((one) => {
    const row = tableRow(cellsOf(one));
    if (one.id === openId) row.setAttribute("aria-current", "true");
    return row;
  });
  table.tBodies[0].replaceChildren(...made);
}

// What a run has come to; one that stopped on its way, to its last checkpoint.
function step({ status, stopped_by: stopped, progress, checkpoint, configuration }) {
  const total = configuration.recipe.steps;
  const whole = status === "succeeded" && stopped === "steps";
  const done = whole ? total : progress?.done ?? checkpoint?.step ?? 0;
  return `${words.count(done)} of ${words.count(total)}`;
}

function covered(predicted) {
  const interval = predicted && words.judged(predicted);
  if (!interval || interval.covered === null) return "";
  return `${interval.covered ? "inside" : "outside"} ${words.level(interval.level)}`;
}

function improvement(found) {
  if (!found || found.value === null) return "";
  const { lower, upper } = found.intervals.reduce((widest, one) => (one.level > widest.level ? one : widest));
  return `${words.points(found.value)}  (${words.points(lower)} to ${words.points(upper)})`;
}

function verdict(prediction) {
  return prediction.verdict ? words.VERDICTS[prediction.verdict][0] : words.state(prediction.status);
}

function tableRow(cells) {
  const row = document.createElement("tr");
  for (const cell of cells) {
    const td = row.insertCell();
    if (typeof cell === "string") {
      td.textContent = cell;
    } else if (cell.link) {
      const link = document.createElement("a");
      link.href = cell.link;
      link.textContent = cell.text;
      link.setAttribute("aria-label", `${cell.text}: ${cell.label}`);
      td.append(link);
    } else {
      td.className = "number";
      td.textContent = cell.number;
    }
  }
  return row;
}
