// Pages as the server renders them: their times, and their parts that are read again and take the place of the old ones.
import { getText } from "/static/api.js";

const byId = (id) => document.getElementById(id);
const TIME = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
const read = new Map(); // each part as it was read: what has happened to it here since is no change of its own

// Writes times, which the server writes in UTC, in the browser's own.
export function localize(place) {
  for (const time of place.querySelectorAll("time")) time.textContent = new Date(time.dateTime).toLocaleString(undefined, TIME);
}

export function remember(place) {
  for (const one of place.querySelectorAll("[data-fresh]")) read.set(one.id, one.cloneNode(true));
}

export async function part(path) {
  const found = new DOMParser().parseFromString(await getText(path), "text/html");
  localize(found);
  return found;
}

// Puts in what has changed; what is unfolded stays so, and so does the focus. Returns if anything has changed.
export function put(found) {
  const focused = document.activeElement?.id;
  let changed = false;
  for (const fresh of found.querySelectorAll("[data-fresh]")) {
    const old = byId(fresh.id);
    const { fresh: state } = fresh.dataset; // of a part with parts of its own, which stays while its state does
    const isSame = state ? state === old?.dataset.fresh : fresh.isEqualNode(read.get(fresh.id));
    if (!old || isSame) continue;
    read.set(fresh.id, fresh.cloneNode(true));
    if (old === fresh) continue; // it came with the part that it is in
    changed = true;
    for (const folded of fresh.querySelectorAll("details[id]")) folded.open = byId(folded.id)?.open ?? false;
    if (fresh.matches("details")) fresh.open = old.open;
    if (old.hasAttribute("aria-live")) speak(old, fresh);
    else old.replaceWith(document.adoptNode(fresh));
  }
  for (const one of found.querySelectorAll("[data-hidden]")) byId(one.id).hidden = one.hidden;
  if (focused && document.activeElement?.id !== focused) byId(focused)?.focus();
  return changed;
}

// A live region stays, and speaks when the step that it tells of is another one.
function speak(region, { dataset, textContent }) {
  const step = dataset.step ?? textContent;
  if (step === region.dataset.step) return;
  region.dataset.step = step;
  region.textContent = textContent;
}
