// Puts the layouts of the blocks together: what is open is as large as what is in it.
//
// Rows and their order are given. Positions along a row are those closest to the neighbours'
// (least squares, found by pooling) at which nothing overlaps, row by row, down and up.

const [ITEM, IN, OUT, BEND] = [0, 1, 2, 3];
const BOX = { height: 44, least: 104, most: 236, pad: 14, toggle: 14 };
const FRAME = { head: 30, pad: 20 };
const GAP = { row: 36, port: 8, box: 26, line: 12 };
const SWEEPS = 8;

// How strongly a line is drawn straight, by how many of its ends are bends.
const PULL = [3, 1, 8];

const FONT = { name: '600 12.5px system-ui, "Segoe UI", sans-serif',
  small: '11px system-ui, "Segoe UI", sans-serif' };

const ruler = document.createElement("canvas").getContext("2d");
const widths = new Map();
function widthOf(text, font) {
  const key = `${font}\n${text}`;
  if (!widths.has(key)) {
    ruler.font = font;
    widths.set(key, ruler.measureText(text).width);
  }
  return widths.get(key);
}

function fitted(text, font, room) {
  if (widthOf(text, font) <= room) return text;
  const keep = Math.max(1, Math.floor(text.length * room / widthOf(text, font)) - 2);
  const head = Math.ceil(keep * 0.6);
  return `${text.slice(0, head)}…${text.slice(text.length - keep + head)}`;
}

function linesOf(ref) {
  const about = ref < 0
    ? `${plural(blocks[-ref].size, "layer")}  ${brief(sumOf(-ref, "params"))} params`
    : `${layers[ref].op}  ${shapeOf(layers[ref])}`;
  return [labelOf(ref), about];
}

const memberCache = new Map();
function membersOf(block) {
  if (!memberCache.has(block)) {
    const found = itemsOf(block).flatMap((ref) => (ref < 0 ? membersOf(-ref) : [ref]));
    memberCache.set(block, found);
  }
  return memberCache.get(block);
}

function sumOf(block, key) {
  const values = membersOf(block).map((place) => layers[place][key]);
  return values.every(isNumber) ? values.reduce((sum, value) => sum + value, 0) : null;
}

function sized(ref) {
  if (ref < 0 && state.open.has(-ref)) return arrange(-ref);
  const [name, about] = linesOf(ref);
  const wanted = Math.max(widthOf(name, FONT.name), widthOf(about, FONT.small))
    + 2 * BOX.pad + (ref < 0 ? BOX.toggle : 0);
  return { w: Math.min(BOX.most, Math.max(BOX.least, wanted)), h: BOX.height };
}

// Positions closest to those wanted, in order, at least `gaps` apart.
function spread(wanted, weights, gaps) {
  const pools = [];
  let shift = 0;
  wanted.forEach((want, index) => {
    shift += index ? gaps[index - 1] : 0;
    let pool = { at: want - shift, weight: weights[index], size: 1 };
    while (pools.length && pools.at(-1).at > pool.at) {
      const last = pools.pop(), weight = last.weight + pool.weight;
      pool = { at: (last.at * last.weight + pool.at * pool.weight) / weight, weight,
        size: last.size + pool.size };
    }
    pools.push(pool);
  });
  const found = pools.flatMap((pool) => Array(pool.size).fill(pool.at));
  shift = 0;
  return found.map((at, index) => { shift += index ? gaps[index - 1] : 0; return at + shift; });
}

function arrange(block) {
  const { v, e } = blocks[block];
  const boxes = v.map(([kind, ref]) => (kind === ITEM ? sized(ref) : { w: 2, h: 0 }));
  const rows = [];
  v.forEach(([, , row], index) => (rows[row] ??= []).push(index));
  rows.forEach((row) => row.sort((a, b) => v[a][3] - v[b][3]));
  const above = v.map(() => []), below = v.map(() => []);
  for (const [from, to] of e) {
    const pull = PULL[Number(v[from][0] === BEND) + Number(v[to][0] === BEND)];
    above[to].push([from, pull]);
    below[from].push([to, pull]);
  }
  const x = placed(rows, v, boxes, above, below);
  return composed(block, rows, boxes, x);
}

function placed(rows, v, boxes, above, below) {
  const x = v.map((vertex) => vertex[3] * 60);
  const gap = (a, b) => (boxes[a].w + boxes[b].w) / 2
    + (v[a][0] === ITEM && v[b][0] === ITEM ? GAP.box : GAP.line);
  const settle = (row, neighbours) => {
    const wanted = row.map((index) => {
      const near = neighbours(index);
      const pulls = near.reduce((sum, [, pull]) => sum + pull, 0);
      return pulls ? near.reduce((sum, [at, pull]) => sum + pull * x[at], 0) / pulls : x[index];
    });
    const gaps = row.slice(1).map((index, i) => gap(row[i], index));
    const weights = row.map((index) => (v[index][0] === BEND ? 1 : 3));
    spread(wanted, weights, gaps).forEach((at, i) => { x[row[i]] = at; });
  };
  rows.forEach((row) => settle(row, () => []));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    rows.forEach((row) => settle(row, (index) => above[index]));
    [...rows].reverse().forEach((row) => settle(row, (index) => below[index]));
  }
  rows.forEach((row) => settle(row, (index) => [...above[index], ...below[index]]));
  return x;
}

// The block with everything in it relative to its corner, and where values enter and leave it.
function composed(block, rows, boxes, x) {
  const { v, e } = blocks[block];
  const low = Math.min(...x.map((at, i) => at - boxes[i].w / 2));
  const high = Math.max(...x.map((at, i) => at + boxes[i].w / 2));
  const inner = high - low + 2 * FRAME.pad;
  const w = Math.max(inner, block ? widthOf(blocks[block].label, FONT.name) + 60 : 0);
  const left = FRAME.pad - low + (w - inner) / 2;
  const tops = [], heights = [];
  let h = block ? FRAME.head : 0, gap = 0;
  rows.forEach((row, index) => {
    const holds = (kind) => row.some((i) => v[i][0] === kind);
    heights[index] = Math.max(...row.map((i) => boxes[i].h));
    tops[index] = h + (holds(OUT) ? 0 : gap);
    h = tops[index] + heights[index];
    gap = holds(IN) ? GAP.port : GAP.row;
  });
  h += block ? FRAME.pad : 0;
  const spots = v.map(([kind, ref, row], i) => {
    const height = kind === BEND ? heights[row] : boxes[i].h;
    const top = kind === IN ? 0 : kind === OUT ? h : tops[row] + (heights[row] - height) / 2;
    return { kind, ref, x: x[i] + left, y: top, w: boxes[i].w, h: height, box: boxes[i],
      top: kind === IN || kind === OUT ? top : tops[row],
      bottom: kind === IN || kind === OUT ? top : tops[row] + heights[row] };
  });
  const ports = (kind) => new Map(spots.filter((spot) => spot.kind === kind)
    .map((spot) => [spot.ref, spot.x - w / 2]));
  return { w, h, spots, edges: e, block, enters: ports(IN), leaves: ports(OUT) };
}

// Everything that is drawn, in order: frames of open blocks, lines, boxes.
function scene() {
  const whole = arrange(0);
  const found = { frames: [], lines: [], boxes: [], w: whole.w, h: whole.h, at: new Map() };
  const add = (picture, left, top, depth) => {
    const { spots, edges, block } = picture;
    if (block) {
      const frame = { ref: -block, x: left, y: top, w: picture.w, h: picture.h, depth,
        label: fitted(labelOf(-block), FONT.name, picture.w - 48) };
      found.frames.push(frame);
      found.at.set(-block, frame);
    }
    for (const [from, to, value] of edges) {
      const a = spots[from], b = spots[to];
      found.lines.push({ value, block, to: b.kind === ITEM ? b.ref : null, kind: b.kind,
        x1: left + a.x + (a.box.leaves?.get(value) ?? 0), y1: top + a.y + a.h, y2: top + a.bottom,
        x2: left + b.x + (b.box.enters?.get(value) ?? 0), y3: top + b.top, y4: top + b.y,
        arrow: b.kind === ITEM && !b.box.spots });
    }
    for (const spot of spots) {
      const x = left + spot.x - spot.w / 2, y = top + spot.y;
      if (spot.box.spots) add(spot.box, x, y, depth + 1);
      else if (spot.kind === ITEM) found.boxes.push(boxAt(spot, x, y));
      else if (spot.kind === BEND && spot.h) {
        const at = left + spot.x;
        found.lines.push({ value: spot.ref, block, to: null, kind: BEND, arrow: false,
          x1: at, x2: at, y1: y, y2: y, y3: y + spot.h, y4: y + spot.h });
      }
    }
  };
  const boxAt = (spot, x, y) => {
    const [name, about] = linesOf(spot.ref);
    const room = spot.w - 2 * BOX.pad + 4 - (spot.ref < 0 ? BOX.toggle : 0);
    const box = { ref: spot.ref, x, y, w: spot.w, h: spot.h,
      name: fitted(name, FONT.name, room), about: fitted(about, FONT.small, room),
      kind: spot.ref < 0 ? "block" : kinds[spot.ref] };
    found.at.set(spot.ref, box);
    return box;
  };
  add(whole, 0, 0, 0);
  return found;
}
