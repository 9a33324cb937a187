// The form of the first page: what of it applies to what is chosen, and what is said of that.
const OF_TASK = ["probe.problems", "training.problems", "training.evaluation_problems"]; // problems, at most the task's
const form = document.getElementById("form");
const button = document.getElementById("predict");
const { elements } = form;

function describe() {
  for (const name of ["model.name", "task", "context.kind"]) note(name, chosen(name).note);
  const model = chosen("model.name");
  offerEngines(model.source === "server");
  reveal(elements["decoding.thinking"], model.thinking !== "false");
  const { problems, hints, tokens } = chosen("task");
  for (const name of OF_TASK) elements[name].max = problems;
  elements["context.options.level"].max = hints;
  note("context.options.level", `of ${hints} hints`);
  note("decoding.max_tokens", `per rollout; the task's: ${tokens}`);
  for (const field of form.querySelectorAll("[data-kinds]")) reveal(field.querySelector("[name]"), applies(field));
  for (const part of form.querySelectorAll("fieldset")) part.hidden = !part.querySelector(".field:not([hidden])");
  const total = elements["probe.problems"].valueAsNumber * elements["probe.rollouts"].valueAsNumber;
  const most = elements["probe.target_half_width"].value ? "at most" : "=";
  document.getElementById("probe-size").textContent = total > 0 ? `${most} ${total.toLocaleString("en")} rollouts per arm` : "";
}

// A control takes the options of what it is of, too.
function applies(field) {
  const kinds = field.dataset.kinds.split(" ");
  const [other, value] = field.dataset.when?.split("=") ?? [];
  const of = elements["context.options.of"];
  const isInner = of.closest(".field").dataset.kinds.split(" ").includes(elements["context.kind"].value);
  const isOption = field.closest("#context-options") !== null;
  const isTaken = kinds.includes(elements["context.kind"].value) || (isOption && isInner && kinds.includes(of.value));
  return isTaken && (!other || elements[`context.options.${other}`].value === value);
}

// What does not apply is hidden, not validated and not sent.
function reveal(input, isApplied) {
  input.closest(".field").hidden = !isApplied;
  input.disabled = !isApplied;
}

// A served model is asked of its server, and a folder never is.
function offerEngines(isServed) {
  const select = elements["probe.engine"];
  for (const one of select.options) {
    one.disabled = one.hidden = one.value !== "auto" && (one.value === "vllm-server") !== isServed;
  }
  if (select.selectedOptions[0]?.disabled) select.value = "auto";
}

// A probe or a run of more problems than the task has would be refused.
function keepWithin() {
  for (const input of OF_TASK.map((name) => elements[name])) {
    if (input.value) input.value = Math.min(input.value, chosen("task").problems);
  }
}

// What the server says of the chosen option of a list.
function chosen(name) {
  return elements[name].selectedOptions[0].dataset;
}

function note(name, text) {
  document.getElementById(`${elements[name].id}-note`).textContent = text;
}

elements.task.addEventListener("change", keepWithin);
for (const type of ["input", "change"]) form.addEventListener(type, describe);
form.addEventListener("submit", () => (button.disabled = true)); // one click asks once
describe();
addEventListener("pageshow", () => {
  button.disabled = false;
  describe(); // also of what a browser has put back into the form
});
