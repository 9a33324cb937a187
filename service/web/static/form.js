// The form: its body (inputs are named by their path in it), what of it applies, and errors beside their fields.
const OPTIONS = "context.options.";
const OF_TASK = ["probe.problems", "training.problems", "training.evaluation_problems"]; // problems, at most the task's

export class PredictionForm {
  #form = document.getElementById("form");

  constructor(onSubmit) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      onSubmit();
    });
    for (const type of ["input", "change"]) this.#form.addEventListener(type, () => this.#describe());
    this.#form.elements.task.addEventListener("change", () => this.#keepWithin());
    this.#describe();
  }

  body() {
    const body = {};
    for (const input of this.#inputs()) {
      if (input.disabled || input.value === "") continue;
      const path = this.#path(input);
      if (isOneOf(input)) set(body, path, [...(find(body, path) ?? []), ...(input.checked ? [input.value] : [])]);
      else set(body, path, read(input));
    }
    return body;
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
    return [...this.#form.elements["context.kind"].options].find((one) => one.value === kind).dataset.options.split(" ");
  }

  // Where the input's value stands in the body: what a control does not take itself is an option of what it is of.
  #path({ name }) {
    if (!name.startsWith(OPTIONS)) return name;
    const own = this.#options(this.#form.elements["context.kind"].value);
    const inner = own.includes("of") && !own.includes(option(name));
    return inner ? name.replace(OPTIONS, `${OPTIONS}options.`) : name;
  }

  // Notes under the lists, what can be chosen with what is chosen, and the probe's size.
  #describe() {
    const { elements } = this.#form;
    for (const name of ["model.name", "task", "context.kind"]) note(elements[name].id, chosen(elements[name]).note);
    const model = chosen(elements["model.name"]);
    this.#engines(model.source === "server");
    reveal(elements["decoding.thinking"], model.thinking !== "false");
    const { problems, hints, tokens } = chosen(elements.task);
    for (const name of OF_TASK) elements[name].max = problems;
    elements[`${OPTIONS}level`].max = hints;
    note("context-options-level", `of ${hints} hints`);
    note("decoding-max_tokens", `per rollout; the task's: ${tokens}`);
    this.#contextOptions(elements["context.kind"].value);
    const total = elements["probe.problems"].valueAsNumber * elements["probe.rollouts"].valueAsNumber;
    const most = elements["probe.target_half_width"].value ? "at most" : "=";
    document.getElementById("probe-size").textContent = total > 0 ? `${most} ${total.toLocaleString("en")} rollouts per arm` : "";
  }

  // A probe or a run of more problems than the task has would be refused.
  #keepWithin() {
    for (const input of OF_TASK.map((name) => this.#form.elements[name])) {
      if (input.value) input.value = Math.min(input.value, chosen(this.#form.elements.task).problems);
    }
  }

  #contextOptions(kind) {
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
  #engines(isServed) {
    const select = this.#form.elements["probe.engine"];
    for (const one of select.options) one.disabled = one.hidden = one.value !== "auto" && (one.value === "vllm-server") !== isServed;
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

function scale(input) {
  return Number(input.dataset.scale ?? 1);
}

// What the server says of the chosen option of a list.
function chosen(select) {
  return select.selectedOptions[0].dataset;
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
