// Reads JSON and texts from the server, and problems as errors (status 0: no answer).

export const LOST = "The server does not answer; trying again";

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function read(path, accepted) {
  const response = await fetch(path, { headers: { Accept: accepted } }).catch(() => {
    throw new ApiError(0, "The server does not answer. Is it running?");
  });
  if (response.ok) return response;
  const type = response.headers.get("content-type") || "";
  const problem = type.includes("json") ? await response.json() : {};
  throw new ApiError(response.status, problem.detail || problem.title || `The server answered ${response.status}.`);
}

export async function get(path) {
  return (await read(path, "application/json")).json();
}

export async function getText(path) {
  return (await read(path, "*/*")).text(); // not text/html alone: an error comes as JSON
}
