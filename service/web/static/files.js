// A file that is chosen: its text can be mended in the form; what is not text, or is large, is sent as base64.
const LARGEST = 2_000_000;
const FORMATS = { csv: "csv", json: "json", jsonl: "ndjson", ndjson: "ndjson", parquet: "parquet" };
const [file, format, text, packed] = ["file", "format", "text", "packed"].map((id) => document.getElementById(id));

file.addEventListener("change", async () => {
  const [chosen] = file.files;
  packed.value = "";
  if (!chosen) return;
  const known = FORMATS[chosen.name.split(".").pop().toLowerCase()];
  if (known) format.value = known;
  if (format.value !== "parquet" && chosen.size <= LARGEST) {
    text.value = await chosen.text();
    return;
  }
  text.value = "";
  const reader = new FileReader();
  reader.addEventListener("load", () => (packed.value = reader.result.split(",")[1] ?? ""));
  reader.readAsDataURL(chosen);
});
text.addEventListener("input", () => (packed.value = ""));
