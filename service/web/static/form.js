// The form: its lists from the API, its body (inputs are named by their path in it) and errors beside their fields.
import { get } from "/static/api.js";

const count = (n) => n.toLocaleString("en");
const OPTIONS = "context.options.";
const TRAINED = ["training.problems", "training.evaluation_problems"];
const SOURCES = { lab: "comes with Gapcast", folder: "a folder of this server", server: "on a vLLM server" };

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
    for (const type of ["input", "change"]) this.#form.addEventListener(type, () => this.#describe());
    this.#form.elements.task.addEventListener("change", ({ target }) => this.#keepWithin(this.#tasks.get(target.value)));
  }

  async load() {
    const [models, tasks, kinds] = await Promise.all(["models", "tasks", "context_kinds"].map((name) => get(`/v1/${name}`)));
    this.#models = new Map(models.data.map((model) => [model.name, model]));
    const ready = tasks.data.filter((task) => task.status === "ready"); // the others cannot be measured
    this.#tasks = new Map(ready.map((task) => [task.name, task]));
    this.#kinds = new Map(kinds.data.map((kind) => [kind.kind, kind]));
    this.#fill("model.name", [...this.#models.keys()]);
    this.#fill("task", [...this.#tasks.keys()]);
    this.#fill("context.kind", [...this.#kinds.keys()], "hints");
    this.#describe();
  }

  body(pool) {
    const body = { pool };
    for (const input of this.#inputs()) {
      if (input.disabled || input.value === "") continue;
      const path = this.#path(input);
      if (isOneOf(input)) set(body, path, [...(find(body, path) ?? []), ...(input.checked ? [input.value] : [])]);
      else set(body, path, read(input));
    }
    return body;
  }

  // Shows the configuration of an opened prediction, so that it can be varied.
  show(request) {
    const first = ["context.kind", `${OPTIONS}of`]; // they say which options there are, and where they stand in the body
    const inputs = this.#inputs().sort((one, other) => first.includes(other.name) - first.includes(one.name));
    for (const input of inputs) {
      const value = find(request, this.#path(input));
      if (value !== undefined) write(input, value);
    }
    const tokens = this.#form.elements["decoding.max_tokens"];
    if (tokens.valueAsNumber === this.#tasks.get(request.task)?.max_tokens) tokens.value = ""; // another task has another limit
    for (const input of TRAINED.map((name) => this.#form.elements[name])) {
      const usual = Math.min(parseInt(input.placeholder), this.#tasks.get(request.task)?.train_problems);
      if (input.valueAsNumber === usual) input.value = ""; // and another number of problems
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
    const input = this.#inputs().find((one) => !one.disabled && [param, `${param}.name`].includes(this.#path(one)));
    if (!input) return false;
    const place = this.#form.querySelector(`[data-error="${CSS.escape(input.name)}"]`);
    const unit = input.dataset.scale ? " These are shares: 0.01 is 1 accuracy point." : "";
    place.textContent = message.replace(`${param}: `, "") + unit;
    place.hidden = false;
    input.setAttribute("aria-invalid", "true");
    const folded = input.closest("details");
    if (folded) folded.open = true;
    return true;
  }

  #inputs() {
    return [...this.#form.elements].filter((input) => input.name);
  }

  // The options that a context kind takes.
  #options(kind) {
    return Object.keys(this.#kinds.get(kind)?.options_schema.properties ?? {});
  }

  // Where the input's value stands in the body: what a control does not take itself is an option of what it is of.
  #path({ name }) {
    if (!name.startsWith(OPTIONS)) return name;
    const own = this.#options(this.#form.elements["context.kind"].value);
    const inner = own.includes("of") && !own.includes(option(name));
    return inner ? name.replace(OPTIONS, `${OPTIONS}options.`) : name;
  }

  #fill(name, values, preferred) {
    const select = this.#form.elements[name];
    select.replaceChildren(...values.map((value) => new Option(name === "context.kind" ? value.replaceAll("_", " ") : value, value)));
    if (values.includes(preferred)) select.value = preferred;
  }

  // Notes under the lists, what can be chosen with what is chosen, and the probe's size.
  #describe() {
    const { elements } = this.#form;
    const model = this.#models.get(elements["model.name"].value);
    const size = model?.parameters ? `${Intl.NumberFormat("en", { notation: "compact" }).format(model.parameters)} parameters` : "";
    note("model-name", model ? [`family ${model.family}`, size, SOURCES[model.source]].filter(Boolean).join(", ") : "");
    this.#engines(model);
    reveal(elements["decoding.thinking"], model?.thinking !== false);
    const task = this.#tasks.get(elements.task.value);
    const checked = task?.self_check ? `, ${(100 * task.self_check.share).toFixed(1)} % scored as they must be` : "";
    note("task", task ? `${count(task.train_problems)} training problems, verifier ${task.verifier.replaceAll("_", " ")}${checked}` : "");
    if (task) {
      for (const name of ["probe.problems", ...TRAINED]) elements[name].max = task.train_problems;
      elements[`${OPTIONS}level`].max = task.hint_levels;
      note("context-options-level", `of ${task.hint_levels} hints`);
      note("decoding-max_tokens", `per rollout; the task's: ${count(task.max_tokens)}`);
    }
    this.#contextOptions(elements["context.kind"].value);
    const total = elements["probe.problems"].valueAsNumber * elements["probe.rollouts"].valueAsNumber;
    const most = elements["probe.target_half_width"].value ? "at most" : "=";
    document.getElementById("probe-size").textContent = total > 0 ? `${most} ${count(total)} rollouts per arm` : "";
  }

  // A probe or a run of more problems than the task has would be refused.
  #keepWithin({ train_problems: most }) {
    for (const input of ["probe.problems", ...TRAINED].map((name) => this.#form.elements[name])) {
      if (input.value) input.value = Math.min(input.value, most);
    }
  }

  #contextOptions(kind) {
    note("context-kind", this.#kinds.get(kind)?.description.replaceAll("`", "") ?? "");
    const own = this.#options(kind);
    const { elements } = this.#form;
    const taken = own.includes("of") ? [...own, ...this.#options(elements[`${OPTIONS}of`].value)] : own;
    const inputs = this.#inputs().filter((input) => input.name.startsWith(OPTIONS));
    for (const input of inputs) {
      const [other, value] = input.closest(".field").dataset.when?.split("=") ?? [];
      reveal(input, taken.includes(option(input.name)) && (!other || elements[OPTIONS + other].value === value));
    }
    document.getElementById("context-options").hidden = inputs.every((input) => input.disabled);
    const controls = [...document.querySelectorAll("#controls input")];
    for (const input of controls) reveal(input, input.closest(".field").dataset.kinds.split(" ").includes(kind));
    document.getElementById("controls").hidden = controls.every((input) => input.disabled);
  }

  // A served model is asked of its server, and a folder never is.
  #engines(model) {
    const select = this.#form.elements["probe.engine"];
    for (const one of select.options) one.disabled = one.hidden = one.value !== "auto" && (one.value === "vllm-server") !== (model?.source === "server");
    if (select.selectedOptions[0]?.disabled) select.value = "auto";
  }
}

// The option that an input is of: its name, or that of the object that it is part of.
function option(name) {
  return name.slice(OPTIONS.length).split(".")[0];
}

// What does not apply is hidden, not validated and not sent.
function reveal(input, applies) {
  input.closest(".field").hidden = !applies;
  input.disabled = !applies;
}

// A check box with a value is one of a list; one without is a yes or no.
function isOneOf(input) {
  return input.type === "checkbox" && input.hasAttribute("value");
}

function read(input) {
  if (input.type === "checkbox") return input.checked;
  return input.type === "number" ? input.valueAsNumber / scale(input) : input.value;
}

function write(input, value) {
  if (isOneOf(input)) input.checked = value?.includes(input.value) ?? false;
  else if (input.type === "checkbox") input.checked = value;
  else if (typeof value === "number") input.value = Number((value * scale(input)).toPrecision(12));
  else input.value = value ?? "";
}

function scale(input) {
  return Number(input.dataset.scale ?? 1);
}

function note(id, text) {
  document.getElementById(`${id}-note`).textContent = text;
}

function find(body, path) {
  return path.split(".").reduce((part, key) => part?.[key], body);
}

function set(body, path, value) {
  const keys = path.split(".");
  const last = keys.pop();
  const place = keys.reduce((part, key) => (part[key] ??= {}), body);
  place[last] = value;
}
