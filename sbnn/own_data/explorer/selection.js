// The selected cells and their groups.

function selectedCells({ cells }) {
  return [...cells.selected.indices].sort((a, b) => a - b);
}

function select({ cells }, found) {
  cells.selected.indices = found;
}

function selectionText(drawn) {
  const selected = selectedCells(drawn);
  if (!selected.length) return "No cell selected. Draw around cells (hold Shift to add more).";
  const { names, title } = data.groups[MAIN];
  const counts = countGroups(MAIN, selected);
  const [first, ...others] = names.map((name, i) => [counts[i], name]).filter(([count]) => count).sort((a, b) => b[0] - a[0]);
  return (
    `${plural(selected.length, "cell")} of ${nCells} selected: ${first[0]} ${first[1]}` +
    `${others.length ? ` and ${plural(others.length, `other ${title.toLowerCase()}`)}` : ""}.`
  );
}

function showSelection(drawn) {
  byId("status").textContent = selectionText(drawn);
  const selected = selectedCells(drawn);
  byId("clear").disabled = !selected.length;
  const all = countGroups(MAIN);
  const counts = countGroups(MAIN, selected);
  const rows = data.groups[MAIN].names.map((name, i) => [name, counts[i], all[i]]).filter(([, count]) => count);
  rows.sort((a, b) => b[1] - a[1]);
  fillTable(
    byId("counts"),
    [data.groups[MAIN].title, "selected", "total", "share of selection"],
    rows.map(([name, count, total]) => [name, String(count), String(total), `${((100 * count) / selected.length).toFixed(1)} %`]),
  );
  showFeatures(drawn);
}
