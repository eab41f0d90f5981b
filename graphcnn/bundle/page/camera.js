// The camera: the middle of each picture, of the input's proportions.

const REFUSED = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it for this page, and start "
    + "again.",
  NotFoundError: "There is no camera.",
  NotReadableError: "The camera cannot be read: something else may be using it.",
};

// Of a phone's cameras the one on its back.
const WANTED = { video: { facingMode: "environment" } };

let stream = null;

function middle(width, height) {
  const ratio = input.width / input.height;
  const size = width > height * ratio ? [height * ratio, height] : [width, width / ratio];
  const [across, down] = size.map((side) => Math.max(Math.round(side), 1));
  return [(width - across) >> 1, (height - down) >> 1, across, down];
}

const nextFrame = (video) => new Promise((resolve) => {
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
  else requestAnimationFrame(resolve);
});

async function watch(from) {
  const video = byId("video");
  while (stream === from) {
    await nextFrame(video);
    if (stream !== from) return;
    const area = middle(video.videoWidth, video.videoHeight);
    await run(fitted(pixelsOf(grab(video, area))));
  }
}

async function startCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    complain("Browsers give the camera to pages from https or localhost alone.");
    return;
  }
  byId("start").disabled = true;
  try {
    const found = await navigator.mediaDevices.getUserMedia(WANTED);
    if (byId("camera-panel").hidden) {
      found.getTracks().forEach((track) => track.stop());
      return;
    }
    stream = found;
    stream.getVideoTracks()[0].addEventListener("ended", stopCamera);
    byId("video").srcObject = stream;
    await byId("video").play();
    complain();
    byId("start").textContent = "Stop the camera";
    watch(stream);
  } catch (error) {
    stopCamera();
    complain(REFUSED[error.name] ?? `The camera cannot be used: ${reasonOf(error)}`);
  } finally {
    byId("start").disabled = false;
  }
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  byId("video").srcObject = null;
  byId("start").textContent = "Start the camera";
}

function makeCamera() {
  byId("frame").style.setProperty("--ratio", input.width / input.height);
  byId("start").addEventListener("click", () => (stream ? stopCamera() : startCamera()));
  document.addEventListener("visibilitychange", () => document.hidden && stopCamera());
}
