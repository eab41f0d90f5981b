// What is known of the layer or block that is selected.

const quiet = (text) => el("span", { class: "quiet" }, text);
const short = (number) => +number.toFixed(3);
const pair = (term, ...value) => [el("dt", {}, term), el("dd", {}, ...value)];
const list = (refs, label = (ref) => layers[ref].name) =>
  refs.flatMap((ref, index) => [index ? ", " : null, link(ref, label(ref))]);

const usersOf = layers.map(() => []);
layers.forEach((layer, user) => {
  new Set(layer.inputs).forEach((name) => usersOf[places.get(name)].push(user));
});
const outputsOf = (name) =>
  Object.keys(data.outputs).filter((output) => data.outputs[output] === name);

function showDetails(ref) {
  const panel = byId("details");
  const about = ref === null ? aboutAll() : ref < 0 ? aboutBlock(-ref) : aboutLayer(ref);
  panel.replaceChildren(...about);
  panel.classList.toggle("chosen", ref !== null);
  panel.scrollTop = 0;
}

const closer = () => el("button", { type: "button", class: "close", "aria-label": "Close",
  click: () => { select(null); canvas.focus(); } }, "×");

function aboutAll() {
  return [
    el("h2", {}, "Network"),
    el("dl", {}, ...data.layers.filter((l) => l.op === "Input")
      .flatMap((l) => pair(`input ${l.name}`, `${shapeOf(l)}  ${l.dtype}`)),
    ...Object.entries(data.outputs).flatMap(([name, node]) => {
      const place = places.get(node);
      return pair(`output ${name}`, link(place, node), `  ${shapeOf(layers[place])}`);
    }),
    ...pair("layers", count(layers.length)),
    ...pair("weights", data.weights?.replace(/^(sha256:.{12}).*/, "$1…") ?? "not given")),
    el("p", { class: "quiet" }, "Choose a layer to see its arguments, shapes, weights and costs. "
      + "Drag to move, scroll to zoom, and open a block with its arrow or a double click."),
  ];
}

function aboutBlock(block) {
  const isOpen = state.open.has(block);
  const total = (key, form) => pair(KEYS[key], form(sumOf(block, key) ?? "open sizes"));
  return [
    closer(), el("h2", {}, blocks[block].label), el("p", { class: "kind" }, "Block"),
    el("p", {}, el("button", { type: "button", click: () => setOpen([block], !isOpen) },
      isOpen ? "Close block" : "Open block")),
    el("dl", {}, ...pair("layers", count(blocks[block].size)), ...total("params", count),
      ...total("macs", count), ...total("flops", count), ...total("activation_bytes", bytes)),
    el("h3", {}, "Holds"),
    el("ul", { class: "plain" }, ...itemsOf(block).map((ref) =>
      el("li", {}, link(ref, labelOf(ref)), quiet(` ${linesOf(ref)[1]}`)))),
  ];
}

const KEYS = { params: "parameters", macs: "multiply-accumulates", flops: "operations",
  activation_bytes: "activation" };

function aboutLayer(place) {
  const layer = layers[place];
  const { receptive_field: field } = layer;
  const together = layers.map((other, at) => at).filter((at) => at !== place
    && layer.becomes !== null && layers[at].becomes === layer.becomes);
  const becomes = layer.becomes === null ? ["taken out"]
    : together.length ? ["one layer with ", ...list(together)] : ["a layer of its own"];
  return [
    closer(), el("h2", {}, layer.name), el("p", { class: `kind ${kinds[place]}` }, layer.op),
    el("dl", {},
      ...pair("shape", times(layer.output_shape), quiet(`  ${layer.dtype}`)),
      ...(layer.inputs.length ? pair(layer.inputs.length > 1 ? "inputs" : "input",
        ...list(layer.inputs.map((name) => places.get(name)))) : []),
      ...(usersOf[place].length ? pair("goes to", ...list(usersOf[place])) : []),
      ...outputsOf(layer.name).flatMap((name) => pair("output", name)),
      ...(layer.source ? pair("written in", layer.source) : []),
      ...(layer.scope.length ? pair("within", layer.scope.join(" › ")) : []),
      ...pair("compiled", ...becomes)),
    el("h3", {}, "Costs of one sample"),
    el("dl", {}, ...pair("parameters", count(layer.params)),
      ...(layer.params !== layer.trainable_params
        ? pair("trained", count(layer.trainable_params)) : []),
      ...pair("multiply-accumulates", count(layer.macs)), ...pair("operations", count(layer.flops)),
      ...pair("activation",
        layer.view ? "none: a view of its input" : bytes(layer.activation_bytes)),
      ...pair("live memory", layer.live_bytes === null ? "open sizes" : bytes(layer.live_bytes))),
    ...(field ? [el("h3", {}, "Receptive field"), el("dl", {}, ...pair("size", times(field.size)),
      ...pair("stride", field.stride ? times(field.stride.map(short)) : "sees everything"),
      ...pair("begins at", field.offset.map(short).join(", ")))] : []),
    ...(layer.options.length ? [el("h3", {}, "Arguments"), el("dl", {}, ...layer.options.flatMap(
      ([name, text, isSet]) => [el("dt", { class: isSet ? "set" : "" }, name),
        el("dd", { class: isSet ? "" : "quiet" }, text)]))] : []),
    ...(layer.weights.length ? [el("h3", {}, "Weights"), ...layer.weights.map(aboutWeight)] : []),
  ];
}

function aboutWeight(weight) {
  const note = [weight.dtype, weight.trainable ? null : "not trained"].filter(Boolean).join(", ");
  const { figures } = weight;
  return el("div", { class: "weight" },
    el("p", {}, el("strong", {}, weight.role), ` ${times(weight.shape) || "scalar"}  `,
      quiet(note)),
    figures && el("p", { class: "quiet" },
      `${figures.min} to ${figures.max}, mean ${figures.mean}, deviation ${figures.std}`),
    weight.users.length ? el("p", { class: "quiet" }, "shared by ",
      ...list(weight.users.map((name) => places.get(name)))) : null);
}

function makeDetails() {
  on("select", showDetails);
  on("open", () => state.selected < 0 && showDetails(state.selected));
  showDetails(null);
}
