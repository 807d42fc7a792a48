// Start of the page: its parts are put together, and its controls get their actions.

const coarsest = "family" in data.groups ? "family" : "type";
const labelled = data.groups.type.names.length > 1; // otherwise the first output colours the map
const state = {
  ...{ colorBy: labelled ? coarsest : 0, shownGroups: coarsest, hidden: new Set(), labels: true, map: 0 },
  ...{ view: null, kind: "measured", feature: 0, rankBy: "difference", held: { a: null, b: null } },
};

start();

async function start() {
  await unpackGenes();
  const [map, plot] = await Promise.all(
    ["map", "histogram"].map(async (id) => (await Bokeh.embed.embed_item(drawings[id], id)).roots[0]),
  );
  const part = (view, name) => view.model.document.get_model_by_name(name);
  const named = (view, names) => Object.fromEntries(names.map((name) => [name, part(view, name)]));
  const parts = named(map, ["cells", "dots", "shown", "pan", "box", "lasso", "hover", "mapper", "bar", "corners", "names", "labels", "rings"]);
  const { bins } = named(plot, ["bins"]);
  const drawn = { map, plot, ...parts, bins };

  parts.cells.data = {
    x: maps[0].x,
    y: maps[0].y,
    color: new Array(nCells).fill("#808080"),
    dim: new Array(nCells).fill("#808080"),
    cell: data.cells,
    type: data.cells.map((_, cell) => groupName("type", cell)),
    family: data.cells.map((_, cell) => groupName("family", cell)),
    value: new Array(nCells).fill(""),
  };
  for (const { canvas_view: canvas } of [map, plot]) {
    canvas.events_el.tabIndex = -1; // the search and the buttons can do all that the mouse does there
    canvas.events_el.style.outline = "none";
  }
  fillControls();
  listen(drawn);
  setTheme(drawn, matchMedia("(prefers-color-scheme: dark)").matches);
  showLegend(drawn);
  showCells(drawn);
  showHeld(drawn);
  first = now = stateText(drawn);
  if (location.hash) restore(drawn, location.hash.slice(1));
  addEventListener("hashchange", () => restore(drawn, location.hash.slice(1)));
  document.documentElement.dataset.ready = "true";
}

function featuresOf(group) {
  return data.features.flatMap(({ name, group: own }, feature) => (own === group ? [[feature, name]] : []));
}

function fillControls() {
  const groups = Object.entries(data.groups).map(([key, { title }]) => [key, title]);
  const features = { Outputs: featuresOf("output"), "Kept genes": featuresOf("gene") };
  fillSelect(byId("color-by"), { Cells: groups, ...features });
  byId("color-by").value = state.colorBy;
  fillSelect(byId("feature"), features);
  fillSelect(byId("places"), { "": maps.map(({ title }, at) => [at, title]) });
  byId("places-label").hidden = maps.length === 1;
  byId("verdict").hidden = !byId("verdict").textContent;
  byId("genes-note").textContent = genesText();
  const mean = (key) => {
    const known = data.features.map((feature) => feature[key]).filter((value) => value != null);
    return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : NaN;
  };
  byId("accuracy").textContent =
    `; mean R² of the outputs: ${decimal(mean("r2"))} on fitted cells` +
    (packed.held_out === undefined ? "" : `, ${decimal(mean("test_r2"))} on held-out cells`);
}

// The genes that the file contains.
function genesText() {
  const kept = featuresOf("gene").length;
  if (data.genes === undefined) return `The file holds only the ${plural(kept, "kept gene")}; explore(fit, data=data) adds the others.`;
  const all = `The file holds ${plural(kept + data.genes.names.length, "gene")} (genes that the model does not keep: in 8 bits)`;
  return data.genes.left_out ? `${all}; ${data.genes.left_out} less variable genes are left out to keep the file below 6 MB.` : `${all}.`;
}

// A gene that is not kept is added to the lists of features when it is first chosen.
function offer(feature) {
  for (const id of ["color-by", "feature"]) {
    const list = byId(id);
    if (![...list.options].some(({ value }) => value === String(feature))) {
      list.append(element("option", data.features[feature].name, { value: feature }));
    }
  }
}

// The map is coloured by a gene or output, or by the mean of several with commas or spaces between them.
function findGene(drawn, query) {
  if (!query) return;
  const names = featureNamed(query) >= 0 ? [query] : query.split(/[\s,;]+/).filter(Boolean);
  const found = [...new Set(names.map(featureNamed))].filter((feature) => feature >= 0);
  if (found.length) colorBy(drawn, String(setOf(found)));
  byId("gene").value = query;
  const unknown = names.filter((name) => featureNamed(name) < 0);
  const notes = unknown.length ? [`No gene or output is called “${unknown.join("”, “")}”.`] : [];
  byId("genes-note").textContent = [...notes, genesText()].join(" ");
}

function listen(drawn) {
  const { map, cells } = drawn;
  const on = (id, event, act) => byId(id).addEventListener(event, act);
  on("color-by", "change", () => colorBy(drawn, byId("color-by").value));
  on("kind", "change", () => {
    state.kind = byId("kind").value;
    paint(drawn);
  });
  on("rank-by", "change", () => {
    state.rankBy = byId("rank-by").value;
    showFeatures(drawn);
  });
  on("feature", "change", () => chooseFeature(drawn, Number(byId("feature").value)));
  on("color-feature", "click", () => {
    byId("color-by").value = state.feature;
    colorBy(drawn, String(state.feature));
  });
  on("search", "submit", (event) => {
    event.preventDefault();
    search(drawn, byId("query").value.trim());
  });
  on("find-gene", "submit", (event) => {
    event.preventDefault();
    findGene(drawn, byId("gene").value.trim());
  });
  on("gene", "change", () => findGene(drawn, byId("gene").value.trim()));
  on("undo", "click", () => undo(drawn));
  on("copy-link", "click", () => copyLink());
  addEventListener("keydown", (event) => press(drawn, event));
  on("gene", "input", () => suggest("genes", byId("gene").value.trim(), data.features.map(({ name }) => name)));
  on("places", "change", () => {
    showMap(drawn, Number(byId("places").value));
    paint(drawn);
  });
  on("labels", "change", () => {
    state.labels = byId("labels").checked;
    showLabels(drawn);
    remember(drawn);
  });
  GROUPS.forEach((group) => on(`hold-${group}`, "click", () => hold(drawn, group)));
  on("drop-groups", "click", () => {
    state.held = { a: null, b: null };
    showHeld(drawn);
  });
  on("query", "input", () => suggest("suggestions", byId("query").value.trim(), namesOfCells()));
  on("show-all", "click", () => hide(drawn, []));
  on("hide-all", "click", () => hide(drawn, data.groups[state.shownGroups].names.keys()));
  on("clear", "click", () => select(drawn, []));
  on("zoom-in", "click", () => zoom(drawn, 0.5));
  on("zoom-out", "click", () => zoom(drawn, 2));
  on("reset", "click", () => resetView(drawn));
  map.model.on_event("rangesupdate", ({ x0, x1, y0, y1 }) => {
    state.view = [x0, x1, y0, y1];
    separateLabels(drawn);
    remember(drawn);
  });
  on("theme", "click", () => setTheme(drawn, document.documentElement.dataset.theme === "light", true));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ({ matches }) => {
    if (!state.themeChosen) setTheme(drawn, matches);
  });
  document.querySelectorAll("input[name=drag]").forEach((radio) =>
    radio.addEventListener("change", () => {
      drawn[radio.value].active = true;
    }),
  );
  cells.selected.properties.indices.change.connect(() => showSelection(drawn));
  const name = (ending) => `${data.dataset}_map.${ending}`;
  on("save-svg", "click", () => save(name("svg"), [seen(drawn).text], "image/svg+xml"));
  on("save-png", "click", () => savePng(name("png"), seen(drawn)));
  on("save-csv", "click", () => {
    const selected = selectedCells(drawn);
    save(`${data.dataset}_cells.csv`, csvOf(selected.length ? selected : [...data.cells.keys()]), "text/csv");
  });
}

// The part of the map that is shown: [left, right, bottom, top].
function showView(drawn, view) {
  const { x_range: x, y_range: y } = drawn.map.model;
  x.setv({ start: view[0], end: view[1] });
  y.setv({ start: view[2], end: view[3] });
  for (const range of [x, y]) range.have_updated_interactively = true; // else bokeh fits it to the data again
  state.view = view;
  separateLabels(drawn);
  remember(drawn);
}

function resetView(drawn) {
  drawn.map.reset_range();
  state.view = null;
  separateLabels(drawn);
  remember(drawn);
}

function zoom(drawn, factor, right = 0, up = 0) {
  const { x_range: x, y_range: y } = drawn.map.model;
  const ends = ({ start, end }, shift) => {
    const middle = (start + end) / 2 + shift * (end - start);
    const half = ((end - start) / 2) * factor;
    return [middle - half, middle + half];
  };
  showView(drawn, [...ends(x, right), ...ends(y, up)]);
}

// Keys do what the buttons do, unless somebody types.
function press(drawn, event) {
  const types = event.target.matches?.("input:not([type=radio], [type=checkbox]), select, textarea");
  if (types || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key !== "z") return;
    event.preventDefault();
    undo(drawn);
    return;
  }
  const act = {
    "+": () => zoom(drawn, 0.5),
    "-": () => zoom(drawn, 2),
    0: () => resetView(drawn),
    ArrowLeft: () => zoom(drawn, 1, -0.1),
    ArrowRight: () => zoom(drawn, 1, 0.1),
    ArrowDown: () => zoom(drawn, 1, 0, -0.1),
    ArrowUp: () => zoom(drawn, 1, 0, 0.1),
    Escape: () => select(drawn, []),
    "/": () => byId("query").focus(),
    g: () => byId("gene").focus(),
    a: () => hold(drawn, "a"),
    b: () => hold(drawn, "b"),
    u: () => undo(drawn),
  }[event.key];
  const arrows = event.key.startsWith("Arrow") && event.target.matches?.("[type=radio], .scroll");
  if (!act || arrows) return;
  event.preventDefault();
  act();
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    byId("copied").textContent = "Link to this view copied.";
  } catch {
    byId("copied").textContent = "The address of the page is the link to this view.";
  }
}

function seen({ map }) {
  const { names, colors } = data.groups[state.shownGroups];
  const shown = names.map((name, i) => ({ name, color: colors[i] })).filter((_, i) => !state.hidden.has(i));
  const rings = GROUPS.filter((group) => state.held[group]).map((group) => ({ name: `Group ${group.toUpperCase()}`, color: css(COLORS_OF[group]) }));
  const legend = [...(state.colorBy in data.groups ? shown : []), ...rings];
  return picture(map, legend, { text: css("--text"), background: css("--card") });
}
