// The process that onnxruntime for JavaScript runs in. It does what it is told, a line of JSON at a
// time, as graphcnn/child.py does.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ort = createRequire(import.meta.url)(process.argv[2]);
if (ort.env.wasm) ort.env.wasm.numThreads = 1;

const ARRAYS = {
  float32: Float32Array, float64: Float64Array, float16: Uint16Array, bool: Uint8Array,
  int8: Int8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array,
  uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, uint64: BigUint64Array,
};

async function run({ path, feeds, outputs, made }) {
  const session = await ort.InferenceSession.create(path);
  const given = {};
  for (const [name, type, sizes, file] of feeds) {
    const { buffer, byteOffset, byteLength } = readFileSync(join(made, file));
    const numbers = new ARRAYS[type](buffer.slice(byteOffset, byteOffset + byteLength));
    given[name] = new ort.Tensor(type, numbers, sizes);
  }
  const found = await session.run(given, outputs);
  return outputs.map((name, place) => {
    const { type, dims, data } = found[name];
    const file = `out${place}.bin`;
    writeFileSync(join(made, file), Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    return [name, type, dims, file];
  });
}

const lines = createInterface({ input: process.stdin });
lines.on("close", () => process.exit(0));
lines.on("line", async (line) => {
  const [, options] = JSON.parse(line);
  let reply;
  try {
    reply = { found: await run(options) };
  } catch (error) {
    reply = { error: `cannot run it: ${error.message}`.slice(0, 300), hint: null };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
});
