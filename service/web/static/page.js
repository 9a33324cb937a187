// The page: opens predictions and training runs, follows predictions live, and keeps the plot, the form and the address
// in step.
import { ApiError, follow, get, isTerminal, post } from "/static/api.js";
import * as answer from "/static/answer.js";
import { PredictionForm } from "/static/form.js";
import { showLaw, showNoLaw } from "/static/law.js";
import { showPast } from "/static/past.js";
import { showRecent } from "/static/tables.js";
import * as training from "/static/training.js";

const byId = (id) => document.getElementById(id);
const form = new PredictionForm(predict);
const LATEST = new Set(["queued", "running", "succeeded"]);
const STAGES = { "prediction.created": "Waiting for a worker", "job.started": "Loading the model" };
let opened = null; // the prediction that is shown
let drawings = 0; // an answer that comes after a later question is dropped
let following = new AbortController();

async function predict() {
  form.clearErrors();
  form.busy(true);
  try {
    const prediction = await post("/v1/predictions", form.body(byId("pool").value));
    history.pushState(null, "", `/?prediction=${encodeURIComponent(prediction.id)}`);
    training.open(null);
    openPrediction(prediction);
    showPanel("answer-title");
  } catch (error) {
    form.fail(known(error));
  } finally {
    form.busy(false);
  }
}

async function openPrediction(prediction) {
  following.abort();
  following = new AbortController();
  const { signal } = following;
  opened = prediction;
  byId("pool").value = prediction.request.pool;
  answer.show(prediction);
  showRecentOnes();
  if (!isTerminal(prediction)) {
    byId("cancel").disabled = false;
    await drawChart(); // the law, while its prediction is measured
    const lost = () => answer.progress("The server does not answer; trying again");
    try {
      prediction = await follow(`/v1/predictions/${encodeURIComponent(prediction.id)}`, progress, lost, signal);
    } catch (error) {
      if (!signal.aborted) answer.fail(known(error).message);
      return;
    }
    opened = prediction;
    answer.show(prediction);
    showRecentOnes();
  }
  if (prediction.status === "succeeded") training.offer(prediction);
  if (prediction.error?.param) form.fail(prediction.error);
  await drawChart();
}

function progress(event) {
  if (event.type === "probe.progress") answer.measuring(event.data, opened.request);
  else if (STAGES[event.type]) answer.progress(STAGES[event.type]);
  if (event.type === "job.started") showRecentOnes();
}

// Draws the law that a query names: a family and its recipe; without one that of the opened prediction, if it is of the
// pool, else the largest.
async function drawChart(law = "") {
  const mine = ++drawings;
  const pool = byId("pool").value;
  const query = new URLSearchParams(law);
  query.set("pool", pool);
  if (opened) query.set("prediction", opened.id);
  try {
    let data = await get(`/web/chart.json?${query}`);
    if (data.spec && !data.fit) {
      await get(`/v1/fits/current?${new URLSearchParams({ pool })}`); // fits what is not fitted yet
      data = await get(`/web/chart.json?${query}`);
    }
    if (mine !== drawings) return;
    showPast(data.fit);
    await showLaw(data);
  } catch (error) {
    const { message } = known(error);
    if (mine !== drawings) return;
    showPast(null);
    await showNoLaw(message);
  }
}

async function showRecentOnes() {
  try {
    const { data } = await get("/v1/predictions?limit=10");
    showRecent(data, opened?.id);
    return data;
  } catch (error) {
    byId("recent-empty").textContent = known(error).message;
    byId("recent-empty").hidden = false;
    return [];
  }
}

function showPanel(title, block = "nearest") {
  byId(title).parentElement.scrollIntoView({ block });
}

function runEnded(run) {
  if (opened?.id === run.prediction_id) training.offer(opened);
  drawChart(byId("family").value); // with its observation
}

function lawOf({ family, configuration }) {
  const { teacher, divergence } = configuration.recipe;
  return new URLSearchParams({ family, teacher, divergence });
}

// Opens what the address names: a training run with its prediction, a prediction, or the latest prediction of the pool.
async function openAddress() {
  const query = new URLSearchParams(location.search);
  const run = await training.open(query.get("run"));
  training.list();
  const id = run ? run.prediction_id : query.get("prediction");
  if (!id) {
    following.abort();
    opened = null;
    answer.nothing();
    const recent = await showRecentOnes();
    if (run) byId("pool").value = run.pool;
    const named = query.has("run");
    if (named) showPanel("run-title", "start");
    const latest = !named && recent.find(({ status, request }) => LATEST.has(status) && request.pool === byId("pool").value);
    await (latest ? openPrediction(latest) : drawChart(run ? lawOf(run) : ""));
    return;
  }
  try {
    const prediction = await get(`/v1/predictions/${encodeURIComponent(id)}`);
    form.show(prediction.request);
    const ended = openPrediction(prediction);
    if (run) showPanel("run-title", "start");
    else showPanel("answer-title");
    await ended;
  } catch (error) {
    answer.fail(known(error).message);
    await Promise.all([drawChart(), showRecentOnes()]);
  }
}

// What the page can show; anything else is a fault of ours and belongs in the console.
function known(error) {
  if (error instanceof ApiError) return error;
  throw error;
}

byId("cancel").addEventListener("click", async () => {
  byId("cancel").disabled = true;
  try {
    await post(`/v1/predictions/${encodeURIComponent(opened.id)}/cancel`);
  } catch (error) {
    if (known(error).status !== 409) answer.fail(known(error).message); // 409: it has ended by itself
  }
});
byId("view").addEventListener("submit", (event) => event.preventDefault());
byId("pool").addEventListener("change", () => byId("pool").reportValidity() && drawChart());
byId("family").addEventListener("change", ({ target }) => drawChart(target.value));
addEventListener("popstate", openAddress);
training.listen(() => showPanel("run-title", "start"), runEnded);

await form.load().catch((error) => form.fail(known(error)));
await openAddress();
