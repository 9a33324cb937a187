// The tables: observations behind the plot, past predictions with their outcomes, and recent predictions.
import * as words from "/static/words.js";

export function showObservations(rows) {
  fill(document.getElementById("observations"), rows, (one) => {
    const row = tableRow([
      one.model,
      one.family,
      one.context.replaceAll("_", " "),
      { number: words.measured(one.gap) },
      { number: words.measured(one.improvement) },
      one.note,
    ]);
    row.dataset.mark = one.mark;
    return row;
  });
}

export function showOutcomes(rows) {
  fill(document.getElementById("outcomes"), rows, (one) => {
    const [lower, upper] = one.interval;
    return tableRow([
      { link: `/?prediction=${encodeURIComponent(one.prediction_id)}`, text: words.when(one.at), label: "Open its prediction" },
      { number: words.points(one.predicted) },
      { number: `${words.points(lower)} to ${words.points(upper)}` },
      { number: words.points(one.outcome) },
      one.inside ? "yes" : "no",
    ]);
  });
}

function fill(details, rows, tableRowOf) {
  details.querySelector("[data-slot=count]").textContent = `(${words.count(rows.length)})`;
  details.querySelector("tbody").replaceChildren(...rows.map(tableRowOf));
}

export function showRecent(predictions, openId) {
  const table = document.getElementById("recent");
  table.hidden = predictions.length === 0;
  const empty = document.getElementById("recent-empty");
  empty.textContent = "No predictions yet.";
  empty.hidden = predictions.length > 0;
  table.tBodies[0].replaceChildren(
    ...predictions.map((prediction) => {
      const { request } = prediction;
      const cells = [
        { link: `/?prediction=${encodeURIComponent(prediction.id)}`, text: words.when(prediction.created_at), label: `Open ${request.model.name}, ${words.context(request.context)}` },
        request.model.name,
        request.task,
        words.context(request.context),
        { number: prediction.gap ? words.measured(prediction.gap) : "" },
        { number: improvement(prediction.improvement) },
        verdict(prediction),
      ];
      const row = tableRow(cells);
      if (prediction.id === openId) row.setAttribute("aria-current", "true");
      return row;
    }),
  );
}

function improvement(found) {
  if (!found || found.value === null) return "";
  const { lower, upper } = found.intervals.reduce((widest, one) => (one.level > widest.level ? one : widest));
  return `${words.points(found.value)}  (${words.points(lower)} to ${words.points(upper)})`;
}

function verdict(prediction) {
  return prediction.verdict ? words.VERDICTS[prediction.verdict][0] : words.state(prediction.status);
}

function tableRow(cells) {
  const row = document.createElement("tr");
  for (const cell of cells) {
    const td = row.insertCell();
    if (typeof cell === "string") {
      td.textContent = cell;
    } else if (cell.link) {
      const link = document.createElement("a");
      link.href = cell.link;
      link.textContent = cell.text;
      link.setAttribute("aria-label", `${cell.text}: ${cell.label}`);
      td.append(link);
    } else {
      td.className = "number";
      td.textContent = cell.number;
    }
  }
  return row;
}
