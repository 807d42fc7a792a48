// The legend: every group with its colour, its number of cells and a box to show or hide it.

const MOST_LABELS = 24; // on the map
const LABEL = { height: 18, letter: 7 }; // about as large, in pixels

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

// Names of the shown groups at the medians of their cells, unless there are too many to read.
function showLabels(drawn) {
  const { names: groups, codes: groupCodes } = data.groups[state.shownGroups];
  const { x, y } = maps[state.map];
  const shown = [...groups.keys()].filter((group) => !state.hidden.has(group));
  const cells = shown.map((group) => [...groupCodes.keys()].filter((cell) => groupCodes[cell] === group));
  const middle = (places) => cells.map((own) => quantiles(own.map((cell) => places[cell]), [0.5])[0]);
  const some = state.labels && groups.length <= MOST_LABELS;
  const text = some ? shown.map((group) => groups[group]) : [];
  drawn.names.data = { x: some ? middle(x) : [], y: some ? middle(y) : [], text, down: text.map(() => 0) };
  separateLabels(drawn);
}

// Labels that others would hide are moved down.
function separateLabels({ map, names }) {
  const { x, y, text } = names.data;
  const left = x.map((place) => map.frame.x_scale.compute(place));
  const top = y.map((place) => map.frame.y_scale.compute(place));
  const width = text.map((name) => LABEL.letter * (name.length + 1));
  const down = text.map(() => 0);
  const placed = [];
  for (const label of [...text.keys()].sort((a, b) => top[a] - top[b])) {
    const hides = (other) =>
      Math.abs(left[label] - left[other]) < (width[label] + width[other]) / 2 &&
      Math.abs(top[label] + down[label] - top[other] - down[other]) < LABEL.height - 1;
    for (let other; (other = placed.find(hides)) !== undefined; ) {
      down[label] = top[other] + down[other] + LABEL.height - top[label];
    }
    placed.push(label);
  }
  names.data = { ...names.data, down };
}

function hide(drawn, groups) {
  state.hidden = new Set(groups);
  showLegend(drawn);
  showCells(drawn);
}

function showCells(drawn) {
  drawn.shown.booleans = data.groups[state.shownGroups].codes.map((code) => !state.hidden.has(code));
  showLabels(drawn);
  showRings(drawn);
  showSelection(drawn);
}
