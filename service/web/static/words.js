// Numbers and states in words. Accuracies are shares in [0, 1] in the API and accuracy points (x 100) on the page.

export const POINTS = "accuracy points";
const MINUS = "\u2212";

export function points(share) {
  const text = (100 * share).toFixed(1);
  if (Number(text) === 0) return "0.0";
  return text.startsWith("-") ? MINUS + text.slice(1) : `+${text}`;
}

export function measured({ value, se }) {
  return `${points(value)} ± ${(100 * se).toFixed(1)}`;
}

export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

// An id's last eight characters tell ids apart: the first ones are the time.
export function shortId(id) {
  return `${id.split("_")[0]}_\u2026${id.slice(-8)}`;
}

// Nothing that is estimated is certain.
export function probability(share) {
  if (share > 0.999) return "> 99.9 %";
  if (share < 0.001) return "< 0.1 %";
  return percent(share);
}

export function plainPoints(share) {
  return (100 * share).toFixed(1);
}

export function decimal(value) {
  return value.toFixed(2).replace("-", MINUS);
}

export function level(share) {
  return `${Number((100 * share).toFixed(2))} %`;
}

export function count(value) {
  return value.toLocaleString("en");
}

export function duration(seconds) {
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} seconds`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(1)} minutes`;
  return `${(seconds / 3600).toFixed(1)} hours`;
}

export function gpuHours(hours) {
  return `${hours < 0.01 ? "< 0.01" : hours.toFixed(2)} GPU-hours`;
}

const PLAIN = (name) => name.replaceAll("_", " ");

export function context({ kind, options }) {
  const { of, level: shown, source, extract_from: from, corruption } = options ?? {};
  if (of) return `placebo of ${context({ kind: of, options: { ...options.options, corruption } })}`;
  const parts = [PLAIN(kind)];
  if (shown) parts.push(`${shown} shown`);
  if (source === "model") parts.push(`from a ${from} solution`);
  if (corruption?.rate) parts.push(`${level(corruption.rate)} wrong`);
  if (corruption && corruption.coverage < 1) parts.push(`${level(corruption.coverage)} covered`);
  return parts.join(", ");
}

export const VERDICTS = {
  train: ["Train", "The whole 80 % interval is above {gain}."],
  skip: ["Skip", "The whole 80 % interval is below {gain}."],
  probe_more: ["Probe more", "The 80 % interval spans {gain}; a larger probe could decide."],
  undecided: ["Undecided", "The 80 % interval spans {gain}, and a larger probe would not change that: more observations would."],
  refused: ["No prediction", "The law does not reach this far. The warnings say why."],
};

export const LAW_STATUS = {
  prior_only: () => "prior only: the pool has no observations with such a teacher",
  cold: () => "cold: no observation of this family with such a teacher, other families speak for it",
  sparse: (n) => `sparse: ${n} of this family with such a teacher, no claim about its slope`,
  fitted: (n) => `fitted on ${count(n)} observations`,
};

const TEACHERS = { frozen: "frozen", ema: "EMA", trust_region: "trust region" };
const DIVERGENCES = { forward_kl: "forward KL", reverse_kl: "reverse KL", js: "JS" };

export function recipe({ teacher, divergence }) {
  return `${TEACHERS[teacher]} teacher, ${DIVERGENCES[divergence]}`;
}

// A weight in whole per cent: nothing that is weighed is certain.
function weight(share) {
  if (share >= 0.995 && share < 1) return "> 99 %";
  return share > 0 && share < 0.005 ? "< 1 %" : `${(100 * share).toFixed(0)} %`;
}

export function links({ linear }) {
  if (linear === 0 || linear === 1) return linear ? "straight" : "saturating";
  return `straight ${weight(linear)}, saturating ${weight(1 - linear)}`;
}

export function branch({ link, weight: share }) {
  return `if ${link === "linear" ? "straight" : "saturating"} (${weight(share)})`;
}

export function sentence(text) {
  return text[0].toUpperCase() + text.slice(1);
}

const STATES = {
  queued: "Waiting for a worker",
  running: "Running",
  paused: "Paused",
  succeeded: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
  dead: "Gave up",
};

export function state(status) {
  return STATES[status] ?? status;
}

// What a training run does, by its phase.
export const PHASES = {
  baseline: "Measuring baseline and gap",
  training: "Training",
  evaluation: "Evaluating",
  export: "Writing the model",
};

// What has become of a run, by the event that says so; its next step replaces it, unless the run was asked to stop.
export const HAPPENED = {
  "job.started": "Loading the model",
  "job.retrying": "The attempt was lost; it goes on from the last checkpoint",
  "job.handed_back": "The worker stopped; waiting for another",
  "job.paused": "Paused",
  "job.resumed": "Waiting for a worker",
  "training.resumed": "Going on from its checkpoint",
};
export const ASKED = { "job.pause_requested": "Pausing after this step", "job.cancel_requested": "Cancelling" };

// The interval that a run is judged by: of 80 %, or else the narrowest that its prediction has.
export function judged({ intervals }) {
  return intervals.find(({ level: share }) => share === 0.8) ?? intervals.toSorted((a, b) => a.level - b.level)[0] ?? null;
}

const ARMS = { none: "A/A", context: "self-teacher" };

export function truncated(arms) {
  const cut = Object.entries(arms).filter(([, arm]) => arm.truncated);
  return cut.map(([name, arm]) => `${ARMS[name] ?? PLAIN(name)} ${percent(arm.truncated)}`).join(", ") || "no rollout";
}

export function size(bytes) {
  const [unit, name] = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]].find(([one]) => bytes >= 0.9995 * one) ?? [1, "B"];
  return `${Number((bytes / unit).toPrecision(3))} ${name}`;
}

export function passAtK(shares) {
  return Object.entries(shares).map(([k, share]) => `${percent(share)} with ${k}`).join(", ");
}

const REASONS = {
  not_covered: "left out by the coverage",
  no_attempt: "no attempt to give feedback on",
  no_feedback: "the verifier says nothing",
  no_feedback_on_success: "the attempt was right",
  no_success_in_group: "no other attempt of the group was right",
  no_hints: "no hints",
  no_reference_solution: "no reference solution",
  no_column_text: "no text in the column",
  no_donor: "no other problem that could lend one",
};

// `reasons` counts rollouts.
export function missing(share, reasons) {
  const why = Object.entries(reasons).map(([reason, n]) => `${REASONS[reason] ?? PLAIN(reason)} (${count(n)})`);
  return share ? `${percent(share)} of rollouts: ${why.join(", ")}` : "no rollout";
}

// Of a sequential probe alone: any other ends when its size is measured.
export const STOPPED = {
  width: (problems, most) => `narrow enough after ${problems} of at most ${most} problems`,
  most_problems: (problems) => `after all ${problems} problems, wider than asked for`,
};

export function engine({ engine: name, device, dtype, ...versions }) {
  return [[name, versions[name]].filter(Boolean).join(" "), device, dtype].filter(Boolean).join(", ");
}

export function when(time) {
  return new Date(time).toLocaleString(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
}
