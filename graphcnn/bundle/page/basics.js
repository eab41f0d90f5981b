// What the page knows of the model, and how elements, numbers and messages are made.

const contract = JSON.parse(document.getElementById("data").textContent);
const { image: input, scores } = contract;
const { classes } = scores;
const byId = (id) => document.getElementById(id);

function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

// A name of the file's: it cannot turn the text around it to the right or the left.
const named = (text) => el("bdi", {}, text);

const plural = (number, noun, nouns = `${noun}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? noun : nouns}`;
const sizeOf = (bytes) => (bytes < 2 ** 20
  ? `${(bytes / 2 ** 10).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`);
const milliseconds = (time) => `${time.toFixed(time < 10 ? 1 : 0)} ms`;
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const decimal = (value) => Number(value.toPrecision(3)).toString();

// Problems stay in sight until what was wrong has gone right; without a model nothing does.
let failure = "";

function complain(message = failure) {
  byId("problem").textContent = message;
  byId("problem").hidden = !message;
}

function fail(message) {
  failure = message;
  complain();
  document.documentElement.dataset.state = "failed";
}

const reasonOf = (error) => String(error?.message ?? error).trim().slice(0, 300);
