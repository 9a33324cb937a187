// The first page: asks for predictions.
import { ApiError, post } from "/static/api.js";
import { PredictionForm } from "/static/form.js";
import { localize } from "/static/live.js";

const form = new PredictionForm(predict);

async function predict() {
  form.clearErrors();
  form.busy(true);
  try {
    const { id } = await post("/v1/predictions", form.body());
    location.assign(`/predictions/${encodeURIComponent(id)}`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    form.fail(error);
    form.busy(false);
  }
}

addEventListener("pageshow", () => form.busy(false)); // also where a browser goes back to it
document.addEventListener("htmx:afterSwap", () => localize(document));
localize(document);
