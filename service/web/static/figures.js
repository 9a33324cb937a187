// The figures of the law page: each is read when it comes into view, and saved as it is drawn.
import { ApiError, get } from "/static/api.js";
import { Chart } from "/static/chart.js";

const charts = new Map();
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) if (isIntersecting) (seen.unobserve(target), draw(target));
}, { rootMargin: "200px" });

async function draw(figure) {
  const said = figure.querySelector("[role=status]");
  const chart = new Chart(figure.querySelector(".plot"));
  try {
    const { spec, note } = await get(`/law/${figure.dataset.figure}.json?${figure.dataset.query}`);
    said.textContent = note;
    await chart.show(spec);
    if (spec) charts.set(figure, chart);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    said.textContent = error.message;
  }
  for (const button of saving(figure)) button.disabled = !charts.has(figure);
}

function saving(figure) {
  return figure.parentElement.querySelectorAll("[data-save]");
}

// htmx says this of the page, and of each part that it puts in.
document.addEventListener("htmx:load", ({ target }) => {
  for (const figure of target.querySelectorAll("[data-figure]")) {
    for (const button of saving(figure)) {
      button.disabled = true;
      button.addEventListener("click", () => charts.get(figure).save(button.dataset.save, figure.dataset.name));
    }
    seen.observe(figure);
  }
});

// The slider of the versions says which one it stands at, and leads there when it is let go.
const slider = document.getElementById("version");
const versions = [...document.querySelectorAll(".version")];
slider?.addEventListener("input", () => (document.getElementById("version-text").value = versions[slider.value].textContent));
slider?.addEventListener("change", () => location.assign(versions[slider.value].value));
