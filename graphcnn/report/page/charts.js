// Figures over the order of execution, and training curves, as SVG.

const STRIP = { height: 100, top: 10 };
const svg = (given, ...children) => el("svg", { "aria-hidden": "true", ...given }, ...children);

const sizeOfField = (layer) => {
  const size = layer.receptive_field?.size[0];
  return isNumber(size) ? size : null;
};
const STRIPS = [
  ["Parameters", (layer) => layer.params, brief, "bars"],
  ["Multiply-accumulates", (layer) => layer.macs, brief, "bars"],
  ["Activation memory", (layer) => layer.activation_bytes, bytes, "bars"],
  ["Live memory", (layer) => layer.live_bytes, bytes, "steps"],
  ["Receptive field", sizeOfField, (value) => `${count(value)} px`, "steps"],
];

function makeStrip([title, get, form, shape]) {
  const values = layers.map(get);
  const known = values.filter(isNumber);
  const most = Math.max(0, ...known);
  const value = el("output", {});
  const isWhole = known.length === layers.length || title === "Receptive field";
  const note = isWhole ? "" : " where sizes are known";
  const viewBox = `0 0 ${layers.length} ${STRIP.height}`;
  const picture = svg({ viewBox, preserveAspectRatio: "none" });
  const y = (v) => STRIP.height - (STRIP.height - STRIP.top) * (most ? v / most : 0);
  if (shape === "bars") {
    const inset = layers.length > 200 ? 0 : 0.12;
    for (const [kind] of KINDS) {
      const path = values.map((v, i) => (isNumber(v) && v && kinds[i] === kind
        ? `M${i + inset},${y(0)}V${y(v)}H${i + 1 - inset}V${y(0)}Z` : "")).join("");
      if (path) picture.append(el("path", { class: `fill ${kind}`, d: path }));
    }
  } else {
    let path = "", isDown = false;
    values.forEach((v, i) => {
      if (isNumber(v)) path += `${isDown ? `V${y(v)}` : `M${i},${y(v)}`}H${i + 1}`;
      isDown = isNumber(v);
    });
    if (title === "Live memory" && path) {
      picture.append(el("path", { class: "area", d: `${path}V${y(0)}H0Z` }));
    }
    picture.append(el("path", { class: "step", d: path }));
  }
  const plot = el("div", { class: "plot" }, picture);
  if (title === "Live memory" && known.length) markPeak(plot, y(most));
  else if (known.length) plot.append(el("span", { class: "most" }, form(most)));
  const strip = el("figure", {}, el("figcaption", {}, el("span", {}, title + note), value), plot);
  const show = (place) => {
    value.textContent = (isNumber(values[place]) ? form : count)(values[place]);
  };
  return { strip, plot, show };
}

function markPeak(plot, y) {
  const at = (places.get(data.peak_activation_layer) + 0.5) / layers.length;
  const mark = el("span", { class: at > 0.6 ? "peak left" : "peak" },
    el("span", {}, `peak ${bytes(data.peak_activation_bytes)} at ${data.peak_activation_layer}`));
  mark.style.setProperty("--at", `${100 * at}%`);
  mark.style.setProperty("--y", `${y}%`);
  plot.append(mark);
}

function makeCosts() {
  const strips = STRIPS.map(makeStrip);
  const about = el("p", { class: "about", "aria-hidden": "true" });
  const guide = el("div", { class: "guide" });
  const figures = strips.map(({ strip }) => strip);
  const box = el("div", { class: "strips", tabindex: "0", role: "slider", "aria-label": "Layer",
    "aria-valuemin": 1, "aria-valuemax": layers.length }, ...figures, guide);
  let at = 0;
  const show = (place) => {
    at = Math.min(layers.length - 1, Math.max(0, place));
    const layer = layers[at];
    about.replaceChildren(el("strong", {}, layer.name), `  ${layer.op}  ${shapeOf(layer)}`,
      el("span", { class: "quiet" }, `  ${at + 1} of ${layers.length}`));
    strips.forEach((strip) => strip.show(at));
    guide.style.setProperty("--at", `${100 * (at + 0.5) / layers.length}%`);
    box.setAttribute("aria-valuenow", at + 1);
    const said = figures.map((figure) => figure.firstChild.textContent);
    box.setAttribute("aria-valuetext", [layer.name, ...said].join(", "));
  };
  const under = (event) => {
    const { left, width } = strips[0].plot.getBoundingClientRect();
    return Math.floor((event.clientX - left) / width * layers.length);
  };
  box.addEventListener("pointermove", (event) => show(under(event)));
  box.addEventListener("click", (event) => { show(under(event)); select(at, { reveal: false }); });
  box.addEventListener("dblclick", () => { tell("show", "graph"); select(at); });
  box.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10,
      PageUp: 10, Home: -layers.length, End: layers.length };
    if (event.key === "Enter") { tell("show", "graph"); select(at); }
    if (!steps[event.key]) return;
    event.preventDefault();
    show(at + steps[event.key]);
  });
  on("select", (ref) => ref !== null && ref >= 0 && show(ref));
  const isOpen = layers.some((layer) => !isNumber(layer.macs) || !isNumber(layer.activation_bytes));
  put("costs", el("div", { class: "bar" }, about),
    isOpen ? el("p", { class: "lead" }, "Some sizes of this network are open. "
      + "graphcnn report --input-shape gives them numbers.") : null, box,
    el("p", { class: "quiet" }, "One bar a layer in the order of execution, of one sample. "
      + "Double click, or Enter, shows the layer in the graph."));
  show(0);
}

const CURVE = { w: 460, h: 220, left: 52, right: 12, top: 14, bottom: 30 };

function ticks(low, high, wanted) {
  const rough = (high - low || Math.abs(high) || 1) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const found = [];
  const slack = 1e-9;
  for (let i = Math.ceil(low / step - slack); i <= high / step + slack; i += 1) {
    found.push(+(i * step).toPrecision(12));
  }
  return found;
}

function makeCurve(name, training) {
  const { epochs, curves, best } = training;
  const both = [["training", curves[name]], ["validation", curves[`val_${name}`]]]
    .filter(([, values]) => values);
  const known = both.flatMap(([, values]) => values.filter(isNumber));
  if (!known.length) return null;
  let low = Math.min(...known), high = Math.max(...known);
  if (low === high) { low -= Math.abs(low) / 10 || 1; high += Math.abs(high) / 10 || 1; }
  const first = epochs[0], last = epochs.at(-1);
  const right = CURVE.w - CURVE.right, across = right - CURVE.left;
  const share = (epoch) => (last > first ? (epoch - first) / (last - first) : 0.5);
  const x = (epoch) => CURVE.left + across * share(epoch);
  const y = (v) => CURVE.top + (CURVE.h - CURVE.top - CURVE.bottom) * (high - v) / (high - low);
  const picture = svg({ viewBox: `0 0 ${CURVE.w} ${CURVE.h}` });
  for (const tick of ticks(low, high, 4)) {
    picture.append(
      el("line", { class: "grid", x1: CURVE.left, x2: right, y1: y(tick), y2: y(tick) }),
      el("text", { x: CURVE.left - 8, y: y(tick) + 4, "text-anchor": "end" }, String(tick)));
  }
  for (const tick of ticks(first, last, 6).filter(Number.isInteger)) {
    const at = { x: x(tick), y: CURVE.h - 10, "text-anchor": "middle" };
    picture.append(el("text", at, String(tick)));
  }
  for (const [label, values] of both) {
    let path = "", isDown = false;
    values.forEach((v, i) => {
      if (isNumber(v)) path += `${isDown ? "L" : "M"}${x(epochs[i]).toFixed(1)},${y(v).toFixed(1)}`;
      isDown = isNumber(v);
    });
    picture.append(el("path", { class: `curve ${label}`, d: path }));
    if (epochs.length === 1 && isNumber(values[0])) {
      picture.append(el("circle", { class: `dot ${label}`, cx: x(first), cy: y(values[0]), r: 3 }));
    }
  }
  const judged = both.at(-1)[1];
  const readings = (i) => [`epoch ${epochs[i]}`, ...both.map(([label, v]) => {
    const figure = isNumber(v[i]) ? +v[i].toPrecision(4) : "–";
    return both.length > 1 ? `${label} ${figure}` : figure;
  })].join("   ");
  if (best !== null && isNumber(judged[best])) {
    const at = { cx: x(epochs[best]), cy: y(judged[best]) };
    picture.append(el("circle", { class: "best", ...at, r: 5.5 }));
  }
  const rest = readings(best ?? epochs.length - 1) + (best === null ? "" : "  (best)");
  const shown = el("output", {}, rest);
  const keys = both.map(([label]) => el("span", { class: label }, label));
  const figure = el("figure", {},
    el("figcaption", {}, el("span", {}, name.replaceAll("_", " ")), shown), picture,
    both.length > 1 ? el("p", { class: "key" }, ...keys) : null);
  picture.addEventListener("pointermove", (event) => {
    const { left, width } = picture.getBoundingClientRect();
    const wanted = (event.clientX - left) / width * CURVE.w;
    const apart = epochs.map((epoch) => Math.abs(x(epoch) - wanted));
    shown.textContent = readings(apart.indexOf(Math.min(...apart)));
  });
  picture.addEventListener("pointerleave", () => { shown.textContent = rest; });
  return figure;
}

function makeTraining() {
  const { training } = data;
  const names = Object.keys(training.curves);
  const shown = [...new Set(names.map((name) => name.replace(/^val_/, "")))]
    .sort((a, b) => (a === "learning_rate") - (b === "learning_rate"));
  const about = `${plural(training.epochs.length, "epoch")} of ${training.run}`
    + (training.best === null ? "" : `; epoch ${training.epochs[training.best]} is the best`);
  put("training", el("p", { class: "lead" }, about),
    el("div", { class: "curves" },
      ...shown.map((name) => makeCurve(name, training)).filter(Boolean)));
}
