// Comparisons and recommendations: opens one and follows it, cancels it, and keeps the table of the newest.
import { ApiError, LOST, follow, get, isTerminal, paced, post } from "/static/api.js";
import { part, put, silence } from "/static/parts.js";

const byId = (id) => document.getElementById(id);
const REFRESH_MS = 500; // between two looks at one whose events come faster than anybody reads
const POLL_MS = 5000; // between two looks at the table while one has not ended, and at a server that is lost

// One kind: elements whose ids begin with its name, and the event after which the table says something else.
function followed(name, telling) {
  const pacing = paced(refresh, REFRESH_MS);
  let opened = null; // the one that is shown
  let following = new AbortController();
  let looks = 0; // an answer that comes after a later question is dropped
  let polling = null;

  const pathOf = (id) => `${name}s/${encodeURIComponent(id)}`;

  // Opens the one of this id; null: closes the one that is open. Returns it, or null where there is none.
  async function open(id) {
    following.abort();
    pacing.stop();
    const mine = ++looks;
    opened = null;
    byId(name).hidden = !id;
    byId(`${name}-found`).hidden = true;
    silence(byId(`${name}-live`));
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
    byId(`${name}-cancel`).disabled = false;
    refresh();
    if (!isTerminal(opened)) watch(opened.id);
    return opened;
  }

  async function watch(id) {
    following = new AbortController();
    const { signal } = following;
    const took = ({ type }) => (pacing.soon(), type === telling && list());
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

  // Reads it again and draws it as far as it has come.
  async function refresh() {
    pacing.stop();
    const mine = ++looks;
    try {
      const found = await part(`/web/${pathOf(opened.id)}`);
      if (mine !== looks) return;
      put(found);
      byId(`${name}-found`).hidden = false;
      complain("");
    } catch (error) {
      const { message } = known(error);
      if (mine !== looks) return;
      if (isTerminal(opened)) complain(message);
      else pacing.soon(POLL_MS); // that the server is lost is said by what follows it
    }
  }

  function complain(message) {
    byId(`${name}-error`).textContent = message;
    byId(`${name}-error`).hidden = !message;
  }

  // The newest ones; read again while one of them has not ended.
  async function list() {
    clearTimeout(polling);
    let again = true;
    try {
      put(await part(`/web/${name}s?${new URLSearchParams(opened ? { opened: opened.id } : {})}`));
      again = byId(`${name}s`).querySelector("[data-live]") !== null;
    } catch (error) {
      byId(`${name}s-empty`).textContent = known(error).message;
    }
    clearTimeout(polling); // of a look that was asked for meanwhile
    if (again) polling = setTimeout(list, POLL_MS);
  }

  byId(`${name}-cancel`).addEventListener("click", async ({ target }) => {
    target.disabled = true;
    try {
      await post(`/v1/${pathOf(opened.id)}/cancel`);
    } catch (error) {
      if (known(error).status !== 409) complain(error.message); // 409: it has ended by itself
    }
  });
  return { open, list };
}

function known(error) {
  if (error instanceof ApiError) return error;
  throw error;
}

export const comparison = followed("comparison", "comparison.round");
export const recommendation = followed("recommendation", "recommendation.step");
