// Colours of the page and of the cells, and the caption of the map.

const DIM = 0.18; // share of its colour that a cell keeps while others are selected

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function setTheme(drawn, dark, chosen = false) {
  state.themeChosen ||= chosen;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  byId("theme").setAttribute("aria-pressed", dark);
  const [text, quiet, line, grid] = ["--text", "--quiet", "--line", "--grid"].map(css);
  for (const { model } of [drawn.map, drawn.plot]) {
    model.title.text_color = text;
    for (const item of [...model.left, ...model.below]) {
      item.setv({ axis_line_color: line, major_tick_line_color: line, major_label_text_color: quiet, axis_label_text_color: quiet });
    }
    model.center.filter((item) => item.type === "Grid").forEach((item) => (item.grid_line_color = grid));
  }
  drawn.bar.setv({ major_label_text_color: quiet, major_tick_line_color: quiet });
  for (const glyph of [drawn.dots.glyph, drawn.dots.nonselection_glyph]) glyph.line_color = css("--dot-edge");
  drawn.labels.glyph.setv({ text_color: text, background_fill_color: css("--card") });
  for (const name of ["inside", "rest"]) {
    drawn.plot.model.document.get_model_by_name(name).glyph.setv({ fill_color: css(`--${name}`), line_color: css(`--${name}`) });
  }
  showRings(drawn);
  paint(drawn);
}

// Show another map of the same cells.
function showMap(drawn, at) {
  state.map = at;
  byId("places").value = at;
  const { x, y, axes } = maps[at];
  const ends = (places) => [places.reduce((a, b) => Math.min(a, b)), places.reduce((a, b) => Math.max(a, b))];
  drawn.cells.data = { ...drawn.cells.data, x, y };
  drawn.corners.data = { x: ends(x), y: ends(y) };
  drawn.map.model.below[0].axis_label = axes[0];
  drawn.map.model.left[0].axis_label = axes[1];
  resetView(drawn);
  showLabels(drawn);
  showRings(drawn);
}

// `by` is a kind of groups or the position of a feature.
function colorBy(drawn, by) {
  state.colorBy = by in data.groups ? by : Number(by);
  byId("gene").value = "";
  byId("genes-note").textContent = genesText();
  if (by in data.groups && by !== state.shownGroups) {
    state.shownGroups = by;
    hide(drawn, []);
  }
  paint(drawn);
  showLegend(drawn);
  if (!(by in data.groups)) {
    chooseFeature(drawn, Number(by)); // which offers it
    byId("color-by").value = by;
  }
}

function paint(drawn) {
  const byGroup = state.colorBy in data.groups;
  byId("kind-label").hidden = byGroup;
  drawn.bar.visible = !byGroup;
  if (byGroup) paintGroups(drawn);
  else paintNumbers(drawn);
  const page = css("--card");
  drawn.cells.data.dim = drawn.cells.data.color.map((color) => mixed(color, page));
  showValues(drawn);
  remember(drawn);
}

const mixtures = new Map();

// A colour mixed with that of the page, which stays visible beneath it.
function mixed(color, page) {
  const key = `${color} ${page}`;
  if (!mixtures.has(key)) {
    const [own, other] = [rgb(color), rgb(page)];
    mixtures.set(key, `rgb(${own.map((part, i) => Math.round(DIM * part + (1 - DIM) * other[i])).join(", ")})`);
  }
  return mixtures.get(key);
}

function rgb(color) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = color; // any name or notation becomes #rrggbb
  return [1, 3, 5].map((at) => parseInt(pen.fillStyle.slice(at, at + 2), 16));
}

// The tooltip of a cell: its name, its groups, and its values of the feature that colours the map or else is chosen.
function showValues({ cells, hover }) {
  const feature = state.colorBy in data.groups ? state.feature : state.colorBy;
  const kinds = kindsOf(feature).filter(([kind]) => !isResidual(kind)).map(([kind, name]) => [name, valuesOf(feature, kind)]);
  cells.data.value = data.cells.map((_, cell) => kinds.map(([name, values]) => `${decimal(values[cell])} ${name}`).join(", "));
  const rows = [["cell", "@cell"], [data.groups.type.title.toLowerCase(), "@type"]];
  if ("family" in data.groups) rows.push(["family", "@family"]);
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
  const scale = scaleOf(state.colorBy, state.kind);
  const missing = css("--missing");
  cells.data.color = Array.from(values, (value) => colorOf(value, scale, missing));
  map.model.title.text = `${title}, z-score`;
  mapper.setv(scale);

  const beyond = values.filter((value) => value < scale.low || value > scale.high).length;
  const unknown = values.filter(Number.isNaN).length;
  const notes = [`Map of ${plural(nCells, "cell")}, ${axesText()}, coloured by ${title}, in z-scores over all cells.`];
  const trust = trustText(data.features[state.colorBy]);
  if (trust) notes.push(`${name} is ${trust}.`);
  if (isResidual(state.kind)) notes.push("A residual is the measured minus the predicted value.");
  notes.push(
    `Colours end at ${isResidual(state.kind) ? "the 99th percentile of the absolute value" : "the 1st and 99th percentiles"} ` +
      `(${decimal(scale.low)} to ${decimal(scale.high)}); ${plural(beyond, "cell")} beyond.`,
  );
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
