// The first page: asks for predictions, and draws the law and how past predictions turned out.
import { ApiError, get, post } from "/static/api.js";
import { PredictionForm } from "/static/form.js";
import { showLaw, showNoLaw } from "/static/law.js";
import { localize } from "/static/live.js";
import { showPast } from "/static/past.js";

const byId = (id) => document.getElementById(id);
const form = new PredictionForm(predict);
let drawings = 0; // an answer that comes after a later question is dropped

async function predict() {
  form.clearErrors();
  form.busy(true);
  try {
    const { id } = await post("/v1/predictions", form.body());
    location.assign(`/predictions/${encodeURIComponent(id)}`);
  } catch (error) {
    form.fail(known(error));
    form.busy(false);
  }
}

// Draws the law that a query names: a family and its recipe; without one the largest of the pool.
async function drawChart(law = "") {
  const mine = ++drawings;
  const pool = byId("pool").value;
  const query = new URLSearchParams(law);
  query.set("pool", pool);
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

// What the page can show; anything else is a fault of ours and belongs in the console.
function known(error) {
  if (error instanceof ApiError) return error;
  throw error;
}

byId("view").addEventListener("submit", (event) => event.preventDefault());
byId("pool").addEventListener("change", () => byId("pool").reportValidity() && drawChart());
byId("family").addEventListener("change", ({ target }) => drawChart(target.value));
addEventListener("pageshow", () => form.busy(false)); // also where a browser goes back to it
document.addEventListener("htmx:afterSwap", () => localize(document));
localize(document);
await drawChart();
