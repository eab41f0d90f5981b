// The head of the page, where images come from, and the start.

const TABS = takesDrawings ? ["draw", "image", "camera"] : ["image", "camera"];

function openTab(name) {
  const isNew = byId(`${name}-panel`).hidden;
  for (const id of TABS) {
    const isOpen = id === name;
    byId(`${id}-panel`).hidden = !isOpen;
    byId(`${id}-tab`).setAttribute("aria-selected", isOpen);
    byId(`${id}-tab`).tabIndex = isOpen ? 0 : -1;
  }
  if (isNew) {
    stopCamera();
    complain();
    forget();
  }
}

function makeTabs() {
  const tabs = TABS.map((id) => byId(`${id}-tab`));
  TABS.forEach((id, place) => {
    tabs[place].hidden = false;
    tabs[place].addEventListener("click", () => {
      openTab(id);
      if (id === "draw") drawn();
      if (id === "image" && chosen) runChosen();
    });
  });
  byId("tabs").addEventListener("keydown", ({ key }) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
}

function makeHead() {
  const kind = input.colors === "grey" ? "grey" : "colour";
  // Of the highest scores alone it cannot be told how many there are.
  const number = classes.length || (scores.indices ? 0 : Math.max(scores.count, 2));
  const task = number ? `tells ${plural(number, "class", "classes")} apart` : "names their classes";
  byId("name").append(named(contract.name));
  byId("about").textContent = `Takes ${kind} images of ${input.width}×${input.height} and ${task}. `
    + "It runs in this browser, and no image leaves it.";
  byId("facts").append(named(contract.file), ` ${sizeOf(contract.bytes)}, `
    + `onnxruntime-web ${contract.runtime}`);
}

async function start() {
  makeHead();
  makeResults();
  makeMaps();
  makeImage();
  makeDrawing();
  makeCamera();
  makeTabs();
  openTab(TABS[0]);
  if (location.protocol === "file:") {
    fail("A browser does not load a model from a file. Serve this folder, for example with "
      + "python3 -m http.server, and open http://localhost:8000/");
    return;
  }
  const state = document.documentElement.dataset;
  state.state = "loading";
  try {
    const { outputs } = await load((share) => { byId("loading").value = share; });
    panels.filter(({ name }) => outputs[name])
      .forEach((panel) => layOut(panel, outputs[panel.name]));
    state.state = "ready";
  } catch (error) {
    fail(`The model cannot be loaded: ${reasonOf(error)}`);
    return;
  }
  if (waiting) run(waiting);
}

start();
