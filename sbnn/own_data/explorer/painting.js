// Colours of the page and of the cells, and the caption of the map.

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Show another map of the same cells.
function showMap(drawn, at) {
  state.map = at;
  byId("places").value = at;
  const { x, y, axes } = maps[at];
  const ends = (places) => quantiles(places, [0, 1]);
  drawn.cells.data = { ...drawn.cells.data, x, y };
  drawn.corners.data = { x: ends(x), y: ends(y) };
  drawn.map.model.below[0].axis_label = axes[0];
  drawn.map.model.left[0].axis_label = axes[1];
  drawn.map.reset_range();
  showLabels(drawn);
  showRings(drawn);
}

// `by` is a kind of groups or the position of a feature.
function colorBy(drawn, by) {
  state.colorBy = by in data.groups ? by : Number(by);
  byId("gene").value = "";
  byId("genes-note").textContent = genesText();
  if (by in data.groups) state.shownGroups = by;
  else offer(Number(by));
  byId("color-by").value = by;
  paint(drawn);
  showLegend(drawn);
}

function paint(drawn) {
  const byGroup = state.colorBy in data.groups;
  byId("kind-label").hidden = byGroup;
  drawn.bar.visible = !byGroup;
  if (byGroup) paintGroups(drawn);
  else paintNumbers(drawn);
  showValues(drawn);
}

// The tooltip of a cell: name, groups, and values of the feature that colours the map, or of the first.
function showValues({ cells, hover }) {
  const feature = state.colorBy in data.groups ? 0 : state.colorBy;
  const kinds = kindsOf(feature).map(([kind, name]) => [name, valuesOf(feature, kind)]);
  cells.data.value = data.cells.map((_, cell) => kinds.map(([name, values]) => `${decimal(values[cell])} ${name}`).join(", "));
  const titleOf = (groups) => data.groups[groups].title.toLowerCase();
  const rows = [["cell", "@cell"], [titleOf(MAIN), "@main"]];
  if (state.shownGroups !== MAIN) {
    rows.push([titleOf(state.shownGroups), "@shown"]);
    cells.data.shown = data.cells.map((_, cell) => groupName(state.shownGroups, cell));
  }
  hover.tooltips = [...rows, [`${data.features[feature].name}, z-score`, "@value"]];
  cells.change.emit();
}

function paintGroups({ map, cells }) {
  const { title, colors, codes, names } = data.groups[state.colorBy];
  cells.data.color = codes.map((code) => colors[code]);
  map.model.title.text = title;
  byId("note").textContent = `Map of ${plural(nCells, "cell")}, ${axesText()}, coloured by ${title.toLowerCase()} (${names.length}).`;
}

function paintNumbers({ map, cells, mapper }) {
  const { name, group, r2, test_r2: testR2 } = data.features[state.colorBy];
  const kinds = kindsOf(state.colorBy);
  if (!kinds.some(([kind]) => kind === state.kind)) state.kind = "measured";
  fillSelect(byId("kind"), { "": kinds });
  byId("kind").value = state.kind;
  const title = `${name}, ${KINDS[group][state.kind]}`;
  const values = valuesOf(state.colorBy, state.kind);
  const scale = scaleOf(state.colorBy);
  const missing = css("--missing");
  cells.data.color = Array.from(values, (value) => colorOf(value, scale, missing));
  map.model.title.text = `${title}, z-score`;
  mapper.setv(scale);

  const unknown = values.filter(Number.isNaN).length;
  const notes = [`Map of ${plural(nCells, "cell")}, ${axesText()}, coloured by ${title}, in z-scores over all cells.`];
  const trust = trustText(data.features[state.colorBy]);
  if (trust) notes.push(`${name} is ${trust}.`);
  notes.push(`Colours end at the 1st and 99th percentiles (${decimal(scale.low)} to ${decimal(scale.high)}).`);
  if (r2 != null && state.kind !== "measured") {
    notes.push(state.kind.startsWith("held_out") ? `Mean test R² over the folds: ${decimal(testR2)}.` : `R² ${decimal(r2)} on the fitted cells.`);
  }
  if (state.kind.startsWith("held_out")) {
    notes.push(
      "Predicted by models that were not fitted to the cell, and rescaled from the units of their folds." +
        (unknown ? ` Grey: ${plural(unknown, "cell")} that no fold held out.` : ""),
    );
  }
  byId("note").textContent = notes.join(" ");
}

function axesText() {
  return `${maps[state.map].axes[0]} against ${maps[state.map].axes[1]}`;
}
