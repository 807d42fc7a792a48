// Start of the page.

const coarsest = data.color ?? ("family" in data.groups ? "family" : MAIN);
const labelled = data.groups[coarsest].names.length > 1; // otherwise the first output colours the map
const state = { colorBy: labelled ? coarsest : 0, shownGroups: coarsest, map: 0, kind: "measured", held: { a: null, b: null } };

start();

async function start() {
  const map = (await Bokeh.embed.embed_item(drawings.map, "map")).roots[0];
  const names = ["cells", "pan", "box", "lasso", "hover", "mapper", "bar", "corners", "names", "rings"];
  const parts = Object.fromEntries(names.map((name) => [name, map.model.document.get_model_by_name(name)]));
  const drawn = { map, ...parts };

  parts.cells.data = {
    x: maps[0].x,
    y: maps[0].y,
    color: new Array(nCells).fill("#808080"),
    cell: data.cells,
    main: data.cells.map((_, cell) => groupName(MAIN, cell)),
    shown: data.cells.map((_, cell) => groupName(coarsest, cell)),
    value: new Array(nCells).fill(""),
  };
  fillControls();
  listen(drawn);
  paint(drawn);
  showLegend(drawn);
  showSelection(drawn);
  showHeld(drawn);
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
  fillSelect(byId("genes"), { "": data.features.map(({ name }) => [name, name]) });
  fillSelect(byId("places"), { "": maps.map(({ title }, at) => [at, title]) });
  byId("places-label").hidden = maps.length === 1;
  byId("verdict").hidden = !byId("verdict").textContent;
  byId("genes-note").textContent = genesText();
}

// The genes that the file contains.
function genesText() {
  const kept = featuresOf("gene").length;
  if (data.genes === undefined) return `The file holds only the ${plural(kept, "kept gene")}; explore(fit, data=data) adds the others.`;
  const all = `The file holds ${plural(kept + data.genes.names.length, "gene")}`;
  return data.genes.left_out ? `${all}; ${data.genes.left_out} less variable genes are left out to keep the file below 6 MB.` : `${all}.`;
}

// A gene that is not kept is added to the lists of features when it is first chosen.
function offer(feature) {
  const list = byId("color-by");
  if (![...list.options].some(({ value }) => value === String(feature))) {
    list.append(element("option", data.features[feature].name, { value: feature }));
  }
}

// The map is coloured by the first gene or output with this name, ignoring case.
function findGene(drawn, query) {
  if (!query) return;
  const found = data.features.findIndex(({ name }) => name.toLowerCase() === query.toLowerCase());
  if (found >= 0) colorBy(drawn, String(found));
  byId("gene").value = query;
  byId("genes-note").textContent = found >= 0 ? genesText() : `No gene or output is called “${query}”. ${genesText()}`;
}

function listen(drawn) {
  const { cells } = drawn;
  const on = (id, event, act) => byId(id).addEventListener(event, act);
  on("color-by", "change", () => colorBy(drawn, byId("color-by").value));
  on("kind", "change", () => {
    state.kind = byId("kind").value;
    paint(drawn);
  });
  on("find-gene", "submit", (event) => {
    event.preventDefault();
    findGene(drawn, byId("gene").value.trim());
  });
  on("gene", "change", () => findGene(drawn, byId("gene").value.trim()));
  on("places", "change", () => {
    showMap(drawn, Number(byId("places").value));
    paint(drawn);
  });
  GROUPS.forEach((group) => on(`hold-${group}`, "click", () => hold(drawn, group)));
  on("drop-groups", "click", () => {
    state.held = { a: null, b: null };
    showHeld(drawn);
  });
  on("clear", "click", () => select(drawn, []));
  on("reset", "click", () => drawn.map.reset_range());
  document.querySelectorAll("input[name=drag]").forEach((radio) =>
    radio.addEventListener("change", () => {
      drawn[radio.value].active = true;
    }),
  );
  cells.selected.properties.indices.change.connect(() => showSelection(drawn));
  const { x_range: across, y_range: up, properties } = drawn.map.model;
  for (const { start, end } of [across.properties, up.properties]) {
    [start, end].forEach(({ change }) => change.connect(() => placeLabelsSoon(drawn)));
  }
  [properties.inner_width, properties.inner_height].forEach(({ change }) => change.connect(() => placeLabelsSoon(drawn)));
  on("save-csv", "click", () => {
    const selected = selectedCells(drawn);
    save(`${data.dataset}_cells.csv`, csvOf(selected.length ? selected : [...data.cells.keys()]), "text/csv");
  });
}
