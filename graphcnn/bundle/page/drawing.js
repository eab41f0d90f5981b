// A drawing, made what MNIST's digits are: white on black, its longer side 20 of the 28 pixels, its
// centre of mass in the middle.

const SIDE = 28, BOX = 20, STROKE = 2.4;
// A drawing is made larger this many times at most, so that a dot stays one.
const LARGEST = 3;
// Digits are drawn so many times larger, and then made smaller as images are.
const FINE = 8;
// How wide the field is in its own units, and how far an arrow key moves the pen in them.
const FIELD = 280, KEY_STEP = 8;

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const strokes = [];
const pen = { at: [FIELD / 2, FIELD / 2], isDown: false };

function trace(brush, width, placed) {
  Object.assign(brush, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  brush.strokeStyle = "#fff";
  for (const stroke of strokes) {
    brush.beginPath();
    stroke.map(placed).forEach(([x, y]) => brush.lineTo(x, y));
    if (stroke.length === 1) brush.lineTo(...placed(stroke[0]));
    brush.stroke();
  }
}

function paint() {
  const field = byId("field"), brush = field.getContext("2d"), scale = field.width / FIELD;
  brush.setTransform(scale, 0, 0, scale, 0, 0);
  brush.fillStyle = "#000";
  brush.fillRect(0, 0, FIELD, FIELD);
  trace(brush, (STROKE * FIELD) / SIDE, (point) => point);
  if (!field.matches(":focus-visible")) return;
  brush.beginPath();
  brush.arc(...pen.at, 9, 0, 2 * Math.PI);
  Object.assign(brush, { lineWidth: 2, strokeStyle: pen.isDown ? "#ffb020" : "#6aa9ff" });
  brush.stroke();
}

function centreOfMass(values, side) {
  let mass = 0, x = 0, y = 0;
  values.forEach((value, at) => {
    mass += value;
    x += value * ((at % side) + 0.5);
    y += value * (Math.floor(at / side) + 0.5);
  });
  return [x / mass, y / mass];
}

function digit() {
  const [xs, ys] = [0, 1].map((axis) => strokes.flat().map((point) => point[axis]));
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const longer = Math.max(Math.max(...xs) - left, Math.max(...ys) - top);
  const scale = Math.min((BOX - STROKE) / longer, (LARGEST * SIDE) / FIELD) * FINE;
  const side = SIDE * FINE, canvas = el("canvas", { width: side, height: side });
  const brush = context(canvas);
  const drawn = (x, y) => {
    brush.fillStyle = "#000";
    brush.fillRect(0, 0, side, side);
    trace(brush, STROKE * FINE, ([across, down]) => [
      (across - left) * scale + x, (down - top) * scale + y,
    ]);
    return pixelsOf(brush.getImageData(0, 0, side, side));
  };
  const edge = STROKE * FINE, [x, y] = centreOfMass(drawn(edge, edge).pixels, side);
  return resized(drawn(edge + side / 2 - x, edge + side / 2 - y), SIDE, SIDE);
}

function drawn() {
  paint();
  byId("clear").disabled = !strokes.length;
  byId("here").hidden = strokes.length > 0;
  if (strokes.length) run(digit());
}

function clear() {
  strokes.length = 0;
  pen.isDown = false;
  drawn();
  forget();
}

function pointAt({ clientX, clientY }) {
  const { left, top, width, height } = byId("field").getBoundingClientRect();
  return [((clientX - left) / width) * FIELD, ((clientY - top) / height) * FIELD];
}

function withPointer(field) {
  field.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    field.setPointerCapture(event.pointerId);
    strokes.push([pointAt(event)]);
    drawn();
  });
  field.addEventListener("pointermove", (event) => {
    if (!field.hasPointerCapture(event.pointerId)) return;
    const events = event.getCoalescedEvents?.() ?? [];
    strokes.at(-1)?.push(...(events.length ? events : [event]).map(pointAt));
    drawn();
  });
}

function movePen(step) {
  pen.at = pen.at.map((at, axis) => Math.min(Math.max(at + step[axis] * KEY_STEP, 0), FIELD));
  if (!pen.isDown) {
    paint();
    return;
  }
  strokes.at(-1).push(pen.at);
  drawn();
}

function turnPen() {
  pen.isDown = !pen.isDown;
  byId("pen").textContent = pen.isDown ? "Pen down" : "Pen up";
  if (!pen.isDown) {
    paint();
    return;
  }
  strokes.push([pen.at]);
  drawn();
}

function withKeys(field) {
  field.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !(step || event.key === " ")) return;
    event.preventDefault();
    if (step) movePen(step);
    else if (!event.repeat) turnPen();
  });
  for (const event of ["focus", "blur"]) field.addEventListener(event, paint);
}

const takesDrawings = depth === 1 && input.width === SIDE && input.height === SIDE;

function makeDrawing() {
  if (!takesDrawings) return;
  const field = byId("field"), side = FIELD * Math.min(Math.ceil(devicePixelRatio), 3);
  Object.assign(field, { width: side, height: side });
  withPointer(field);
  withKeys(field);
  byId("clear").addEventListener("click", () => { clear(); field.focus(); });
  drawn();
}
