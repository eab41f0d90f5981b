// The table of costs, sorted by any column, and what each pass did.

const COLUMNS = [
  ["#", (layer, place) => place, (value) => value + 1],
  ["Layer", (layer) => layer.name],
  ["Operator", (layer) => layer.op],
  ["Output", (layer) => shapeOf(layer)],
  ["Parameters", (layer) => layer.params, count, true],
  ["MACs", (layer) => layer.macs, count, true],
  ["Operations", (layer) => layer.flops, count, true],
  ["Activation", (layer) => layer.activation_bytes, bytes, true],
  ["Live memory", (layer) => layer.live_bytes, bytes, true],
  ["Receptive field", (layer) => layer.receptive_field?.size[0] ?? null],
  ["Source", (layer) => layer.source ?? ""],
];
const sizeOf = (value) => (isNumber(value) ? value : -1);

function makeCell([title, get, form = count, isCost], layer, place, most) {
  const value = get(layer, place);
  if (title === "Layer") return el("th", { scope: "row" }, link(place, value));
  if (title === "Output") return el("td", {}, value);
  if (title === "Receptive field") return el("td", { class: "number" }, fieldText(layer));
  if (title === "Source") return el("td", { class: "quiet" }, value);
  const look = isCost ? "number cost" : title === "#" ? "number quiet" : "";
  const cell = el("td", { class: look }, form(value));
  if (isCost && most) cell.style.setProperty("--share", Math.max(0, sizeOf(value)) / most);
  return cell;
}

function makeTable() {
  const most = COLUMNS.map(([, get]) => Math.max(...layers.map(get).map(sizeOf)));
  const rows = layers.map((layer, place) => {
    const cells = COLUMNS.map((column, i) => makeCell(column, layer, place, most[i]));
    return el("tr", {}, ...cells);
  });
  const body = el("tbody", {}, ...rows);
  const heads = COLUMNS.map(([title, , , isCost], index) => {
    const head = el("th", { scope: "col", "aria-sort": index ? "none" : "ascending",
      class: isCost || title === "#" || title === "Receptive field" ? "number" : "" });
    head.append(el("button", { type: "button", click: () => sortBy(index, head) }, title));
    return head;
  });
  function sortBy(index, head) {
    const [, get, , isCost] = COLUMNS[index];
    const was = head.getAttribute("aria-sort");
    const order = was === "none" ? (isCost ? "descending" : "ascending")
      : was === "ascending" ? "descending" : "ascending";
    heads.forEach((other) => other.setAttribute("aria-sort", other === head ? order : "none"));
    const sign = order === "ascending" ? 1 : -1;
    const keys = layers.map(get);
    const areTexts = (a, b) => typeof keys[a] === "string" && typeof keys[b] === "string";
    const compare = (a, b) => (areTexts(a, b)
      ? keys[a].localeCompare(keys[b], "en", { numeric: true })
      : sizeOf(keys[a]) - sizeOf(keys[b]));
    const sorted = rows.map((row, place) => place).sort((a, b) => sign * compare(a, b) || a - b);
    body.append(...sorted.map((place) => rows[place]));
  }
  const filter = el("input", { type: "search", placeholder: "Filter by name or operator",
    "aria-label": "Filter by name or operator", autocomplete: "off", spellcheck: "false",
    input: () => {
      const wanted = filter.value.trim().toLowerCase();
      rows.forEach((row, place) => {
        const { name, op } = layers[place];
        row.hidden = !`${name} ${op}`.toLowerCase().includes(wanted);
      });
    } });
  const peak = data.peak_activation_bytes;
  const totals = COLUMNS.map(([title]) => el("td", { class: "number" }, {
    Parameters: count(data.total_params), MACs: count(data.macs), Operations: count(data.flops),
    "Live memory": peak === null ? null : `peak ${bytes(peak)}`,
  }[title] ?? null));
  put("layers", el("div", { class: "bar" }, filter,
    el("p", { class: "quiet" },
      "Figures are of one sample. A weight that layers share counts in the first.")),
  el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Table of layers" },
    el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body,
      el("tfoot", {}, el("tr", {}, ...totals)))));
  on("select", (ref) => {
    rows.forEach((row, place) => row.classList.toggle("chosen", place === ref));
  });
}

const MOST_REASONS = 12;

function makeReason([node, why]) {
  const name = places.has(node) ? link(places.get(node), node) : el("code", {}, node);
  return el("li", { class: why.startsWith("not ") ? "quiet" : "" }, name, ` ${why}`);
}

function makePasses() {
  const changed = data.passes.filter((pass) => pass.changed).length;
  const items = data.passes.map((pass) => {
    const done = pass.reasons.filter(([, why]) => !why.startsWith("not ")).length;
    const outcome = pass.changed ? "changed" : pass.reasons.length ? "held" : "idle";
    const word = { changed: done ? plural(done, "change") : "changed", held: "not applied",
      idle: "nothing to do" }[outcome];
    return el("li", { class: outcome },
      el("div", { class: "head" }, el("h3", {}, pass.name), el("span", { class: "badge" }, word)),
      el("p", {}, pass.about),
      pass.reasons.length ? el("details", { open: pass.reasons.length <= MOST_REASONS },
        el("summary", {}, plural(pass.reasons.length, "place")),
        el("ul", { class: "plain" }, ...pass.reasons.map(makeReason))) : null);
  });
  put("passes",
    el("p", { class: "lead" }, `${changed} of ${count(data.passes.length)} passes changed the network: `
      + `${plural(layers.length, "layer")} became `
      + `${count(data.compiled_layers)}. What a pass looked at and left alone is given with its `
      + "reason."),
    data.weights ? null : el("p", { class: "quiet" },
      "No weights were given, so it is not known which of them are equal and stored once."),
    el("ol", {}, ...items));
}
