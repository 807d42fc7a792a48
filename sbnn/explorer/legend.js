// The legend, and the names of the groups on the map.

const MOST_LABELS = 24; // on the map

function showLegend(drawn) {
  const { title, names, colors } = data.groups[state.shownGroups];
  const counts = countGroups(state.shownGroups);
  byId("legend-title").textContent = `${title} (${names.length})`;
  const entries = names.map((name, group) => {
    const swatch = element("span", [], { class: "swatch" });
    swatch.style.background = colors[group];
    swatch.style.visibility = state.colorBy === state.shownGroups ? "visible" : "hidden";
    const count = element("span", String(counts[group]), { class: "count" });
    return element("li", [swatch, element("span", name, { class: "name", title: name }), count]);
  });
  byId("legend").replaceChildren(...entries);
  showLabels(drawn);
}

// Names of the groups at the medians of their cells, unless there are too many to read.
function showLabels({ names }) {
  const { names: groups, codes } = data.groups[state.shownGroups];
  const text = groups.length <= MOST_LABELS ? groups : [];
  const { x, y } = maps[state.map];
  const middle = (places, group) => quantiles(places.filter((_, cell) => codes[cell] === group), [0.5])[0];
  names.data = { x: text.map((_, group) => middle(x, group)), y: text.map((_, group) => middle(y, group)), text };
}
