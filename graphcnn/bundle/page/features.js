// The feature maps of tapped layers: a layer's are asked of the model while it is open.

const TILES = 24;
// So many layers are open at first.
const OPEN = 3;
// From the lowest to the highest value of a channel.
const COLORS = [[9, 14, 38], [28, 78, 140], [52, 160, 190], [238, 244, 214]];

const panels = [];

const lut = Array.from({ length: 256 }, (_, value) => {
  const at = (value / 255) * (COLORS.length - 1), low = Math.min(Math.floor(at), COLORS.length - 2);
  return COLORS[low].map((from, part) => from + (COLORS[low + 1][part] - from) * (at - low));
});

// How many channels of what size an output has, and how its numbers lie.
function mapsIn({ dims }, isLast) {
  const spatial = isLast ? dims.slice(1, -1) : dims.slice(2);
  const [height, width] = spatial.length === 2 ? spatial : [1, spatial[0]];
  const channels = isLast ? dims[dims.length - 1] : dims[1], area = height * width;
  return { channels, height, width, step: isLast ? channels : 1, start: isLast ? 1 : area };
}

function drawTile(canvas, data, { height, width, step, start }, channel) {
  const area = width * height, from = channel * start;
  let least = Infinity, most = -Infinity;
  for (let place = 0, at = from; place < area; place += 1, at += step) {
    if (data[at] < least) least = data[at];
    if (data[at] > most) most = data[at];
  }
  const image = new ImageData(width, height), scale = most > least ? 255 / (most - least) : 0;
  for (let place = 0, at = from; place < area; place += 1, at += step) {
    const [red, green, blue] = lut[Math.round((data[at] - least) * scale)] ?? lut[0];
    image.data.set([red, green, blue, 255], 4 * place);
  }
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  const text = `channel ${channel}: ${decimal(least)} to ${decimal(most)}`;
  canvas.setAttribute("aria-label", text);
  canvas.title = text;
}

// Makes a panel's tiles, without pictures.
function layOut(panel, output) {
  const maps = mapsIn(output, panel.channels === "last");
  const shown = Math.min(panel.shown, maps.channels);
  panel.size.textContent = `${maps.height}×${maps.width}, ${plural(maps.channels, "channel")}`;
  while (panel.tiles.children.length > shown) panel.tiles.lastChild.remove();
  while (panel.tiles.children.length < shown) {
    panel.tiles.append(el("li", {}, el("canvas", { role: "img" })));
  }
  panel.tiles.style.setProperty("--ratio", maps.width / maps.height);
  const left = maps.channels - shown;
  panel.more.hidden = !left;
  panel.more.textContent = left > TILES ? `Show ${TILES} more of ${left}` : `Show ${left} more`;
  return maps;
}

function drawPanel(panel, output) {
  panel.output = output;
  panel.more.disabled = false;
  const maps = layOut(panel, output);
  [...panel.tiles.children].forEach((tile, channel) => {
    drawTile(tile.firstChild, output.data, maps, channel);
  });
}

function makePanel({ name, channels }, place) {
  const panel = {
    name, channels, shown: TILES, output: null,
    size: el("span", { class: "quiet" }), tiles: el("ul", { class: "tiles" }),
    more: el("button", {
      type: "button", hidden: true, disabled: true,
      click: () => { panel.shown += TILES; drawPanel(panel, panel.output); },
    }),
  };
  panel.root = el("details", {
    open: place < OPEN, toggle: () => panel.root.open && last && run(last.image),
  }, el("summary", {}, named(name), panel.size), panel.tiles, panel.more);
  return panel;
}

const openPanels = () => panels.filter(({ root }) => root.open);

function takeMaps({ outputs }) {
  byId("waiting").hidden = true;
  for (const panel of openPanels()) {
    if (outputs[panel.name]) drawPanel(panel, outputs[panel.name]);
  }
}

function forgetMaps() {
  for (const panel of panels) {
    for (const { firstChild: tile } of panel.tiles.children) tile.width = tile.width;
    panel.more.disabled = true;
  }
  byId("waiting").hidden = false;
}

function makeMaps() {
  byId("features").hidden = !contract.maps.length;
  panels.push(...contract.maps.map(makePanel));
  byId("layers").append(...panels.map(({ root }) => root));
  shows(() => openPanels().map(({ name }) => name), takeMaps);
}
