// Shows one prediction: what was asked, how far it is, and its numbers.
import { part, put, silence } from "/static/parts.js";

const byId = (id) => document.getElementById(id);
const pathOf = ({ id }) => `/web/predictions/${encodeURIComponent(id)}`;
let looks = 0; // an answer that comes after a later question is dropped
let shown = null; // the id of the prediction that is shown

function clear() {
  looks += 1;
  shown = null;
  for (const id of ["answer-empty", "answer-error", "answer"]) byId(id).hidden = true;
  for (const id of ["progress-text", "progress-gap"]) byId(id).textContent = "";
  silence(byId("live"));
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
  byId("progress-bar").removeAttribute("value");
  silence(byId("live"));
  byId("progress-text").textContent = byId("live").textContent = text;
}

// Shows a prediction in whatever state it is; one that has not ended shows its progress.
export async function show(prediction) {
  if (prediction.id !== shown) clear();
  shown = prediction.id;
  const mine = ++looks;
  const found = await part(pathOf(prediction));
  if (mine !== looks) return;
  byId("what").hidden = false;
  byId("answer-empty").hidden = true;
  put(found);
}

// The offer to train it, with the first seed that none of its runs has.
export async function offer(prediction) {
  const mine = looks;
  const train = (await part(pathOf(prediction))).querySelector("#train");
  if (mine === looks && train) put(null, [train]);
}
