// Parts of the page that the server renders: each element takes the place of the one with its id.
import { getText } from "/static/api.js";

const byId = (id) => document.getElementById(id);
const TIME = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };

export async function part(path) {
  const found = new DOMParser().parseFromString(await getText(path), "text/html").body;
  localize(found);
  return found;
}

// Writes times, which the server writes in UTC, in the browser's own.
export function localize(place) {
  for (const time of place.querySelectorAll("time")) time.textContent = new Date(time.dateTime).toLocaleString(undefined, TIME);
}

// What is the same stays, what is unfolded stays so, and so does the focus.
export function put(found, elements = found.children) {
  const focused = document.activeElement?.id;
  for (const fresh of [...elements]) {
    const old = fresh.id && byId(fresh.id);
    if (!old) continue;
    for (const folded of fresh.querySelectorAll("details")) folded.open = byId(folded.id)?.open ?? false;
    if (old.hasAttribute("aria-live")) speak(old, fresh);
    else if (!fresh.isEqualNode(old)) old.replaceWith(fresh);
  }
  if (focused && document.activeElement?.id !== focused) byId(focused)?.focus();
}

// A live region stays, and speaks when the step that it tells of is another one.
function speak(region, { dataset, textContent }) {
  const step = dataset.step ?? textContent;
  if (step === region.dataset.step) return;
  region.dataset.step = step;
  region.textContent = textContent;
}

export function silence(region) {
  region.textContent = region.dataset.step = "";
}
