// Pixels for the model: of its colours, resized to its size, in its layout, as `graphcnn run` makes
// them. It has Pillow resize them: bilinear, of all pixels that a new one covers, rows first (since
// Pillow 12 columns first where that is quicker, which may differ by one level of 255).

const CHANNELS = { grey: [0], RGB: [0, 1, 2], BGR: [2, 1, 0], RGBA: [0, 1, 2, 3] };
const order = CHANNELS[input.colors];
const depth = order.length;

// Pillow's weights for grey and for resizing are integers; so many of their bits are a fraction.
const GREY_BITS = 16, RESIZE_BITS = 22;

// What a canvas shows, as [height, width, depth]: grey, or red, green and blue.
function pixelsOf({ data, width, height }) {
  const pixels = new Uint8Array(width * height * depth);
  for (let at = 0, from = 0; at < pixels.length; at += depth, from += 4) {
    if (depth === 1) {
      const sum = 19595 * data[from] + 38470 * data[from + 1] + 7471 * data[from + 2];
      pixels[at] = (sum + (1 << (GREY_BITS - 1))) >> GREY_BITS;
    } else {
      pixels.set(data.subarray(from, from + depth), at);
    }
  }
  return { pixels, width, height };
}

// For each place of a new size: the first of the old ones that it is a mean of, and their weights.
function weightsOf(old, size) {
  const scale = old / size, reach = Math.max(scale, 1);
  return Array.from({ length: size }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(Math.floor(centre - reach + 0.5), 0);
    const last = Math.min(Math.floor(centre + reach + 0.5), old);
    const shares = Array.from({ length: last - first },
      (_, at) => Math.max(1 - Math.abs((first + at - centre + 0.5) / reach), 0));
    const sum = shares.reduce((total, share) => total + share, 0);
    return [first, shares.map((share) => Math.floor(0.5 + (share / sum) * 2 ** RESIZE_BITS))];
  });
}

// Rows are lines along the axis that is resized; a step leads to the next element on it.
function resizeAxis(from, to, weights, lines, lineAt, step, toLineAt, toStep) {
  for (let line = 0; line < lines; line += 1) {
    for (let place = 0; place < weights.length; place += 1) {
      const [first, shares] = weights[place];
      for (let channel = 0; channel < depth; channel += 1) {
        let sum = 1 << (RESIZE_BITS - 1), at = lineAt(line) + first * step + channel;
        for (let tap = 0; tap < shares.length; tap += 1, at += step) sum += from[at] * shares[tap];
        to[toLineAt(line) + place * toStep + channel] = Math.min(sum >> RESIZE_BITS, 255);
      }
    }
  }
  return to;
}

function resized({ pixels, width, height }, toWidth, toHeight) {
  let found = pixels;
  if (width !== toWidth) {
    const across = (columns) => (line) => line * columns * depth;
    found = resizeAxis(found, new Uint8Array(height * toWidth * depth), weightsOf(width, toWidth),
      height, across(width), depth, across(toWidth), depth);
  }
  if (height !== toHeight) {
    const down = (line) => line * depth;
    found = resizeAxis(found, new Uint8Array(toHeight * toWidth * depth),
      weightsOf(height, toHeight), toWidth, down, toWidth * depth, down, toWidth * depth);
  }
  return { pixels: found, width: toWidth, height: toHeight };
}

const fitted = (image) => resized(image, input.width, input.height);

const inverted = ({ pixels, ...size }) => ({ pixels: pixels.map((value) => 255 - value), ...size });

// The model's input, of pixels that have its size.
function tensorOf({ pixels, width, height }) {
  const isFirst = input.layout === "NCHW", area = width * height;
  const values = new (input.dtype === "uint8" ? Uint8Array : Float32Array)(pixels.length);
  for (let place = 0; place < area; place += 1) {
    for (let channel = 0; channel < depth; channel += 1) {
      const at = isFirst ? channel * area + place : place * depth + channel;
      values[at] = pixels[place * depth + order[channel]];
    }
  }
  return [input.dtype, values, isFirst ? [1, depth, height, width] : [1, height, width, depth]];
}

// Pixels as a canvas shows them.
function show(canvas, { pixels, width, height }) {
  const image = new ImageData(width, height);
  for (let place = 0, to = 0; place < width * height; place += 1, to += 4) {
    const at = place * depth;
    image.data[to] = pixels[at];
    image.data[to + 1] = pixels[depth === 1 ? at : at + 1];
    image.data[to + 2] = pixels[depth === 1 ? at : at + 2];
    image.data[to + 3] = depth === 4 ? pixels[at + 3] : 255;
  }
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(image, 0, 0);
}
