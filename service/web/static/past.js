// How past predictions turned out: a sentence, and where there are outcomes, a plot and a table.
import { ApiError, get } from "/static/api.js";
import { Chart } from "/static/chart.js";
import { showOutcomes } from "/static/tables.js";

const byId = (id) => document.getElementById(id);
const chart = new Chart(byId("past-chart"));
let shown = null; // the fit whose outcomes are shown, or on their way: a fit never changes

export async function showPast(fit) {
  byId("past").hidden = !fit;
  if (!fit || fit.id === shown) return;
  const mine = (shown = fit.id);
  const data = await get(`/web/outcomes.json?${new URLSearchParams({ fit: fit.id })}`).catch(failed);
  if (mine !== shown) return;
  if (data.failed) shown = null; // asked again with the next drawing
  byId("past-message").textContent = data.message;
  for (const id of ["past-key", "outcomes"]) byId(id).hidden = !data.spec;
  showOutcomes(data.outcomes);
  await chart.show(data.spec);
}

function failed(error) {
  if (!(error instanceof ApiError)) throw error;
  return { message: error.message, spec: null, outcomes: [], failed: true };
}
