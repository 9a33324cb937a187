// The page of one thing: draws its charts, copies what can be asked again, and follows it while it goes on.
import { ApiError, LOST, get } from "/static/api.js";
import { Chart } from "/static/chart.js";
import { localize, part, put, remember } from "/static/live.js";

const main = document.getElementById("main");
const lost = document.getElementById("lost");
const SOON_MS = 500; // between two looks at what happens faster than anybody reads
const POLL_MS = 5000; // between two looks at what has no events: it waits, or the server is lost
const charts = new WeakMap(); // by the element that they are in
let due = null; // the next look, until it is over
let again = false;
let source = null;
let following = main.dataset.events; // the stream of what goes on

// Fills what comes as JSON: `data-chart` with a drawing, `data-text` with a text; each names its address and a field.
async function fill() {
  const answers = new Map();
  const answer = (address) => answers.get(address) ?? answers.set(address, get(address)).get(address);
  for (const place of document.querySelectorAll("[data-chart], [data-text]")) {
    const [address, field] = (place.dataset.chart ?? place.dataset.text).split("#");
    const found = (await answer(address))[field];
    if (place.dataset.text) place.textContent = found;
    else {
      if (!charts.has(place)) charts.set(place, new Chart(place));
      await charts.get(place).show(found);
    }
  }
}

async function look() {
  again = false;
  await attempt(async () => {
    const page = await part(main.dataset.address);
    const { live, events } = page.getElementById("main").dataset;
    const changed = put(page);
    if (events === undefined) source?.close();
    if (live === undefined) clearInterval(polling);
    following = events;
    if (changed) await fill();
  });
  due = null;
  if (again) soon();
}

// Does what needs the server, and says on the page if it does not answer.
async function attempt(work) {
  try {
    await work();
    lost.hidden = true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    lost.textContent = error.status ? error.message : LOST;
    lost.hidden = false;
  }
}

function soon() {
  if (due) again = true;
  else due = setTimeout(look, SOON_MS);
}

function listen() {
  if (!following || (source && source.readyState !== EventSource.CLOSED)) return;
  source = new EventSource(following);
  for (const kind of main.dataset.kinds.split(" ")) source.addEventListener(kind, soon);
  source.addEventListener("error", soon); // also the end of a stream that has told all
}

document.addEventListener("click", async ({ target }) => {
  const id = target.closest?.("[data-copy]")?.dataset.copy;
  if (!id) return;
  const place = document.getElementById(id);
  getSelection().selectAllChildren(place); // all that can be done where the server's address is not a secure one
  await navigator.clipboard?.writeText(place.textContent);
  if (navigator.clipboard) target.textContent = "Copied";
});
localize(document);
remember(document);
const polling = "live" in main.dataset ? setInterval(() => (listen(), soon()), POLL_MS) : null;
listen();
await attempt(fill);
