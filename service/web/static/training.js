// Training runs: starts them from a prediction, opens one and follows it, steers it, and keeps the table of the newest.
import { ApiError, follow, get, isTerminal, post } from "/static/api.js";
import * as run from "/static/run.js";
import { showRuns } from "/static/tables.js";
import * as words from "/static/words.js";

const byId = (id) => document.getElementById(id);
const REFRESH_MS = 500; // between two looks at a run whose events come faster than anybody reads
const POLL_MS = 5000; // between two looks at the table while one of its runs has not ended, and at a server that is lost
const REDRAWN = new Set(["training.metrics", "training.evaluated", "training.gap", "training.warning", "training.checkpoint"]);
const FREE = new Set(["failed", "cancelled", "dead"]); // a run that left no observation may be repeated with its seed
let opened = null; // the run that is shown
let offered = null; // the prediction whose run is offered
let following = new AbortController();
let looks = 0; // an answer that comes after a later question is dropped
let due = null;
let polling = null;
let asked = () => {};
let ended = () => {};

const pathOf = ({ id }) => `/v1/training_runs/${encodeURIComponent(id)}`;

// `onAsked` is called with a run that was asked for here, `onEnded` with one that has ended while it was followed.
export function listen(onAsked, onEnded) {
  [asked, ended] = [onAsked, onEnded];
}

// Opens the run of this id; null: closes the one that is open. Returns the run, or null where there is none.
export async function open(id) {
  close();
  if (!id) return null;
  try {
    const found = await get(pathOf({ id }));
    show(found);
    return found;
  } catch (error) {
    run.fail(known(error).message);
    return null;
  }
}

function close() {
  following.abort();
  clearTimeout(due);
  due = opened = null;
  looks += 1;
  run.hide();
}

function show(found) {
  close();
  opened = found;
  run.begin();
  run.busy(false);
  run.show(found);
  refresh();
  if (!isTerminal(found)) watch(found);
}

async function watch(found) {
  following = new AbortController();
  const { signal } = following;
  const lost = () => run.tell("The server does not answer; trying again");
  try {
    await follow(pathOf(found), took, lost, signal);
  } catch (error) {
    if (!signal.aborted) run.complain(known(error).message);
    return;
  }
  if (signal.aborted) return;
  await refresh();
  list();
  ended(opened);
}

function took(event) {
  run.happened(event);
  if (event.type.startsWith("job.")) list();
  if (event.type.startsWith("job.") || REDRAWN.has(event.type)) due ??= setTimeout(refresh, REFRESH_MS);
}

// Reads the run again and draws it as far as it has come.
async function refresh() {
  clearTimeout(due);
  due = null;
  const mine = ++looks;
  try {
    const [found, curves] = await Promise.all([get(pathOf(opened)), get(`/web/run.json?${new URLSearchParams({ run: opened.id })}`)]);
    if (mine !== looks) return;
    opened = found;
    run.show(found);
    await run.draw(curves);
  } catch (error) {
    const { message } = known(error);
    if (mine !== looks) return;
    if (isTerminal(opened)) run.complain(message);
    else due ??= setTimeout(refresh, POLL_MS); // that the server is lost is said by what follows the run
  }
}

async function steer(what) {
  const steered = opened;
  run.complain("");
  run.busy(true);
  try {
    await post(`${pathOf(steered)}/${what}`);
    if (opened?.id === steered.id) await refresh();
  } catch (error) {
    if (opened?.id === steered.id) run.complain(known(error).message);
  } finally {
    run.busy(false);
  }
}

// Offers to train an answered prediction, with the first seed that none of its runs has.
export async function offer(prediction) {
  offered = prediction;
  complain("");
  const { cost, request } = prediction;
  const estimate = cost.training_seconds_estimate;
  const size = `${words.count(request.recipe.steps)} steps${estimate === null ? "" : `, about ${words.duration(estimate)}`}.`;
  byId("train-note").textContent = size;
  byId("train-seed").value = 0;
  byId("train").querySelector("button").classList.toggle("outline", prediction.verdict !== "train");
  const query = new URLSearchParams({ prediction_id: prediction.id, limit: 100 });
  const { data } = await get(`/v1/training_runs?${query}`).catch((error) => (known(error), { data: [] }));
  if (offered !== prediction) return;
  const taken = new Set(data.filter(({ status }) => !FREE.has(status)).map(({ seed }) => seed));
  let seed = 0;
  while (taken.has(seed)) seed += 1;
  byId("train-seed").value = seed;
  byId("train-note").replaceChildren(size, ...(data.length ? [" Its runs: ", ...linked(data)] : []));
}

function linked(runs) {
  return runs.toReversed().flatMap((one, index) => {
    const link = document.createElement("a");
    link.href = `/?run=${encodeURIComponent(one.id)}`;
    link.textContent = `seed ${one.seed}`;
    return index ? [", ", link] : [link];
  });
}

async function train() {
  const button = byId("train").querySelector("button");
  complain("");
  button.disabled = true;
  try {
    const made = await post("/v1/training_runs", { prediction_id: offered.id, seeds: [byId("train-seed").valueAsNumber] });
    history.pushState(null, "", `/?run=${encodeURIComponent(made.id)}`);
    show(made);
    list();
    asked(made);
  } catch (error) {
    complain(known(error).message);
  } finally {
    button.disabled = false;
  }
}

function complain(message) {
  byId("train-error").textContent = message;
  byId("train-error").hidden = !message;
}

// The newest runs; read again while one of them has not ended.
export async function list() {
  clearTimeout(polling);
  try {
    const { data } = await get("/v1/training_runs?limit=10");
    showRuns(data, opened?.id);
    clearTimeout(polling); // of a look that was asked for meanwhile
    if (data.some((one) => !isTerminal(one))) polling = setTimeout(list, POLL_MS);
  } catch (error) {
    byId("runs-empty").textContent = known(error).message;
    byId("runs-empty").hidden = false;
    polling = setTimeout(list, POLL_MS);
  }
}

function known(error) {
  if (error instanceof ApiError) return error;
  throw error;
}

for (const what of ["pause", "resume", "cancel"]) byId(`run-${what}`).addEventListener("click", () => steer(what));
byId("train").addEventListener("submit", (event) => {
  event.preventDefault();
  train();
});
