// Training runs: starts them from a prediction, opens one and follows it, steers it, and keeps the table of the newest.
import { ApiError, LOST, follow, get, isTerminal, paced, post } from "/static/api.js";
import { part, put } from "/static/parts.js";
import * as run from "/static/run.js";

const byId = (id) => document.getElementById(id);
const REFRESH_MS = 500; // between two looks at a run whose events come faster than anybody reads
const POLL_MS = 5000; // between two looks at the table while one of its runs has not ended, at a run that waits, and at a server that is lost
const pacing = paced(refresh, REFRESH_MS);
let opened = null; // the run that is shown
let offered = null; // the prediction whose run is offered
let following = new AbortController();
let looks = 0; // an answer that comes after a later question is dropped
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
  pacing.stop();
  opened = null;
  looks += 1;
  run.hide();
}

function show(found) {
  close();
  opened = found;
  run.begin();
  run.busy(false);
  refresh();
  if (!isTerminal(found)) watch(found);
}

async function watch(found) {
  following = new AbortController();
  const { signal } = following;
  // a run that waits has no events
  const waiting = setInterval(() => byId("run-now").dataset.status === "queued" && pacing.soon(), POLL_MS);
  try {
    found = await follow(pathOf(found), took, () => run.tell(LOST), signal);
  } catch (error) {
    if (!signal.aborted) run.complain(known(error).message);
    return;
  } finally {
    clearInterval(waiting);
  }
  if (signal.aborted) return;
  opened = found;
  await refresh();
  list();
  ended(found);
}

function took(event) {
  if (event.type.startsWith("job.")) list();
  pacing.soon();
}

// Reads the run again and draws it as far as it has come.
async function refresh() {
  pacing.stop();
  const mine = ++looks;
  try {
    const name = encodeURIComponent(opened.id);
    const [found, curves] = await Promise.all([part(`/web/training_runs/${name}`), get(`/web/run.json?run=${name}`)]);
    if (mine === looks) await run.show(found, curves);
  } catch (error) {
    const { message } = known(error);
    if (mine !== looks) return;
    if (isTerminal(opened)) run.complain(message);
    else pacing.soon(POLL_MS); // that the server is lost is said by what follows the run
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

// The prediction that is trained by the button beside it.
export function offer(prediction) {
  offered = prediction;
}

async function train(button) {
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
  let again = true;
  try {
    put(await part(`/web/training_runs?${new URLSearchParams(opened ? { opened: opened.id } : {})}`));
    again = byId("runs").querySelector("[data-live]") !== null;
  } catch (error) {
    byId("runs-empty").textContent = known(error).message;
    byId("runs-empty").hidden = false;
  }
  clearTimeout(polling); // of a look that was asked for meanwhile
  if (again) polling = setTimeout(list, POLL_MS);
}

function known(error) {
  if (error instanceof ApiError) return error;
  throw error;
}

for (const what of ["pause", "resume", "cancel"]) byId(`run-${what}`).addEventListener("click", () => steer(what));
document.addEventListener("submit", (event) => {
  if (event.target.id !== "train") return;
  event.preventDefault();
  train(event.target.querySelector("button"));
});
