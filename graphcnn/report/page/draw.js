// Paints the scene on the canvas. Only what is in view is painted, lines of one look as one path.

const canvas = byId("canvas");
const paint = canvas.getContext("2d", { alpha: false });
const view = { x: 0, y: 0, k: 1, w: 1, h: 1 };
let drawn = scene0();
let marks = { lines: new Set(), hover: null };
let look = {};

function scene0() {
  return { frames: [], lines: [], boxes: [], w: 1, h: 1, at: new Map() };
}

function readLook() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  look = Object.fromEntries(["ground", "paper", "ink", "quiet", "rule", "accent", "edge", "frame",
    "block", ...KINDS.map(([kind]) => kind)].map((name) => [name, colour(name)]));
}

// Below this scale boxes have no text; paper shows more than a screen.
const smallestText = () => (isPrinting ? 0.15 : 0.42);
let isPrinting = false;

function paintGraph() {
  const ratio = canvas.width / view.w;
  paint.setTransform(1, 0, 0, 1, 0, 0);
  paint.fillStyle = look.ground;
  paint.fillRect(0, 0, canvas.width, canvas.height);
  paint.setTransform(ratio * view.k, 0, 0, ratio * view.k, ratio * view.x, ratio * view.y);
  const seen = { left: -view.x / view.k, top: -view.y / view.k };
  seen.right = seen.left + view.w / view.k;
  seen.bottom = seen.top + view.h / view.k;
  const inView = (box) => box.x < seen.right && box.x + box.w > seen.left
    && box.y < seen.bottom && box.y + box.h > seen.top;
  const lineInView = (line) => line.y1 <= seen.bottom && line.y4 >= seen.top
    && Math.min(line.x1, line.x2) <= seen.right && Math.max(line.x1, line.x2) >= seen.left;
  drawn.frames.filter(inView).forEach(paintFrame);
  const lines = drawn.lines.filter(lineInView);
  paintLines(lines.filter((line) => !marks.lines.has(line)), look.edge, 1.25);
  paintLines(lines.filter((line) => marks.lines.has(line)), look.accent, 2.25);
  drawn.boxes.filter(inView).forEach(paintBox);
}

function paintFrame(frame) {
  paint.beginPath();
  paint.roundRect(frame.x, frame.y, frame.w, frame.h, 10);
  paint.fillStyle = look.frame;
  paint.fill();
  paint.strokeStyle = frame.ref === state.selected ? look.accent : look.rule;
  paint.lineWidth = frame.ref === state.selected ? 2.5 : 1;
  paint.stroke();
  if (view.k < smallestText()) return;
  paint.fillStyle = look.quiet;
  paint.font = FONT.name;
  paint.textAlign = "left";
  paint.fillText(frame.label, frame.x + 30, frame.y + 19);
  paintToggle(frame.x + 17, frame.y + 15, true);
}

function paintToggle(x, y, isOpen) {
  paint.strokeStyle = look.quiet;
  paint.lineWidth = 1.5;
  paint.beginPath();
  paint.moveTo(x - 4, isOpen ? y - 2 : y - 4);
  paint.lineTo(isOpen ? x : x + 2, isOpen ? y + 3 : y);
  paint.lineTo(isOpen ? x + 4 : x - 4, isOpen ? y - 2 : y + 4);
  paint.stroke();
}

function paintLines(lines, colour, width) {
  paint.strokeStyle = colour;
  paint.lineWidth = Math.max(width, 0.8 / view.k);
  paint.beginPath();
  for (const { x1, y1, y2, x2, y3, y4 } of lines) {
    const middle = (y2 + y3) / 2;
    paint.moveTo(x1, y1);
    paint.lineTo(x1, y2);
    if (Math.abs(x1 - x2) < 0.5) paint.lineTo(x2, y3);
    else paint.bezierCurveTo(x1, middle, x2, middle, x2, y3);
    paint.lineTo(x2, y4);
  }
  paint.stroke();
  if (view.k < 0.3) return;
  paint.fillStyle = colour;
  paint.beginPath();
  for (const { x2, y4, arrow } of lines) {
    if (!arrow) continue;
    paint.moveTo(x2, y4);
    paint.lineTo(x2 - 3.5, y4 - 7);
    paint.lineTo(x2 + 3.5, y4 - 7);
  }
  paint.fill();
}

function paintBox(box) {
  const isSelected = box.ref === state.selected, isBlock = box.ref < 0;
  const edge = isSelected || box.ref === marks.hover ? look.accent : look.rule;
  paint.strokeStyle = edge;
  paint.lineWidth = isSelected ? 2.5 : 1;
  if (isBlock) {
    paint.fillStyle = look.paper;
    paint.beginPath();
    paint.roundRect(box.x + 4, box.y + 4, box.w, box.h, 7);
    paint.fill();
    paint.stroke();
  }
  paint.beginPath();
  paint.roundRect(box.x, box.y, box.w, box.h, 7);
  paint.fillStyle = look.paper;
  paint.fill();
  paint.save();
  paint.clip();
  paint.fillStyle = look[box.kind];
  if (view.k < smallestText()) paint.globalAlpha = isBlock ? 0.35 : 0.55;
  paint.fillRect(box.x, box.y, view.k < smallestText() ? box.w : 5, box.h);
  paint.restore();
  paint.beginPath();
  paint.roundRect(box.x, box.y, box.w, box.h, 7);
  paint.stroke();
  if (view.k < smallestText()) return;
  paint.textAlign = "left";
  paint.fillStyle = look.ink;
  paint.font = FONT.name;
  paint.fillText(box.name, box.x + BOX.pad, box.y + 19);
  paint.fillStyle = look.quiet;
  paint.font = FONT.small;
  paint.fillText(box.about, box.x + BOX.pad, box.y + 35);
  if (isBlock) paintToggle(box.x + box.w - 10, box.y + 12, false);
}

// The lines that a box's value goes through, and back from the box those that its inputs come by:
// where one line ends and the next begins, across the borders of blocks, is one point.
function linesAround(ref) {
  const found = new Set();
  if (ref === null) return found;
  const own = new Set(ref < 0 ? membersOf(-ref) : [ref]);
  const isOutside = (block) => ref >= 0 || !(-block === ref || isInside(-block, ref));
  drawn.lines.filter((line) => own.has(line.value) && isOutside(line.block))
    .forEach((line) => found.add(line));
  const point = (line, x, y) => `${line.value}/${Math.round(x + 0.123)}/${Math.round(y + 0.123)}`;
  const ending = new Map();
  for (const line of drawn.lines) {
    const key = point(line, line.x2, line.y4);
    ending.set(key, [...(ending.get(key) ?? []), line]);
  }
  const left = drawn.lines.filter((line) => line.to === ref);
  while (left.length) {
    const line = left.pop();
    if (found.has(line)) continue;
    found.add(line);
    left.push(...(ending.get(point(line, line.x1, line.y1)) ?? []));
  }
  return found;
}

function isInside(ref, block) {
  if (ref === 0) return false;
  for (let at = parentOf(ref); at; at = blocks[at].parent) if (-at === block) return true;
  return false;
}
