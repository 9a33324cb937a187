// Shows one training run: how far it is, what it measured beside what was predicted, and its curves.
import { Chart } from "/static/chart.js";
import { put, silence } from "/static/parts.js";

const byId = (id) => document.getElementById(id);
const panel = byId("run");
const curves = { accuracy: new Chart(byId("run-chart")), loss: new Chart(byId("run-loss")) };

export function hide() {
  panel.hidden = true;
}

// What no run can be shown for.
export function fail(message) {
  begin();
  byId("run-nothing").hidden = byId("run-key").hidden = true;
  byId("evaluations-rows").replaceChildren();
  for (const curve of Object.values(curves)) curve.show(null);
  complain(message);
}

// Forgets what was told of the run before.
export function begin() {
  panel.hidden = false;
  byId("run-facts").hidden = byId("run-what").hidden = true;
  silence(byId("run-live"));
  complain("");
}

export function complain(message) {
  byId("run-error").textContent = message;
  byId("run-error").hidden = !message;
}

export function busy(waiting) {
  for (const button of byId("run-buttons").children) button.disabled = waiting;
}

export function tell(headline) {
  silence(byId("run-live"));
  byId("run-live").textContent = headline;
  const place = panel.querySelector("[data-slot=headline]");
  if (place) place.textContent = headline;
}

export async function show(found, { accuracy, loss }) {
  byId("run-facts").hidden = byId("run-what").hidden = false;
  put(found);
  byId("run-key").hidden = !accuracy;
  byId("run-nothing").hidden = Boolean(accuracy);
  for (const name of ["held-out", "predicted", "fan"]) {
    const rows = accuracy?.datasets[name.replace("-", "_")] ?? [];
    byId("run-key").querySelector(`[data-key=${name}]`).hidden = rows.length === 0;
  }
  await Promise.all([curves.accuracy.show(accuracy), curves.loss.show(loss)]);
}
