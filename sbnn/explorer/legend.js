// The legend: every group with its colour, its number of cells and a box to show or hide it.

const MOST_LABELS = 24; // on the map

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
function showLabels({ names }) {
  const { names: groups, codes: groupCodes } = data.groups[state.shownGroups];
  const { x, y } = maps[state.map];
  const shown = [...groups.keys()].filter((group) => !state.hidden.has(group));
  const cells = shown.map((group) => [...groupCodes.keys()].filter((cell) => groupCodes[cell] === group));
  const middle = (places) => cells.map((own) => quantiles(own.map((cell) => places[cell]), [0.5])[0]);
  const some = state.labels && groups.length <= MOST_LABELS;
  names.data = some ? { x: middle(x), y: middle(y), text: shown.map((group) => groups[group]) } : { x: [], y: [], text: [] };
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
