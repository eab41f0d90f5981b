// The model: loaded once, run on the newest image alone, in a worker so that the page never stops.

// Of what onnxruntime logs.
const ERRORS = 3;

let ort = null, session = null;
let waiting = null, isRunning = false, hasFailed = false;
// What is run for an earlier turn than this is not shown: its image was put away.
let turn = 0;
const takers = [];

// Whoever shows a part of what comes out: which outputs it wants now, and what it does with them.
const shows = (wants, taker) => takers.push({ wants, taker });

async function fetched(url, seen) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: the server answers ${response.status}`);
  const parts = [], reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    seen(part.value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

// Loads the model, and runs it once on black: the first run is slow, and tells all sizes.
async function load(progress) {
  const here = (file) => new URL(file, document.baseURI).href;
  ort = await import(here("ort.wasm.min.js"));
  Object.assign(ort.env.wasm, {
    wasmPaths: {
      mjs: here("ort-wasm-simd-threaded.js"), wasm: here("ort-wasm-simd-threaded.wasm"),
    },
    proxy: true,
    numThreads: globalThis.crossOriginIsolated ? 0 : 1,
  });
  let have = 0;
  const seen = (bytes) => { have += bytes; progress(have / contract.bytes); };
  const model = await fetched("model.onnx", seen), externalData = [];
  for (const { path, url } of contract.external) {
    externalData.push({ path, data: await fetched(url, seen) });
  }
  session = await ort.InferenceSession.create(model, { externalData, logSeverityLevel: ERRORS });
  const size = { width: input.width, height: input.height };
  return outputsOf({ pixels: new Uint8Array(size.width * size.height * depth), ...size });
}

async function outputsOf(image) {
  const wanted = new Set([scores.name, ...(scores.indices ? [scores.indices] : [])]);
  takers.forEach(({ wants }) => wants().forEach((name) => wanted.add(name)));
  const feeds = { [input.name]: new ort.Tensor(...tensorOf(image)) };
  const start = performance.now();
  const outputs = await session.run(feeds, [...wanted]);
  return { image, outputs, time: performance.now() - start };
}

function drop() {
  waiting = null;
  turn += 1;
}

async function runWaiting() {
  while (waiting) {
    const next = waiting, now = turn;
    waiting = null;
    const found = await outputsOf(next);
    if (now === turn) takers.forEach(({ taker }) => taker(found));
  }
}

// Runs on an image; of those that come while it runs, on the last.
async function run(image) {
  waiting = image;
  if (isRunning || !session) return;
  isRunning = true;
  try {
    await runWaiting();
    if (hasFailed) complain();
    hasFailed = false;
  } catch (error) {
    hasFailed = true;
    complain(`The model did not run: ${reasonOf(error)}`);
  } finally {
    isRunning = false;
  }
}
