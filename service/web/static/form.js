// The form: its lists from the API, its body (inputs are named by their path in it) and errors beside their fields.
import { get } from "/static/api.js";
import { count } from "/static/words.js";

export class PredictionForm {
  #form = document.getElementById("form");
  #kinds = new Map();
  #models = new Map();
  #tasks = new Map();

  constructor(onSubmit) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      onSubmit();
    });
    this.#form.addEventListener("input", () => this.#describe());
  }

  async load() {
    const [models, tasks, kinds] = await Promise.all(["models", "tasks", "context_kinds"].map((name) => get(`/v1/${name}`)));
    this.#models = new Map(models.data.map((model) => [model.name, model]));
    this.#tasks = new Map(tasks.data.map((task) => [task.name, task]));
    this.#kinds = new Map(kinds.data.map((kind) => [kind.kind, kind]));
    this.#fill("model.name", [...this.#models.keys()]);
    this.#fill("task", [...this.#tasks.keys()]);
    this.#fill("context.kind", [...this.#kinds.keys()], "hints");
    this.#describe();
  }

  body(pool) {
    const body = { pool };
    for (const input of this.#inputs()) {
      if (input.value === "" || input.closest("[hidden]")) continue;
      set(body, input.name, input.type === "number" ? input.valueAsNumber : input.value);
    }
    return body;
  }

  // Shows the configuration of an opened prediction, so that it can be varied.
  show(request) {
    for (const input of this.#inputs()) {
      const value = input.name.split(".").reduce((part, key) => part?.[key], request);
      if (value !== undefined) input.value = value ?? "";
    }
    this.#describe();
  }

  busy(is) {
    const button = document.getElementById("predict");
    button.disabled = is;
    button.textContent = is ? "Predicting …" : "Predict";
  }

  clearErrors() {
    for (const place of document.querySelectorAll("#form-error, [data-error]")) place.hidden = true;
    for (const input of this.#inputs()) input.removeAttribute("aria-invalid");
  }

  // Puts each problem beside the field that it names; what names none of ours goes to the top.
  fail(error) {
    const errors = error.errors?.length ? error.errors : [{ param: error.param, message: error.message }];
    const rest = errors.filter((one) => !this.#failField(one)).map((one) => one.message);
    if (rest.length) {
      const top = document.getElementById("form-error");
      top.textContent = rest.join(" ") + (error.requestId ? ` (request ${error.requestId})` : "");
      top.hidden = false;
    }
    this.#form.querySelector("[aria-invalid]")?.focus();
  }

  #failField({ param, message }) {
    const input = param && (this.#form.elements[param] ?? this.#form.elements[`${param}.name`]);
    if (!input || input.closest("[hidden]")) return false;
    const place = this.#form.querySelector(`[data-error="${CSS.escape(input.name)}"]`);
    place.textContent = message;
    place.hidden = false;
    input.setAttribute("aria-invalid", "true");
    const folded = input.closest("details");
    if (folded) folded.open = true;
    return true;
  }

  #inputs() {
    return [...this.#form.elements].filter((input) => input.name);
  }

  #fill(name, values, preferred) {
    const select = this.#form.elements[name];
    select.replaceChildren(...values.map((value) => new Option(name === "context.kind" ? value.replaceAll("_", " ") : value, value)));
    if (values.includes(preferred)) select.value = preferred;
  }

  // Notes under the lists, the options that the chosen context kind takes, and the probe's size.
  #describe() {
    const { elements } = this.#form;
    const model = this.#models.get(elements["model.name"].value);
    const size = model?.parameters ? `, ${Intl.NumberFormat("en", { notation: "compact" }).format(model.parameters)} parameters` : "";
    note("model-name", model ? `family ${model.family}${size}` : "");
    const task = this.#tasks.get(elements.task.value);
    note("task", task ? `${count(task.train_problems)} training problems, verifier ${task.verifier}` : "");
    if (task) {
      elements["probe.problems"].max = task.train_problems;
      elements["context.options.level"].max = task.hint_levels;
      note("context-options-level", `of ${task.hint_levels} hints per problem`);
    }
    const kind = this.#kinds.get(elements["context.kind"].value);
    note("context-kind", kind?.description ?? "");
    const options = Object.keys(kind?.options_schema?.properties ?? {});
    const fieldset = document.getElementById("context-options");
    for (const field of fieldset.querySelectorAll("[data-option]")) field.hidden = !options.includes(field.dataset.option.split(".")[2]);
    fieldset.hidden = !fieldset.querySelector("[data-option]:not([hidden])");
    for (const input of fieldset.querySelectorAll("[name]")) input.disabled = Boolean(input.closest("[hidden]"));
    const problems = elements["probe.problems"].valueAsNumber;
    const rollouts = elements["probe.rollouts"].valueAsNumber;
    const total = problems * rollouts;
    document.getElementById("probe-size").textContent = total > 0 ? `= ${count(total)} rollouts per arm` : "";
  }
}

function note(id, text) {
  document.getElementById(`${id}-note`).textContent = text;
}

function set(body, path, value) {
  const keys = path.split(".");
  const last = keys.pop();
  const place = keys.reduce((part, key) => (part[key] ??= {}), body);
  place[last] = value;
}
