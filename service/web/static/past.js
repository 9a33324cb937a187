// How past predictions turned out: a sentence, and where there are outcomes, a plot and a table.
import { ApiError } from "/static/api.js";
import { Chart } from "/static/chart.js";
import { part, put } from "/static/live.js";

const byId = (id) => document.getElementById(id);
const chart = new Chart(byId("past-chart"));
let shown = null; // the fit whose outcomes are shown, or on their way: a fit never changes

export async function showPast(fit) {
  byId("past").hidden = !fit;
  if (!fit || fit.id === shown) return;
  const mine = (shown = fit.id);
  let spec = null;
  try {
    const found = await part(`/web/outcomes?${new URLSearchParams({ fit: fit.id })}`);
    if (mine !== shown) return;
    put(found);
    spec = JSON.parse(found.querySelector("script").textContent);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine !== shown) return;
    shown = null; // asked again with the next drawing
    byId("past-message").textContent = error.message;
  }
  for (const id of ["past-key", "outcomes"]) byId(id).hidden = !spec;
  await chart.show(spec);
}
