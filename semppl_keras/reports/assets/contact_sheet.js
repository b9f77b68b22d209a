const paths = PATHS, names = NAMES, file = FILE;
const evaluated = EVALUATED;
const selects = [...document.querySelectorAll("figure select")];
for (const select of selects) {
  for (const name of names) select.add(new Option(name, name));
}
const told = document.getElementById("told");
function labelled() {
  return selects.map((select, i) => [paths[i], select.value]).filter(([, l]) => l);
}
function count() {
  told.textContent = labelled().length + " of " + paths.length + " labelled";
}
document.addEventListener("change", count);
document.getElementById("guesses").addEventListener("click", () => {
  for (const select of selects) if (!select.value) select.value = select.dataset.guess;
  count();
});
document.getElementById("save").addEventListener("click", () => {
  const inert = text => evaluated.includes(text[0]) ? "'" + text : text;
  const quoted = text => '"' + inert(text).replaceAll('"', '""') + '"';
  const rows = [["path", "label"], ...labelled()];
  const lines = rows.map(row => row.map(quoted).join(",") + "\n");
  const link = document.createElement("a");
  link.href = "data:text/csv;charset=utf-8," + encodeURIComponent(lines.join(""));
  link.download = file;
  link.click();
});
count();
