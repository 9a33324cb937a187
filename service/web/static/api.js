// Speaks to the server: JSON and texts, and problems as errors (status 0: no answer).

export const LOST = "The server does not answer; trying again";

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.param = problem.param || null;
    this.errors = problem.errors || [];
    this.requestId = problem.request_id || null;
  }
}

function unreachable() {
  return new ApiError(0, { detail: "The server does not answer. Is it running?" });
}

async function send(path, options = {}) {
  const response = await fetch(path, options).catch(() => {
    throw unreachable();
  });
  if (response.ok) return response;
  const type = response.headers.get("content-type") || "";
  throw new ApiError(response.status, type.includes("json") ? await response.json() : {});
}

export async function get(path) {
  return (await send(path, { headers: { Accept: "application/json" } })).json();
}

export async function getText(path) {
  return (await send(path, { headers: { Accept: "*/*" } })).text(); // not text/html alone: an error comes as JSON
}

export async function post(path, body) {
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  return (await send(path, { method: "POST", headers, body: JSON.stringify(body ?? {}) })).json();
}
