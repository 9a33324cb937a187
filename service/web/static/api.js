// Speaks to the REST API: JSON requests, problems as errors (status 0: no answer), and events of what is followed.

const TERMINAL = new Set(["succeeded", "failed", "cancelled", "dead"]);
export const LOST = "The server does not answer; trying again";
const RETRY_MS = [500, 1000, 2000, 4000];

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
  return (await send(path, { headers: { Accept: "text/html" } })).text();
}

export async function post(path, body) {
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  return (await send(path, { method: "POST", headers, body: JSON.stringify(body ?? {}) })).json();
}

export function isTerminal({ status }) {
  return TERMINAL.has(status);
}

// Calls onEvent for each event until what is at the path (a prediction, a training run) has ended, then returns it.
// Survives lost connections: a stream that ends early is opened again after the last event seen; onLost is called while
// the server does not answer.
export async function follow(path, onEvent, onLost, signal) {
  let last = null;
  let failures = 0;
  for (;;) {
    try {
      for await (const event of events(`${path}/events`, last, signal)) {
        failures = 0;
        last = event.id ?? last;
        onEvent(event.data);
      }
      const followed = await get(path);
      if (isTerminal(followed)) return followed;
    } catch (error) {
      const lost = error instanceof ApiError && (error.status === 0 || error.status >= 500);
      if (signal.aborted || !lost) throw error;
      onLost();
    }
    await pause(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
    signal.throwIfAborted();
  }
}

async function* events(path, last, signal) {
  const headers = { Accept: "text/event-stream" };
  if (last !== null) headers["Last-Event-ID"] = last;
  const response = await send(path, { headers, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read().catch(() => {
      throw unreachable();
    });
    if (done) return;
    buffer += value;
    const blocks = buffer.split(/\r?\n\r?\n/);
    buffer = blocks.pop();
    for (const block of blocks) {
      const event = parse(block);
      if (event) yield event;
    }
  }
}

// One block of a stream; comments (keep-alive) and blocks without data give nothing.
function parse(block) {
  let id = null;
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = line.match(/^([^:]*):? ?(.*)$/);
    if (field === "id") id = value;
    if (field === "data") data.push(value);
  }
  return data.length ? { id, data: JSON.parse(data.join("\n")) } : null;
}

// Looks soon after it is asked to, once for all that was asked meanwhile, and at most every `every` milliseconds.
export function paced(look, every) {
  let due = null;
  let last = 0;
  const stop = () => {
    clearTimeout(due);
    due = null;
  };
  const now = () => {
    due = null;
    last = Date.now();
    look();
  };
  return { stop, soon: (ms = Math.max(0, last + every - Date.now())) => (due ??= setTimeout(now, ms)) };
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
