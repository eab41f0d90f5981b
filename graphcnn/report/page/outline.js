// The blocks and layers as a tree, which opens and closes with the graph.

const rowOf = new Map();
let current = null;

function makeRow(ref, level) {
  const isBlock = ref < 0;
  const label = el("span", { class: `row ${isBlock ? "block" : kinds[ref]}`,
    title: isBlock ? blocks[-ref].label : layers[ref].name }, labelOf(ref));
  const row = el("li", { role: "treeitem", tabindex: "-1", "aria-level": level,
    "aria-expanded": isBlock ? "false" : null, "aria-selected": "false" }, label);
  row.ref = ref;
  if (isBlock) row.append(el("ul", { role: "group" }));
  rowOf.set(ref, row);
  return row;
}

// Rows inside a block are made when it is opened for the first time.
function syncTree() {
  const sync = (block, parent, level) => {
    if (!parent.firstChild) parent.append(...itemsOf(block).map((ref) => makeRow(ref, level)));
    for (const inner of innerBlocks(block)) {
      const isOpen = state.open.has(inner), row = rowOf.get(-inner);
      row.setAttribute("aria-expanded", isOpen);
      if (isOpen) sync(inner, row.querySelector("ul"), level + 1);
    }
  };
  sync(0, byId("tree"), 1);
}

function markRow(ref) {
  rowOf.forEach((row) => row.setAttribute("aria-selected", row.ref === ref));
  const row = rowOf.get(ref);
  if (!row) return;
  makeCurrent(row);
  row.firstChild.scrollIntoView({ block: "nearest" });
}

function makeCurrent(row) {
  current?.setAttribute("tabindex", "-1");
  current = row;
  row.setAttribute("tabindex", "0");
}

const shownRows = () => [...byId("tree").querySelectorAll("[role=treeitem]")]
  .filter((row) => row.offsetParent !== null);

function treeKey(event) {
  const row = event.target.closest("[role=treeitem]");
  if (!row) return;
  const { ref } = row, isOpen = ref < 0 && state.open.has(-ref);
  const step = (by) => { const rows = shownRows(); return rows[rows.indexOf(row) + by]; };
  const moves = {
    ArrowDown: () => step(1), ArrowUp: () => step(-1),
    Home: () => shownRows()[0], End: () => shownRows().at(-1),
    ArrowRight: () => {
      if (isOpen) return step(1);
      if (ref < 0) toggle(ref);
      return row;
    },
    ArrowLeft: () => {
      if (!isOpen) return row.parentElement.closest("[role=treeitem]");
      toggle(ref);
      return row;
    },
    Enter: () => { select(ref); return row; }, " ": () => { select(ref); return row; },
  };
  if (!moves[event.key]) return;
  event.preventDefault();
  const next = moves[event.key]();
  if (next) { makeCurrent(next); next.focus(); }
}

function find(event) {
  const wanted = event.target.value.trim().toLowerCase();
  if (event.key !== "Enter" || !wanted) return;
  const start = state.selected >= 0 && state.selected !== null ? state.selected + 1 : 0;
  const order = layers.map((layer, index) => (start + index) % layers.length);
  const named = order.find((place) => layers[place].name.toLowerCase() === wanted);
  const found = named ?? order.find((place) => layers[place].name.toLowerCase().includes(wanted)
    || layers[place].op.toLowerCase() === wanted);
  event.target.setAttribute("aria-invalid", found === undefined);
  if (found !== undefined) select(found);
}

function makeOutline() {
  const tree = byId("tree");
  syncTree();
  makeCurrent(tree.firstChild);
  tree.addEventListener("keydown", treeKey);
  tree.addEventListener("click", (event) => {
    const row = event.target.closest("[role=treeitem]");
    if (!row) return;
    const isToggle = row.ref < 0 && event.offsetX < 18 && event.target === row.firstChild;
    if (isToggle) toggle(row.ref);
    else select(row.ref);
  });
  tree.addEventListener("dblclick", (event) => {
    const row = event.target.closest("[role=treeitem]");
    if (row?.ref < 0) toggle(row.ref);
  });
  byId("find").addEventListener("keydown", find);
  on("open", syncTree);
  on("select", markRow);
}
