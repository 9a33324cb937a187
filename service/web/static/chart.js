// Draws a specification with Vega's expression interpreter (no eval) and colours from the style sheet.
import { expressionInterpreter } from "/static/vendor/vega-interpreter.min.js";

// On a phone one legend stands under the other, beside which it would be cut off. Vega-Lite has no word for it.
const LEGENDS = { top: { direction: { signal: "width < 420 ? 'vertical' : 'horizontal'" } } };
const dark = matchMedia("(prefers-color-scheme: dark)");

export class Chart {
  #container;
  #spec = null;
  #view = null;
  #size = ""; // that was drawn for
  #tip;

  constructor(container) {
    this.#container = container;
    this.#tip = document.createElement("dl");
    this.#tip.className = "tip";
    this.#tip.hidden = true;
    document.body.append(this.#tip);
    dark.addEventListener("change", () => this.#draw());
    new ResizeObserver(() => this.#size !== this.#measure() && this.#draw()).observe(container);
  }

  // Without a specification there is nothing to see.
  async show(spec) {
    this.#spec = spec;
    this.#container.hidden = !spec;
    await this.#draw();
  }

  // A plot with a height of its own makes its container as high as it is.
  #measure() {
    const { clientWidth, clientHeight } = this.#container;
    return Number.isFinite(this.#spec?.height) ? `${clientWidth}` : `${clientWidth} ${clientHeight}`;
  }

  // Hands out what is drawn as a file, svg or png.
  async save(kind, name) {
    const svg = kind === "svg" && new Blob([await this.#view.toSVG()], { type: "image/svg+xml" });
    const link = document.createElement("a");
    link.href = svg ? URL.createObjectURL(svg) : await this.#view.toImageURL("png", 2);
    link.download = `${name}.${kind}`;
    link.click();
    if (svg) setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  async #draw() {
    this.#size = this.#measure();
    this.#view?.finalize();
    this.#view = null;
    this.#tip.hidden = true;
    this.#container.replaceChildren();
    if (!this.#spec || !this.#container.clientWidth) return;
    const { vega, vegaLite } = globalThis;
    const { spec } = vegaLite.compile({ ...this.#spec, config: coloured(this.#spec.config) });
    spec.config.legend.layout = LEGENDS;
    const runtime = vega.parse(spec, null, { ast: true });
    this.#view = new vega.View(runtime, { expr: expressionInterpreter, renderer: "svg", container: this.#container, hover: true });
    this.#view.tooltip((_handler, event, _item, value) => this.#point(event, value));
    await this.#view.runAsync();
  }

  #point(event, value) {
    this.#tip.hidden = !value;
    if (!value) return;
    this.#tip.replaceChildren(
      ...Object.entries(value).flatMap(([name, text]) => [element("dt", name), element("dd", text)]),
    );
    const { width, height } = this.#tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, innerWidth - width - 8);
    const top = event.clientY + 14 + height > innerHeight ? event.clientY - height - 8 : event.clientY + 14;
    this.#tip.style.left = `${Math.max(8, left)}px`;
    this.#tip.style.top = `${top}px`;
  }
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

// Colours, and the font, come as the names of variables of the style sheet.
function coloured(config) {
  const style = getComputedStyle(document.documentElement);
  return JSON.parse(JSON.stringify(config), (_key, value) =>
    typeof value === "string" && value.startsWith("--chart-") ? style.getPropertyValue(value).trim() : value,
  );
}
