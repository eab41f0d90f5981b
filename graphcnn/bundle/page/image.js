// An image: chosen, dropped or pasted.

let chosen = null;

const context = (canvas) => canvas.getContext("2d", { willReadFrequently: true });

// What a source shows, on white, of the size that is given; what is cut off of it lies outside.
function grab(source, [left, top, width, height]) {
  const canvas = el("canvas", { width, height }), pen = context(canvas);
  if (depth < 4) {
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, width, height);
  }
  pen.drawImage(source, -left, -top);
  return pen.getImageData(0, 0, width, height);
}

function runChosen() {
  const image = fitted(chosen);
  return run(byId("invert").checked ? inverted(image) : image);
}

async function take(file) {
  let bitmap;
  try {
    // Colour profiles are passed over, as graphcnn run does.
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    complain(`${file.name || "What was pasted"} is not an image that this browser reads.`);
    return;
  }
  const { width, height } = bitmap;
  try {
    const image = grab(bitmap, [0, 0, width, height]);
    Object.assign(byId("photo"), { width, height });
    context(byId("photo")).putImageData(image, 0, 0);
    chosen = pixelsOf(image);
  } catch {
    complain(`${file.name} has ${width}×${height} pixels, more than this browser can hold.`);
    return;
  } finally {
    bitmap.close();
  }
  byId("photo").hidden = false;
  byId("photo").setAttribute("aria-label", file.name || "The pasted image");
  byId("photo-name").replaceChildren(named(file.name || "pasted"), ` ${width}×${height}`);
  openTab("image");
  complain();
  await runChosen();
}

const firstFile = (list) => [...(list?.files ?? [])][0];

function makeImage() {
  byId("file").addEventListener("change", ({ target }) => {
    const file = firstFile(target);
    if (file) take(file);
    target.value = "";
  });
  byId("invert-row").hidden = depth !== 1;
  byId("invert").addEventListener("change", () => chosen && runChosen());
  const root = document.documentElement;
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    root.dataset.dragging = "";
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) delete root.dataset.dragging;
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    delete root.dataset.dragging;
    const file = firstFile(event.dataTransfer);
    if (file) take(file);
  });
  document.addEventListener("paste", (event) => {
    const file = firstFile(event.clipboardData);
    if (file) take(file);
  });
}
