// Draws a specification with Vega's expression interpreter (no eval) and colours from the style sheet.
import { expressionInterpreter } from "/static/vendor/vega-interpreter.min.js";

const STRAIGHT = "M-0.9,0.7L0.9,-0.7";
const BENT = "M-0.9,0.7C-0.5,-0.5 0,-0.6 0.9,-0.6";
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
    const { spec } = vegaLite.compile(this.#spec, { config: theme() });
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

function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--chart-${name}`).trim();
  const text = { labelColor: colour("text"), titleColor: colour("text"), labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500 };
  const font = style.getPropertyValue("--chart-font").trim();
  return {
    font,
    background: colour("paper"),
    view: { stroke: null },
    axis: { ...text, gridColor: colour("grid"), domain: false, ticks: false, labelPadding: 6, titlePadding: 10 },
    axisX: { tickCount: { expr: "ceil(width / 90)" } },
    legend: { ...text, orient: "top", symbolStrokeWidth: 1.2, symbolSize: 70, padding: 0, offset: 10, columnPadding: 14 },
    range: { category: ["a", "b", "c", "d", "e", "f", "g", "h"].map(colour) },
    style: {
      zero: { color: colour("zero") },
      "prediction-band": { color: colour("fit"), fillOpacity: 0.12 },
      "confidence-band": { color: colour("fit"), fillOpacity: 0.25 },
      fit: { color: colour("fit"), strokeWidth: 2 },
      "error-bar": { strokeWidth: 1 },
      observation: { size: 55, strokeWidth: 1.2 },
      outlier: { shape: "circle", size: 230, filled: false, color: colour("warn"), strokeWidth: 1.8 },
      interval: { color: colour("answer"), strokeCap: "round" },
      prediction: { shape: "diamond", size: 170, filled: true, color: colour("answer"), stroke: colour("paper"), strokeWidth: 1.5, opacity: 1 },
      "branch-interval": { color: colour("text"), strokeWidth: 1.5, strokeDash: [2, 3] },
      "branch-linear": { shape: STRAIGHT, size: 320, filled: false, color: colour("answer"), strokeWidth: 2.5, opacity: 1 },
      "branch-saturating": { shape: BENT, size: 320, filled: false, color: colour("answer"), strokeWidth: 2.5, opacity: 1 },
      promised: { color: colour("fit"), strokeWidth: 3, strokeOpacity: 0.3, strokeCap: "round" },
      identity: { color: colour("zero"), strokeWidth: 1.2 },
      inside: { shape: "circle", size: 50, filled: true, color: colour("answer"), opacity: 0.9 },
      outside: { shape: "diamond", size: 110, filled: true, color: colour("warn"), opacity: 1 },
      baseline: { color: colour("zero"), strokeWidth: 1.5 },
      "self-teacher": { color: colour("text"), strokeWidth: 1.5, strokeDash: [2, 3] },
      forecast: { color: colour("fit"), strokeWidth: 12, strokeOpacity: 0.28 },
      "forecast-mean": { color: colour("fit"), orient: "horizontal", size: 20, thickness: 2, opacity: 1 },
      fan: { color: colour("answer"), fillOpacity: 0.12 },
      student: { color: colour("answer"), strokeWidth: 2 },
      look: { shape: "circle", size: 42, filled: true, color: colour("answer"), opacity: 1 },
      "look-error": { color: colour("answer"), strokeWidth: 1.2, strokeOpacity: 0.5 },
      "held-out": { color: colour("b"), strokeWidth: 1.5, strokeDash: [6, 3] },
      "held-out-look": { shape: "square", size: 30, filled: true, color: colour("b"), opacity: 1 },
      loss: { color: colour("a"), strokeWidth: 1.5 },
      "loss-step": { shape: "circle", size: 14, filled: true, color: colour("a"), opacity: 1 },
      forest: { shape: "circle", size: 55, filled: true, color: colour("answer"), opacity: 1 },
      "forest-interval": { color: colour("fit"), strokeWidth: 3, strokeCap: "round" },
      histogram: { color: colour("fit"), fillOpacity: 0.6 },
      refused: { color: colour("answer"), strokeWidth: 1.5, strokeDash: [5, 4] },
    },
  };
}
