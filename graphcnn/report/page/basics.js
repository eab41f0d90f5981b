// The data, what is selected and which blocks are open, and how numbers and elements are made.

const data = JSON.parse(document.getElementById("data").textContent);
const { layers, blocks } = data;
const places = new Map(layers.map((layer, place) => [layer.name, place]));
const byId = (id) => document.getElementById(id);

// The most boxes that are drawn before anyone opened a block.
const MOST_OPEN = 60;

// Refs: a layer is its place, a block is its number times -1. The whole network is block 0.
const state = { selected: null, open: new Set([0]) };
const listeners = { select: [], open: [], show: [] };
const on = (event, listener) => listeners[event].push(listener);
const tell = (event, ...what) => listeners[event].forEach((listener) => listener(...what));

const itemsOf = (block) => blocks[block].v.filter(([kind]) => kind === 0).map(([, ref]) => ref);

const around = layers.map(() => 0);
blocks.forEach((block, index) => itemsOf(index).forEach((ref) => {
  if (ref >= 0) around[ref] = index;
}));
const parentOf = (ref) => (ref >= 0 ? around[ref] : blocks[-ref].parent);

const innerBlocks = (block) => itemsOf(block).filter((ref) => ref < 0).map((ref) => -ref);

function openFirst() {
  let level = innerBlocks(0), shown = itemsOf(0).length;
  while (level.length) {
    shown += level.reduce((sum, block) => sum + itemsOf(block).length - 1, 0);
    if (shown > MOST_OPEN) return;
    level.forEach((block) => state.open.add(block));
    level = level.flatMap(innerBlocks);
  }
}

// The box that stands for a layer or block: itself, or the closed block around it.
function visible(ref) {
  let box = ref;
  for (let block = parentOf(ref); block; block = blocks[block].parent) {
    if (!state.open.has(block)) box = -block;
  }
  return box;
}

function select(ref, { reveal = true } = {}) {
  state.selected = ref;
  if (ref !== null && reveal) {
    const closed = [];
    for (let block = parentOf(ref); block; block = blocks[block].parent) {
      if (!state.open.has(block)) closed.push(block);
    }
    if (closed.length) {
      closed.forEach((block) => state.open.add(block));
      tell("open");
    }
  }
  tell("select", ref, reveal);
}

function setOpen(some, open) {
  some.forEach((block) => (open ? state.open.add(block) : block && state.open.delete(block)));
  tell("open", some.length === 1 ? some[0] : null);
}

const toggle = (ref) => setOpen([-ref], !state.open.has(-ref));

const within = (name, prefix) => (prefix && name.startsWith(prefix)
  ? name.slice(prefix.length).replace(/^[/_.]/, "") || name : name);

const labelOf = (ref) => {
  const prefix = blocks[parentOf(ref) ?? 0].prefix;
  return ref < 0 ? within(blocks[-ref].label, prefix) : within(layers[ref].name, prefix);
};

const KINDS = [
  ["input", "Input", /^Input$/],
  ["convolution", "Convolution", /Conv/],
  ["dense", "Dense", /Dense/],
  ["pooling", "Pooling", /Pooling/],
  ["norm", "Normalization, scaling", /Normalization|Rescaling|LayerScale/],
  ["merge", "Merging", /^(Add|Average|Concatenate|Dot|Maximum|Minimum|Multiply|Subtract|Divide)$/],
  ["activation", "Activation", /Activation|ELU|ReLU|Relu|Softmax|Sigmoid|Swish|Silu|Tanh|Soft/i],
  ["other", "Other", /./],
];
const kindOf = (layer) => KINDS.find(([, , pattern]) => pattern.test(layer.op))[0];
const kinds = layers.map(kindOf);

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "line", "circle", "rect", "text", "g"]);

function el(tag, given = {}, ...children) {
  const made = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

const put = (id, ...children) => byId(id).append(...children.filter((child) => child != null));

const isNumber = (value) => typeof value === "number";
const count = (value) => (isNumber(value) ? value.toLocaleString("en") : value ?? "–");

function scaled(value, units, base) {
  if (!isNumber(value)) return count(value);
  let step = 0;
  while (value >= base && step < units.length - 1) { value /= base; step += 1; }
  const digits = step && value < 100 ? (value < 10 ? 2 : 1) : 0;
  return `${value.toFixed(digits)}${units[step]}`;
}
const brief = (value) => scaled(value, ["", " k", " M", " G", " T"], 1000);
const bytes = (value) => scaled(value, [" B", " KiB", " MiB", " GiB"], 1024);
const grouped = (size) => (/ /.test(size) ? `(${size})` : size);
const times = (sizes) => sizes.map((size) => grouped(size ?? "N")).join("×");
const shapeOf = (layer) => times(layer.output_shape.slice(1));
const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

function fieldText({ receptive_field: field }) {
  if (!field) return "–";
  const strides = field.stride && [...new Set(field.stride)].map((s) => +s.toFixed(3)).join("×");
  return field.stride ? `${times(field.size)} /${strides}` : `${times(field.size)} (all)`;
}

const link = (ref, text) => el("button", {
  class: "link", type: "button", title: ref < 0 ? blocks[-ref].label : layers[ref].name,
  click: () => { tell("show", "graph"); select(ref); },
}, text);
