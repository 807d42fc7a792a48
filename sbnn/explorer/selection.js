// The selected cells, the search for cells by name, and the groups of the selected cells.

function selectedCells({ cells }) {
  return [...cells.selected.indices].sort((a, b) => a - b);
}

function select({ cells }, found) {
  cells.selected.indices = found;
}

function search(drawn, query) {
  if (query === "") {
    byId("status").textContent = "Type part of the name of a cell, type or family.";
    return;
  }
  const wanted = query.toLowerCase();
  const matching = (fits) =>
    data.cells.flatMap((name, cell) => {
      const names = [name, ...Object.keys(data.groups).map((groups) => groupName(groups, cell))];
      return names.some((text) => fits(text.toLowerCase())) ? [cell] : [];
    });
  const whole = matching((text) => text === wanted);
  const found = whole.length ? whole : matching((text) => text.includes(wanted));
  if (!found.length) {
    byId("status").textContent = `Nothing found: no cell, type or family has “${query}” in its name.`;
    return;
  }
  select(drawn, found);
  byId("query").value = query;
  byId("status").textContent = `${plural(found.length, "cell")} found for “${query}”. ${selectionText(drawn)}`;
}

function namesOfCells() {
  return [...Object.values(data.groups).flatMap((group) => group.names), ...data.cells];
}

// Names that begin with the query, then others that contain it.
function suggest(list, query, names) {
  const wanted = query.toLowerCase();
  const fitting = query === "" ? [] : names.filter((name) => name.toLowerCase().includes(wanted));
  const begins = (name) => name.toLowerCase().startsWith(wanted);
  const sorted = [...fitting.filter(begins), ...fitting.filter((name) => !begins(name))];
  byId(list).replaceChildren(...[...new Set(sorted)].slice(0, 12).map((value) => element("option", [], { value })));
}

function selectionText(drawn) {
  const selected = selectedCells(drawn);
  const { codes } = data.groups[state.shownGroups];
  const hidden = codes.filter((code) => state.hidden.has(code)).length;
  const rest = hidden ? ` ${plural(hidden, "cell")} hidden, but still counted in the rest.` : "";
  if (!selected.length) return `No cell selected. Draw around cells (hold Shift to add more), or find cells by name.${rest}`;
  const { names } = data.groups.type;
  const counts = countGroups("type", selected);
  const [first, ...others] = names.map((name, i) => [counts[i], name]).filter(([count]) => count).sort((a, b) => b[0] - a[0]);
  const unseen = selected.filter((cell) => state.hidden.has(codes[cell])).length;
  return (
    `${plural(selected.length, "cell")} of ${nCells} selected: ${first[0]} ${first[1]}` +
    `${others.length ? ` and ${plural(others.length, "other type")}` : ""}.${unseen ? ` ${unseen} of them hidden.` : ""}${rest}`
  );
}

function showSelection(drawn) {
  byId("query").value = ""; // it no longer describes what is selected
  byId("status").textContent = selectionText(drawn);
  const selected = selectedCells(drawn);
  byId("clear").disabled = !selected.length;
  const all = countGroups("type");
  const counts = countGroups("type", selected);
  const rows = data.groups.type.names.map((name, i) => [name, counts[i], all[i]]).filter(([, count]) => count);
  rows.sort((a, b) => b[1] - a[1]);
  fillTable(
    byId("counts"),
    [data.groups.type.title, "selected", "total", "share of selection"],
    rows.map(([name, count, total]) => [name, String(count), String(total), `${((100 * count) / selected.length).toFixed(1)} %`]),
  );
  showFeatures(drawn);
  remember(drawn);
}
