// The view of the graph: panning, zooming, pointing and keys.

const STEP = 1.25, NEAREST = 2.5, MARGIN = 28;

// On a stage at least this wide the first box and the tools lie side by side.
const WITH_TOOLS = 680;
let isPending = false;

function redraw() {
  if (isPending) return;
  isPending = true;
  requestAnimationFrame(() => { isPending = false; paintGraph(); });
}

const farthest = () => Math.min(0.5, 0.8 * Math.min(view.w / drawn.w, view.h / drawn.h));

function zoomAt(x, y, factor) {
  const k = Math.min(NEAREST, Math.max(farthest(), view.k * factor));
  view.x = x - (x - view.x) * k / view.k;
  view.y = y - (y - view.y) * k / view.k;
  view.k = k;
  redraw();
}

const zoom = (factor) => zoomAt(view.w / 2, view.h / 2, factor);

function pan(dx, dy) {
  const keep = 80;
  view.x = Math.min(view.w - keep, Math.max(keep - drawn.w * view.k, view.x + dx));
  view.y = Math.min(view.h - keep, Math.max(keep - drawn.h * view.k, view.y + dy));
  redraw();
}

function fit() {
  view.k = Math.min(1, (view.w - 2 * MARGIN) / drawn.w, (view.h - 2 * MARGIN) / drawn.h);
  view.x = (view.w - drawn.w * view.k) / 2;
  view.y = (view.h - drawn.h * view.k) / 2;
  redraw();
}

// The first rows, at a size that can be read.
function begin() {
  view.k = Math.min(1, Math.max(0.5, (view.w - 2 * MARGIN) / drawn.w));
  const [first] = drawn.boxes, isWide = drawn.w * view.k > view.w;
  view.x = view.w / 2 - view.k * (isWide ? first.x + first.w / 2 : drawn.w / 2);
  const least = view.w < WITH_TOOLS ? MARGIN + byId("tools").offsetHeight : MARGIN;
  view.y = Math.max(least, (view.h - drawn.h * view.k) / 2);
  redraw();
}

// What the details leave of the stage, which they cover on a narrow screen.
function freeHeight() {
  const panel = byId("details");
  return getComputedStyle(panel).position === "absolute" ? view.h - panel.offsetHeight : view.h;
}

function centre(ref) {
  const box = drawn.at.get(visible(ref));
  if (!box || !view.w) return;
  if (view.k < 0.6) view.k = 0.9;
  const x = box.x * view.k + view.x, y = box.y * view.k + view.y;
  const free = freeHeight();
  const isSeen = x > 20 && y > 50 && x + box.w * view.k < view.w - 20 && y + 60 < free - 20;
  if (!isSeen) {
    view.x = view.w / 2 - (box.x + box.w / 2) * view.k;
    view.y = free / 2 - (box.y + Math.min(box.h / 2, free / 3 / view.k)) * view.k;
  }
  redraw();
}

function resize() {
  const { width, height } = byId("stage").getBoundingClientRect();
  if (!width || !height) return;
  const isFirst = view.w <= 1;
  const ratio = isPrinting ? 4 : Math.min(2, window.devicePixelRatio || 1);
  view.w = width;
  view.h = height;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  if (isFirst) begin();
  paintGraph();
}

// What is open has changed: the block that was opened or closed stays where it is on the screen.
function rearrange(block) {
  const before = block && drawn.at.get(-block);
  const was = before && { x: before.x + before.w / 2, y: before.y };
  drawn = scene();
  marks = { lines: linesAround(state.selected), hover: null };
  const now = block && drawn.at.get(-block);
  if (was && now) {
    view.x += (was.x - now.x - now.w / 2) * view.k;
    view.y += (was.y - now.y) * view.k;
  }
  redraw();
}

const inBox = (box, x, y) => x >= box.x && x <= box.x + box.w && y >= box.y && y <= box.y + box.h;

function hit(clientX, clientY) {
  const { left, top } = canvas.getBoundingClientRect();
  const x = (clientX - left - view.x) / view.k, y = (clientY - top - view.y) / view.k;
  const box = drawn.boxes.find((one) => inBox(one, x, y));
  if (box) return { ref: box.ref, isToggle: box.ref < 0 && x > box.x + box.w - 24 };
  const frames = drawn.frames.filter((one) => inBox({ ...one, h: FRAME.head }, x, y));
  const frame = frames.at(-1);
  return frame ? { ref: frame.ref, isToggle: x < frame.x + 30 } : null;
}

const pointers = new Map();
let moved = 0, isMoved = false;

function pointerDown(event) {
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  canvas.setPointerCapture(event.pointerId);
  if (pointers.size === 1) { moved = 0; isMoved = false; }
}

function pointerMove(event) {
  const last = pointers.get(event.pointerId);
  if (!last) {
    const found = hit(event.clientX, event.clientY)?.ref ?? null;
    canvas.classList.toggle("pointing", found !== null);
    if (found !== marks.hover) { marks.hover = found; redraw(); }
    return;
  }
  const now = { x: event.clientX, y: event.clientY };
  moved += Math.hypot(now.x - last.x, now.y - last.y);
  isMoved ||= moved > 5 || pointers.size > 1;
  const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
  if (other) {
    const { left, top } = canvas.getBoundingClientRect();
    const apart = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
    zoomAt((now.x + other.x) / 2 - left, (now.y + other.y) / 2 - top, apart(now) / apart(last));
    pan((now.x - last.x) / 2, (now.y - last.y) / 2);
  } else if (isMoved) pan(now.x - last.x, now.y - last.y);
  pointers.set(event.pointerId, now);
}

function pointerUp(event) {
  if (!pointers.delete(event.pointerId) || isMoved || event.type === "pointercancel") return;
  const found = hit(event.clientX, event.clientY);
  if (found?.isToggle) toggle(found.ref);
  else select(found?.ref ?? null, { reveal: false });
}

function wheel(event) {
  event.preventDefault();
  if (event.shiftKey) { pan(-event.deltaY, 0); return; }
  const { left, top } = canvas.getBoundingClientRect();
  const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
  const factor = Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0015));
  zoomAt(event.clientX - left, event.clientY - top, factor);
}

const AHEAD = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

// The nearest box that lies more ahead than aside.
function neighbour(ref, [dx, dy]) {
  const middle = (box) => [box.x + box.w / 2, box.y + Math.min(box.h, BOX.height) / 2];
  const [x, y] = middle(drawn.at.get(visible(ref)));
  let best = null, least = Infinity;
  for (const box of drawn.boxes) {
    const [bx, by] = middle(box);
    const ahead = (bx - x) * dx + (by - y) * dy;
    const aside = Math.abs((bx - x) * dy) + Math.abs((by - y) * dx);
    const far = ahead + 2 * aside * (dy ? 0.4 : 2);
    if (ahead > 4 && far < least) { best = box.ref; least = far; }
  }
  return best;
}

function key(event) {
  const ahead = AHEAD[event.key];
  const keys = { "+": () => zoom(STEP), "=": () => zoom(STEP), "-": () => zoom(1 / STEP), 0: fit,
    Escape: () => select(null),
    Enter: () => state.selected < 0 && toggle(state.selected) };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (ahead && event.shiftKey) pan(-60 * ahead[0], -60 * ahead[1]);
  else if (ahead) {
    const next = state.selected === null ? drawn.boxes[0].ref : neighbour(state.selected, ahead);
    if (next !== null) select(next);
  } else if (keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
}

function allBlocks() {
  return blocks.map((block, index) => index).slice(1);
}

function makeGraph() {
  const tool = (label, text, click) =>
    el("button", { type: "button", "aria-label": label, title: label, click }, text);
  byId("tools").append(
    tool("Zoom in", "+", () => zoom(STEP)), tool("Zoom out", "−", () => zoom(1 / STEP)),
    tool("Fit the whole graph", "Fit", fit));
  if (blocks.length > 1) {
    byId("tools").append(
      tool("Open all blocks", "Open all", () => { setOpen(allBlocks(), true); begin(); }),
      tool("Close all blocks", "Close all", () => { setOpen(allBlocks(), false); begin(); }));
  }
  byId("legend").append(...KINDS.filter(([kind]) => kinds.includes(kind))
    .map(([kind, text]) => el("li", { class: kind }, text)));
  canvas.addEventListener("pointerdown", pointerDown);
  canvas.addEventListener("pointermove", pointerMove);
  canvas.addEventListener("pointerup", pointerUp);
  canvas.addEventListener("pointercancel", pointerUp);
  canvas.addEventListener("pointerleave", () => { marks.hover = null; redraw(); });
  canvas.addEventListener("dblclick", (event) => {
    const found = hit(event.clientX, event.clientY);
    if (found?.ref < 0 && !found.isToggle) toggle(found.ref);
  });
  canvas.addEventListener("wheel", wheel, { passive: false });
  canvas.addEventListener("keydown", key);
  matchMedia("(prefers-color-scheme: dark)")
    .addEventListener("change", () => { readLook(); redraw(); });
  new ResizeObserver(resize).observe(byId("stage"));
  on("open", rearrange);
  on("select", (ref, reveal) => {
    marks.lines = linesAround(ref);
    if (ref !== null && reveal) centre(ref);
    byId("said").textContent = ref === null ? "" : linesOf(ref).join(", ");
    redraw();
  });
  readLook();
  drawn = scene();
}
