const paths = PATHS, names = NAMES, confidences = CONFIDENCES;
const given = GIVEN, evaluated = EVALUATED, file = FILE;
const byId = id => document.getElementById(id);
const selects = [...document.querySelectorAll("figure select")];
const added = [];
let saved = selects.map(() => "").join("\n");
function offer(name) {
  for (const select of selects) select.add(new Option(name, name));
}
for (const name of names) offer(name);
// A class that the run does not know.
function join() {
  const name = byId("name").value.trim();
  byId("name").value = "";
  if (!name || names.includes(name) || added.includes(name)) return;
  added.push(name);
  offer(name);
  count();
}
function labelled() {
  return selects.map((select, i) => [paths[i], select.value]).filter(([, l]) => l);
}
// The labels that the run had, and those of the page, which count where both name one.
function table() {
  const chosen = labelled(), here = new Set(chosen.map(([path]) => path));
  return [...given.filter(([path]) => !here.has(path)), ...chosen];
}
function chosen() {
  return selects.map(select => select.value).join("\n");
}
function count() {
  byId("told").textContent = labelled().length + " of " + paths.length + " labelled" +
    (given.length ? ", " + table().length + " in the table with the run's own" : "") +
    (added.length ? "; new: " + added.join(", ") : "");
}
function rest() {
  return selects.map((_, i) => i).filter(i => !selects[i].value);
}
function images(number, one, many) {
  return number === 1 ? "1 image " + one : number + " images " + many;
}
function ask(open) {
  byId("ask").hidden = !open;
  if (!open) return;
  const left = rest();
  const right = left.reduce((sum, i) => sum + confidences[i], 0);
  byId("expected").textContent = images(left.length, "has", "have") +
    " no label yet. By their confidences about " + right.toFixed(1) +
    " of these guesses are right, and " + (left.length - right).toFixed(1) +
    " wrong, and would be trained with.";
}
byId("add").addEventListener("click", join);
byId("name").addEventListener("keydown", event => {
  if (event.key === "Enter") join();
});
// What is not saved goes with the page.
addEventListener("beforeunload", event => {
  if (chosen() !== saved) event.preventDefault();
});
document.addEventListener("change", () => { count(); ask(false); });
byId("guesses").addEventListener("click", () => ask(rest().length > 0));
byId("leave").addEventListener("click", () => ask(false));
byId("take").addEventListener("click", () => {
  for (const i of rest()) selects[i].value = selects[i].dataset.guess;
  ask(false);
  count();
});
byId("save").addEventListener("click", () => {
  const inert = text => evaluated.includes(text[0]) ? "'" + text : text;
  const quoted = text => '"' + inert(text).replaceAll('"', '""') + '"';
  const rows = [["path", "label"], ...table()];
  const lines = rows.map(row => row.map(quoted).join(",") + "\n");
  const link = document.createElement("a");
  link.href = "data:text/csv;charset=utf-8," + encodeURIComponent(lines.join(""));
  link.download = file;
  link.click();
  saved = chosen();
});
count();
