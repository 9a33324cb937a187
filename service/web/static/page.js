// The page: opens predictions, training runs, comparisons and recommendations, follows predictions live, and keeps the
// plot, the form and the address in step.
import { ApiError, LOST, follow, get, isTerminal, paced, post } from "/static/api.js";
import * as answer from "/static/answer.js";
import { comparison, recommendation } from "/static/followed.js";
import { PredictionForm } from "/static/form.js";
import { showLaw, showNoLaw } from "/static/law.js";
import { showPast } from "/static/past.js";
import { part, put } from "/static/parts.js";
import * as training from "/static/training.js";

const byId = (id) => document.getElementById(id);
const form = new PredictionForm(predict);
const LATEST = new Set(["queued", "running", "succeeded"]);
const REFRESH_MS = 200; // between two looks at a prediction whose events come faster than anybody reads
const WAITING_MS = 5000; // between two looks at one that waits, which has no events
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
    closeFollowed();
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
  training.offer(prediction);
  showAnswer(prediction);
  showRecentOnes();
  if (!isTerminal(prediction)) {
    byId("cancel").disabled = false;
    await drawChart(); // the law, while its prediction is measured
    const pacing = paced(() => !signal.aborted && showAnswer(opened), REFRESH_MS);
    const waiting = setInterval(() => "waits" in byId("progress-text").dataset && pacing.soon(), WAITING_MS);
    const took = ({ type }) => (pacing.soon(), type === "job.started" && showRecentOnes());
    try {
      prediction = await follow(`/v1/predictions/${encodeURIComponent(prediction.id)}`, took, () => answer.progress(LOST), signal);
    } catch (error) {
      if (!signal.aborted) answer.fail(known(error).message);
      return;
    } finally {
      clearInterval(waiting);
    }
    pacing.stop();
    opened = prediction;
    showAnswer(prediction);
    showRecentOnes();
  }
  if (prediction.error?.param) form.fail(prediction.error);
  await drawChart();
}

// A server that does not answer while a prediction goes on is told of by what follows it.
function showAnswer(prediction) {
  return answer.show(prediction).catch((error) => {
    if (known(error).status || isTerminal(prediction)) answer.fail(error.message);
  });
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
    put(await part(`/web/predictions?${new URLSearchParams(opened ? { opened: opened.id } : {})}`));
  } catch (error) {
    byId("recent-empty").textContent = known(error).message;
    byId("recent-empty").hidden = false;
  }
}

function showPanel(title, block = "nearest") {
  byId(title).parentElement.scrollIntoView({ block });
}

function closeFollowed() {
  comparison.open(null);
  recommendation.open(null);
}

function runEnded(run) {
  if (opened?.id === run.prediction_id) answer.offer(opened).catch(known);
  drawChart(byId("family").value); // with its observation
}

function none(error) {
  known(error);
  return { data: [] };
}

function lawOf({ family, configuration }) {
  const { teacher, divergence } = configuration.recipe;
  return new URLSearchParams({ family, teacher, divergence });
}

// Opens what the address names: a training run with its prediction, a comparison, a recommendation, a prediction, or the
// latest prediction of the pool.
async function openAddress() {
  const query = new URLSearchParams(location.search);
  const kinds = { run: training, comparison, recommendation };
  const asked = Object.keys(kinds).filter((kind) => query.has(kind));
  const [run, ...others] = await Promise.all(Object.entries(kinds).map(([kind, of]) => of.open(query.get(kind))));
  for (const of of Object.values(kinds)) of.list();
  const id = run ? run.prediction_id : query.get("prediction");
  if (!id) {
    following.abort();
    opened = null;
    answer.nothing();
    const [{ data: recent }] = await Promise.all([get("/v1/predictions?limit=10").catch(none), showRecentOnes()]);
    const shown = [run, ...others].find(Boolean);
    if (shown) byId("pool").value = shown.pool;
    if (asked.length) showPanel(`${asked[0]}-title`, "start");
    const latest = !asked.length && recent.find(({ status, request }) => LATEST.has(status) && request.pool === byId("pool").value);
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
training.listen(() => (closeFollowed(), showPanel("run-title", "start")), runEnded);

await form.load().catch((error) => form.fail(known(error)));
await openAddress();
