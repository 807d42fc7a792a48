// The legend: every group with its colour and its number of cells, to hide and to show.

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
