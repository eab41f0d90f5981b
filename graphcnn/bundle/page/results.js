// The classes with the highest scores, as bars, and the time that an image takes.

const FEW = 5, MANY = 100;
// How far from 1 probabilities may sum up.
const TOLERANCE = 1e-3;
const TIMES_KEPT = 20;
// In milliseconds: what is read aloud waits for what comes right after it.
const PAUSE = 600;

const times = [];
let rowsShown = FEW, last = null;
let said = "", newest = null, speaking = null;

const nameOf = (index) => (classes.length ? classes[index] ?? `class ${index}` : `class ${index}`);

function softmax(values) {
  const most = values.reduce((a, b) => Math.max(a, b));
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

const sigmoid = (value) => 1 / (1 + Math.exp(-value));

const NOTES = {
  softmax: "Softmax of the model's logits.",
  sigmoid: "Sigmoid of the model's logit.",
  each: "Each class has a probability of its own.",
  values: "Values as the model gives them.",
};

// The probability of each class, and what is to be said of it.
function probabilities(values) {
  const isShare = values.every((value) => value >= 0 && value <= 1);
  if (scores.indices) return [values, isShare ? "" : "values"];
  if (values.length === 1) {
    const share = isShare ? values[0] : sigmoid(values[0]);
    return [[1 - share, share], isShare ? "" : "sigmoid"];
  }
  if (scores.kind === "sigmoid") return [values, "each"];
  const sum = values.reduce((total, value) => total + value, 0);
  const isSure = isShare && (scores.kind === "softmax" || Math.abs(sum - 1) <= TOLERANCE);
  return isSure ? [values, ""] : [softmax(values), "softmax"];
}

function ranked(outputs) {
  const [shares, note] = probabilities(Array.from(outputs[scores.name].data));
  const indices = scores.indices ? Array.from(outputs[scores.indices].data, Number) : null;
  const rows = shares.map((share, place) => ({ index: indices ? indices[place] : place, share }));
  return [rows.sort((a, b) => b.share - a.share || a.index - b.index), note];
}

function makeRow() {
  const bar = el("span", { class: "share" }), name = named(""), value = el("data");
  return { row: el("li", {}, el("span", { class: "name" }, name), value, bar), bar, name, value };
}

const made = [];

function fillRow(place, found, isScore) {
  const { row, bar, name, value } = made[place];
  row.classList.toggle("empty", !found);
  name.textContent = found ? nameOf(found.index) : "";
  name.title = name.textContent;
  value.value = found ? String(found.share) : "";
  value.textContent = found ? (isScore ? decimal(found.share) : percent(found.share)) : "";
  bar.style.setProperty("--share", found && !isScore ? Math.min(Math.max(found.share, 0), 1) : 0);
}

function fillRows() {
  const [rows, note] = last ? ranked(last.outputs) : [[], ""];
  const total = Math.min(Math.max(scores.count, 2), MANY), shown = Math.min(rowsShown, total);
  while (made.length < shown) made.push(makeRow());
  byId("classes").replaceChildren(...made.slice(0, shown).map(({ row }) => row));
  for (let place = 0; place < shown; place += 1) fillRow(place, rows[place], note === "values");
  byId("more").hidden = total <= FEW;
  byId("more").textContent = rowsShown > FEW ? `Show the top ${FEW}`
    : `Show ${total < scores.count ? `the top ${total}` : `all ${total}`}`;
  byId("more").setAttribute("aria-expanded", rowsShown > FEW);
  byId("note").textContent = NOTES[note] ?? "";
  return [rows[0], note];
}

// Reads the newest result aloud; a camera's only when it is another class.
function speak() {
  speaking = null;
  const isSame = said.startsWith(`${newest.name},`);
  if (!byId("camera-panel").hidden && isSame) return;
  byId("said").textContent = said = newest.text;
}

function tell([best, note]) {
  const name = nameOf(best.index);
  byId("best").replaceChildren(named(name));
  newest = { name, text: `${name}, ${(note === "values" ? decimal : percent)(best.share)}` };
  speaking ??= setTimeout(speak, PAUSE);
}

function takeScores(found) {
  last = found;
  times.push(found.time);
  if (times.length > TIMES_KEPT) times.shift();
  const sorted = [...times].sort((a, b) => a - b), middle = sorted[sorted.length >> 1];
  tell(fillRows());
  byId("time").textContent = milliseconds(found.time);
  byId("times").textContent = times.length > 1 ? `median ${milliseconds(middle)}` : "";
  show(byId("seen"), found.image);
  document.documentElement.dataset.runs = Number(document.documentElement.dataset.runs ?? 0) + 1;
}

function makeResults() {
  byId("more").addEventListener("click", () => {
    rowsShown = rowsShown > FEW ? FEW : MANY;
    fillRows();
  });
  byId("seen").style.setProperty("--ratio", input.width / input.height);
  fillRows();
  shows(() => [], takeScores);
}

// Puts the image away, and all that came of it.
function forget() {
  drop();
  last = null;
  clearTimeout(speaking);
  speaking = null;
  said = "";
  times.length = 0;
  fillRows();
  for (const id of ["best", "time", "times", "said"]) byId(id).textContent = "";
  byId("best").textContent = "–";
  byId("seen").width = byId("seen").width;
  forgetMaps();
}
