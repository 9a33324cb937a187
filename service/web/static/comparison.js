// Comparisons: opens one and follows it, cancels it, and keeps the table of the newest.
import { ApiError, LOST, follow, get, isTerminal, paced, post } from "/static/api.js";
import { part, put, silence } from "/static/parts.js";

const byId = (id) => document.getElementById(id);
const REFRESH_MS = 500; // between two looks at one whose events come faster than anybody reads
const POLL_MS = 5000; // between two looks at the table while one has not ended, and at a server that is lost
const pacing = paced(refresh, REFRESH_MS);
let opened = null; // the comparison that is shown
let following = new AbortController();
let looks = 0; // an answer that comes after a later question is dropped
let polling = null;

const pathOf = (id) => `comparisons/${encodeURIComponent(id)}`;

// Opens the comparison of this id; null: closes the one that is open. Returns the comparison, or null where there is none.
export async function open(id) {
  following.abort();
  pacing.stop();
  const mine = ++looks;
  opened = null;
  byId("comparison").hidden = !id;
  byId("comparison-found").hidden = true;
  silence(byId("comparison-live"));
  complain("");
  if (!id) return null;
  try {
    const found = await get(`/v1/${pathOf(id)}`);
    if (mine !== looks) return null;
    opened = found;
  } catch (error) {
    if (mine === looks) complain(known(error).message);
    return null;
  }
  byId("comparison-cancel").disabled = false;
  refresh();
  if (!isTerminal(opened)) watch(opened.id);
  return opened;
}

async function watch(id) {
  following = new AbortController();
  const { signal } = following;
  const took = ({ type }) => (pacing.soon(), type === "comparison.round" && list());
  try {
    const found = await follow(`/v1/${pathOf(id)}`, took, () => complain(LOST), signal);
    if (signal.aborted) return;
    opened = found;
    await refresh();
    list();
  } catch (error) {
    if (!signal.aborted) complain(known(error).message);
  }
}

// Reads the comparison again and draws it as far as it has come.
async function refresh() {
  pacing.stop();
  const mine = ++looks;
  try {
    const found = await part(`/web/${pathOf(opened.id)}`);
    if (mine !== looks) return;
    put(found);
    byId("comparison-found").hidden = false;
    complain("");
  } catch (error) {
    const { message } = known(error);
    if (mine !== looks) return;
    if (isTerminal(opened)) complain(message);
    else pacing.soon(POLL_MS); // that the server is lost is said by what follows the comparison
  }
}

function complain(message) {
  byId("comparison-error").textContent = message;
  byId("comparison-error").hidden = !message;
}

// The newest comparisons; read again while one of them has not ended.
export async function list() {
  clearTimeout(polling);
  let again = true;
  try {
    put(await part(`/web/comparisons?${new URLSearchParams(opened ? { opened: opened.id } : {})}`));
    again = byId("comparisons").querySelector("[data-live]") !== null;
  } catch (error) {
    byId("comparisons-empty").textContent = known(error).message;
  }
  clearTimeout(polling); // of a look that was asked for meanwhile
  if (again) polling = setTimeout(list, POLL_MS);
}

function known(error) {
  if (error instanceof ApiError) return error;
  throw error;
}

byId("comparison-cancel").addEventListener("click", async ({ target }) => {
  target.disabled = true;
  try {
    await post(`/v1/${pathOf(opened.id)}/cancel`);
  } catch (error) {
    if (known(error).status !== 409) complain(error.message); // 409: it has ended by itself
  }
});
