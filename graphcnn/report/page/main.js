// The head of the page, its views, and the start.

const VIEWS = [["graph", "Graph"], ["layers", "Layers"], ["costs", "Costs"], ["passes", "Passes"],
  ...(data.training ? [["training", "Training"]] : [])];

function show(name) {
  for (const [id] of VIEWS) {
    const isShown = id === name, tab = byId(`tab-${id}`);
    byId(id).classList.toggle("shown", isShown);
    tab.setAttribute("aria-selected", isShown);
    tab.setAttribute("tabindex", isShown ? "0" : "-1");
  }
  document.body.dataset.view = name;
  if (name === "graph") resize();
}

function makeTabs() {
  const go = (id) => { show(id); history.replaceState(null, "", `#${id}`); };
  const tabs = VIEWS.map(([id, text]) => el("button", {
    type: "button", role: "tab", id: `tab-${id}`, "aria-controls": id, click: () => go(id),
  }, text));
  byId("tabs").append(...tabs);
  byId("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
  if (!data.training) byId("training").remove();
}

function makeHead() {
  byId("name").textContent = data.name;
  byId("origin").textContent = `${data.file} · ${plural(layers.length, "layer")}`
    + (data.batch ? ` · batch of ${data.batch}` : "");
  const figures = [["Parameters", data.total_params, brief], ["MACs", data.macs, brief],
    ["Model", data.model_bytes, bytes], ["Peak activations", data.peak_activation_bytes, bytes]];
  byId("totals").append(...figures.map(([label, value, form]) => el("div", { title: count(value) },
    el("dt", {}, label), el("dd", {}, value === null ? "open sizes" : form(value)))));
}

// Printed pages show everything: the whole graph, which is put back as it was after.
function printing(isBegun, before) {
  isPrinting = isBegun;
  readLook();
  resize();
  if (isBegun) fit();
  else Object.assign(view, before);
  paintGraph();
}

openFirst();
makeHead();
makeTabs();
makeOutline();
makeDetails();
makeTable();
makeCosts();
makePasses();
if (data.training) makeTraining();
on("show", show);
const asked = location.hash.slice(1);
makeGraph();
show(VIEWS.some(([id]) => id === asked) ? asked : "graph");
let before = null;
window.addEventListener("beforeprint", () => { before = { ...view }; printing(true); });
window.addEventListener("afterprint", () => printing(false, before));
document.documentElement.dataset.ready = "";
