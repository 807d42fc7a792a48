// The page at work: what the controls do to the map, the legend and the tables.

const state = { colorBy: "type", kind: "measured", feature: 0, rankBy: "difference", shownGroups: "type", hidden: new Set() };

start();

async function start() {
  const [map, plot] = await Promise.all(
    ["map", "histogram"].map(async (id) => (await Bokeh.embed.embed_item(drawings[id], id)).roots[0]),
  );
  const part = (view, name) => view.model.document.get_model_by_name(name);
  const named = (view, names) => Object.fromEntries(names.map((name) => [name, part(view, name)]));
  const parts = named(map, ["cells", "dots", "shown", "pan", "box", "lasso", "hover", "mapper", "bar"]);
  const { bins } = named(plot, ["bins"]);
  const drawn = { map, plot, ...parts, bins };

  parts.cells.data = {
    ...places,
    color: new Array(nCells).fill("#808080"),
    cell: data.cells,
    type: data.cells.map((_, cell) => groupName("type", cell)),
    family: data.cells.map((_, cell) => groupName("family", cell)),
    value: new Array(nCells).fill(""),
  };
  for (const { canvas_view: canvas } of [map, plot]) {
    canvas.events_el.tabIndex = -1; // what the mouse does there, the search and the buttons do too
    canvas.events_el.style.outline = "none";
  }
  fillControls();
  listen(drawn);
  setTheme(drawn, matchMedia("(prefers-color-scheme: dark)").matches);
  showLegend(drawn);
  showSelection(drawn);
  document.documentElement.dataset.ready = "true";
}

// Controls -----------------------------------------------------------------------------------------------------------

function featuresOf(group) {
  return data.features.flatMap(({ name, group: own }, feature) => (own === group ? [[feature, name]] : []));
}

function fillControls() {
  const groups = Object.entries(data.groups).map(([key, { title }]) => [key, title]);
  const features = { Outputs: featuresOf("output"), Genes: featuresOf("gene") };
  fillSelect(byId("color-by"), { Cells: groups, ...features });
  fillSelect(byId("feature"), features);
  const mean = (key) => {
    const known = data.features.map((feature) => feature[key]).filter((value) => value != null);
    return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : NaN;
  };
  byId("accuracy").textContent =
    `; mean R² of the outputs: ${decimal(mean("r2"))} fitted` +
    (packed.held_out === undefined ? "" : `, ${decimal(mean("test_r2"))} held out`);
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
  on("query", "input", () => suggest(byId("query").value.trim()));
  on("show-all", "click", () => hide(drawn, []));
  on("hide-all", "click", () => hide(drawn, data.groups[state.shownGroups].names.keys()));
  on("clear", "click", () => select(drawn, []));
  on("zoom-in", "click", () => zoom(map, 0.5));
  on("zoom-out", "click", () => zoom(map, 2));
  on("reset", "click", () => map.reset());
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

function zoom(map, factor) {
  for (const range of [map.model.x_range, map.model.y_range]) {
    const middle = (range.start + range.end) / 2;
    const half = ((range.end - range.start) / 2) * factor;
    range.setv({ start: middle - half, end: middle + half });
  }
}

function seen({ map }) {
  const { names, colors } = data.groups[state.shownGroups];
  const legend = names.map((name, i) => ({ name, color: colors[i] })).filter((_, i) => !state.hidden.has(i));
  return picture(map, state.colorBy in data.groups ? legend : [], { text: css("--text"), background: css("--card") });
}

// Colours ------------------------------------------------------------------------------------------------------------

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
  for (const name of ["inside", "rest"]) {
    drawn.plot.model.document.get_model_by_name(name).glyph.setv({ fill_color: css(`--${name}`), line_color: css(`--${name}`) });
  }
  paint(drawn);
}

// `by` is a kind of groups, or the number of a feature.
function colorBy(drawn, by) {
  state.colorBy = by in data.groups ? by : Number(by);
  if (by in data.groups && by !== state.shownGroups) {
    state.shownGroups = by;
    hide(drawn, []);
  }
  paint(drawn);
  showLegend(drawn);
  if (!(by in data.groups)) chooseFeature(drawn, Number(by));
}

function paint(drawn) {
  const byGroup = state.colorBy in data.groups;
  byId("kind-label").hidden = byGroup;
  drawn.bar.visible = !byGroup;
  if (byGroup) paintGroups(drawn);
  else paintNumbers(drawn);
  drawn.cells.change.emit();
}

function paintGroups({ map, cells, hover }) {
  const { title, colors, codes, names } = data.groups[state.colorBy];
  cells.data.color = codes.map((code) => colors[code]);
  hover.tooltips = tooltips();
  map.model.title.text = title;
  byId("note").textContent = `Map of ${plural(nCells, "cell")}, ${axesText()}, coloured by ${title.toLowerCase()} (${names.length}).`;
}

function paintNumbers({ map, cells, hover, mapper }) {
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
  cells.data.value = Array.from(values, decimal);
  hover.tooltips = tooltips(title);
  map.model.title.text = `${title}, z-score`;
  mapper.setv(scale);

  const beyond = values.filter((value) => value < scale.low || value > scale.high).length;
  const unknown = values.filter(Number.isNaN).length;
  const notes = [`Map of ${plural(nCells, "cell")}, ${axesText()}, coloured by ${title}, in z-scores over all cells.`];
  if (isResidual(state.kind)) notes.push("A residual is what was measured minus what was predicted.");
  notes.push(
    `Colours end at ${isResidual(state.kind) ? "the 99th percentile of the size" : "the 1st and 99th percentile"} ` +
      `(${decimal(scale.low)} to ${decimal(scale.high)}); ${plural(beyond, "cell")} beyond.`,
  );
  if (r2 != null && state.kind !== "measured") {
    notes.push(state.kind.startsWith("held_out") ? `Test R² ${decimal(testR2)}, mean over the folds.` : `R² ${decimal(r2)} on the fitted cells.`);
  }
  if (state.kind.startsWith("held_out")) {
    notes.push(
      "By models that had not seen the cell, brought from the units of their folds into these." +
        (unknown ? ` Grey: ${plural(unknown, "cell")} that no fold held out.` : ""),
    );
  }
  byId("note").textContent = notes.join(" ");
}

function axesText() {
  return `${data.map.axes[0]} against ${data.map.axes[1]}`;
}

function tooltips(value) {
  const rows = [["cell", "@cell"], [data.groups.type.title.toLowerCase(), "@type"]];
  if ("family" in data.groups) rows.push(["family", "@family"]);
  return value === undefined ? rows : [...rows, ["value", "@value"]];
}

// Legend -------------------------------------------------------------------------------------------------------------

function showLegend(drawn) {
  const { title, names, colors } = data.groups[state.shownGroups];
  const counts = countGroups(state.shownGroups);
  const colored = state.colorBy === state.shownGroups;
  byId("legend-title").textContent = `${title} (${names.length})`;
  const entries = names.map((name, group) => {
    const box = element("input", [], { type: "checkbox" });
    box.checked = !state.hidden.has(group);
    box.addEventListener("change", () => {
      if (box.checked) state.hidden.delete(group);
      else state.hidden.add(group);
      showCells(drawn);
    });
    const swatch = element("span", [], { class: "swatch" });
    swatch.style.background = colors[group];
    swatch.style.visibility = colored ? "visible" : "hidden";
    const label = element("label", [box, swatch, element("span", name, { class: "name", title: name })]);
    label.append(element("span", String(counts[group]), { class: "count" }));
    return element("li", label);
  });
  byId("legend").replaceChildren(...entries);
}

function hide(drawn, groups) {
  state.hidden = new Set(groups);
  showLegend(drawn);
  showCells(drawn);
}

function showCells(drawn) {
  drawn.shown.booleans = data.groups[state.shownGroups].codes.map((code) => !state.hidden.has(code));
  showSelection(drawn);
}

// Selection ----------------------------------------------------------------------------------------------------------

function selectedCells({ cells }) {
  return [...cells.selected.indices].sort((a, b) => a - b);
}

function select({ cells }, found) {
  cells.selected.indices = found;
}

function search(drawn, query) {
  if (query === "") {
    byId("status").textContent = "Nothing to look for: type a part of a name of a cell, a type or a family.";
    return;
  }
  const wanted = query.toLowerCase();
  const found = data.cells.flatMap((name, cell) => {
    const names = [name, ...Object.keys(data.groups).map((groups) => groupName(groups, cell))];
    return names.some((text) => text.toLowerCase().includes(wanted)) ? [cell] : [];
  });
  if (!found.length) {
    byId("status").textContent = `Nothing found: no cell, type or family has “${query}” in its name.`;
    return;
  }
  select(drawn, found);
  byId("status").textContent = `${plural(found.length, "cell")} found with “${query}”. ${selectionText(drawn)}`;
}

function suggest(query) {
  const wanted = query.toLowerCase();
  const names = [...Object.values(data.groups).flatMap((group) => group.names), ...data.cells];
  const fitting = query === "" ? [] : names.filter((name) => name.toLowerCase().includes(wanted));
  byId("suggestions").replaceChildren(...[...new Set(fitting)].slice(0, 12).map((value) => element("option", [], { value })));
}

function selectionText(drawn) {
  const selected = selectedCells(drawn);
  if (!selected.length) return "No cell selected. Draw around cells (Shift adds to them), or find some by name.";
  const { names } = data.groups.type;
  const counts = countGroups("type", selected);
  const [first, ...others] = names.map((name, i) => [counts[i], name]).filter(([count]) => count).sort((a, b) => b[0] - a[0]);
  const { codes } = data.groups[state.shownGroups];
  const unseen = selected.filter((cell) => state.hidden.has(codes[cell])).length;
  return (
    `${plural(selected.length, "cell")} of ${nCells} selected: ${first[0]} ${first[1]}` +
    `${others.length ? ` and ${plural(others.length, "other type")}` : ""}.${unseen ? ` ${unseen} of them hidden.` : ""}`
  );
}

function showSelection(drawn) {
  byId("status").textContent = selectionText(drawn);
  const selected = selectedCells(drawn);
  byId("clear").disabled = !selected.length;
  const all = countGroups("type");
  const counts = countGroups("type", selected);
  const rows = data.groups.type.names.map((name, i) => [name, counts[i], all[i]]).filter(([, count]) => count);
  rows.sort((a, b) => b[1] - a[1]);
  fillTable(
    byId("counts"),
    [data.groups.type.title, "selected", "of", "share"],
    rows.map(([name, count, total]) => [name, String(count), String(total), `${((100 * count) / selected.length).toFixed(1)} %`]),
  );
  showFeatures(drawn);
}

function isSelectedOf(drawn) {
  const isSelected = new Uint8Array(nCells);
  selectedCells(drawn).forEach((cell) => (isSelected[cell] = 1));
  return isSelected;
}

function showFeatures(drawn) {
  const isSelected = isSelectedOf(drawn);
  const some = isSelected.includes(1) && isSelected.includes(0);
  const rows = some ? rankFeatures(isSelected, state.rankBy) : [];
  byId("ranking-title").hidden = !some;
  fillTable(
    byId("features"),
    ["feature", "selected", "rest", "difference", "AUC"],
    rows.map(({ feature, mean, restMean, difference, auc }) => {
      const button = element("button", data.features[feature].name, { type: "button", "data-feature": feature });
      button.addEventListener("click", () => chooseFeature(drawn, feature));
      return [button, decimal(mean), decimal(restMean), decimal(difference), decimal(auc)];
    }),
  );
  chooseFeature(drawn, state.feature);
}

function chooseFeature(drawn, feature) {
  state.feature = feature;
  byId("feature").value = feature;
  document.querySelectorAll("#features button").forEach((button) => {
    button.closest("tr").classList.toggle("chosen", Number(button.dataset.feature) === feature);
  });
  const isSelected = isSelectedOf(drawn);
  const some = isSelected.includes(1);
  const bins = binned(feature, isSelected);
  drawn.bins.data = bins;
  const { name } = data.features[feature];
  drawn.plot.model.below[0].axis_label = `${name} (measured, z-score)`;
  byId("histogram").setAttribute("aria-label", `Histogram of ${name}, ${some ? "selected cells against the rest" : "all cells"}`);
  const key = (part, text) => [element("span", [], { class: `key ${part}` }), text];
  byId("histogram-note").replaceChildren(
    ...(some ? [...key("inside", "selected"), ...key("rest", "rest")] : key("rest", "all cells: none is selected")),
  );
}
