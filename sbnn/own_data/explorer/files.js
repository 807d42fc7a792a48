// Cells as a CSV file.

function save(name, parts, type) {
  const link = element("a", [], { download: name, href: URL.createObjectURL(new Blob(parts, { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Text in a CSV: names that a spreadsheet would take for a formula are preceded by an apostrophe.
function csvText(name) {
  const safe = /^[=+\-@\t\r]/.test(name) ? `'${name}` : name;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// Nine digits distinguish any two numbers of single precision.
function csvNumber(value) {
  return Number.isFinite(value) ? String(Number(value.toPrecision(9))) : "";
}

function csvOf(cells) {
  // Of the genes that are not kept, only the one that colours the map is written.
  const wanted = [...data.features.keys()].filter((feature) => data.features[feature].group !== "other" || feature === state.colorBy);
  const columns = wanted.flatMap((feature) =>
    kindsOf(feature)
      .map(([kind, title]) => ({ title: `${data.features[feature].name}, ${title}`, values: valuesOf(feature, kind) })),
  );
  const known = Object.keys(data.groups);
  const axes = maps.flatMap(({ title, axes: own }, at) => (at ? own.map((axis) => `${title}, ${axis}`) : own));
  const titles = ["cell", ...known, ...axes, ...columns.map(({ title }) => title)];
  const rows = cells.map((cell) => [
    csvText(data.cells[cell]),
    ...known.map((groups) => csvText(groupName(groups, cell))),
    ...maps.flatMap(({ x, y }) => [csvNumber(x[cell]), csvNumber(y[cell])]),
    ...columns.map(({ values }) => csvNumber(values[cell])),
  ]);
  return [titles.map(csvText), ...rows].map((row) => row.join(",") + "\r\n");
}
