// The panel of the law: what it rests on, its alarms, the plot with its key, the slope by model size, and the table.
import { ApiError, get } from "/static/api.js";
import { Chart } from "/static/chart.js";

const count = (n) => n.toLocaleString("en");
const byId = (id) => document.getElementById(id);
const chart = new Chart(byId("chart"));
let sizes = { fit: null, answer: null }; // of the fit that was asked last

export async function showLaw(data) {
  byId("law-message").replaceChildren(...version(data.fit), data.message);
  byId("law-message").classList.toggle("error", !data.spec);
  byId("law-alarms").replaceChildren(...data.alarms.map(alarm));
  showLaws(data);
  showKey(data);
  byId("observations").hidden = !data.spec;
  showObservations(data.observations);
  showSizes(data.fit, data.law);
  await chart.show(data.spec);
}

// Nothing to draw, but a reason.
export async function showNoLaw(message) {
  await showLaw({ message, spec: null, fit: null, alarms: [], law: null, laws: [], level: null, branches: [], observations: [] });
}

function version(fit) {
  if (!fit) return [];
  const link = document.createElement("a");
  link.href = `/v1/fits/${encodeURIComponent(fit.id)}`;
  link.title = fit.id;
  link.textContent = fit.name;
  return [link, ` (n = ${count(fit.n)}): `];
}

function alarm(text) {
  const item = document.createElement("li");
  item.textContent = text;
  return item;
}

function showLaws({ law, laws }) {
  const select = byId("family");
  select.replaceChildren(...laws.map(({ query, name, n }) => new Option(`${name} (${count(n)})`, query)));
  select.value = law ?? "";
  select.disabled = laws.length === 0;
}

function showKey({ level, law, laws, branches, observations }) {
  const key = byId("chart-key");
  key.hidden = level === null;
  key.querySelector("[data-slot=law]").textContent = laws.find(({ query }) => query === law)?.name ?? "";
  for (const place of key.querySelectorAll("[data-slot=level]")) place.textContent = level;
  for (const place of key.querySelectorAll("[data-mark]")) {
    const { mark } = place.dataset;
    const n = observations.filter((one) => (mark === "faint" ? one.faint : one.mark === mark)).length;
    place.hidden = n === 0;
    place.querySelector("b").textContent = count(n);
  }
  for (const place of key.querySelectorAll("[data-branch]")) {
    const branch = branches.find(({ link }) => link === place.dataset.branch);
    place.hidden = !branch;
    if (branch) place.querySelector("b").textContent = branch.text;
  }
}

function showObservations(observations) {
  byId("observations").querySelector("[data-slot=count]").textContent = `(${count(observations.length)})`;
  const rows = observations.map(({ mark, ...one }) => {
    const row = document.createElement("tr");
    row.dataset.mark = mark;
    for (const name of ["model", "family", "recipe", "context", "gap", "improvement", "note"]) {
      const cell = row.insertCell();
      cell.textContent = one[name];
      if (name === "gap" || name === "improvement") cell.className = "number";
    }
    return row;
  });
  byId("observations").querySelector("tbody").replaceChildren(...rows);
}

async function showSizes(fit, law) {
  const place = byId("law-sizes");
  place.hidden = true;
  if (sizes.fit !== (fit?.id ?? null)) {
    sizes = { fit: fit?.id ?? null, answer: fit && get(`/web/sizes.json?${new URLSearchParams({ fit: fit.id })}`) };
  }
  const mine = sizes;
  const { laws } = (await mine.answer?.catch(known)) ?? { laws: [] };
  if (mine !== sizes || byId("family").value !== (law ?? "")) return; // another law is shown by now
  place.textContent = laws.find((one) => one.law === law)?.message ?? "";
  place.hidden = !place.textContent;
}

// The line is an extra: where the server has no answer there is none.
function known(error) {
  if (!(error instanceof ApiError)) throw error;
  sizes = { fit: null, answer: null };
  return null;
}
