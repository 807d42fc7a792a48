// The data of the page, unpacked, and the numbers of a feature by kind.

const data = JSON.parse(document.getElementById("data").textContent);
const nCells = data.cells.length;

const KINDS = {
  output: {
    measured: "measured",
    predicted: "predicted (fitted)",
    held_out: "predicted (held out)",
    residual: "residual (fitted)",
    held_out_residual: "residual (held out)",
  },
  gene: { measured: "measured", predicted: "reconstructed" },
};

function unpack(text) {
  return new Float32Array(Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0)).buffer);
}

const places = { x: unpack(data.map.x), y: unpack(data.map.y) };
const packed = Object.fromEntries(Object.entries(data.values).map(([kind, text]) => [kind, unpack(text)]));

// Kinds of numbers that there are of a feature, key -> name.
function kindsOf(feature) {
  const there = Object.entries(KINDS[data.features[feature].group]);
  return there.filter(([kind]) => packed.held_out !== undefined || !kind.startsWith("held_out"));
}

// One number per cell; NaN of cells that were in no test fold.
function valuesOf(feature, kind) {
  const column = (name) => packed[name].subarray(feature * nCells, (feature + 1) * nCells);
  if (kind === "residual" || kind === "held_out_residual") {
    const predicted = column(kind === "residual" ? "predicted" : "held_out");
    return column("measured").map((value, i) => value - predicted[i]);
  }
  return column(kind);
}

function groupName(groups, cell) {
  const group = data.groups[groups];
  return group === undefined ? "" : group.names[group.codes[cell]];
}

// Cells in each group, of some cells or of all.
function countGroups(groups, cells) {
  const { names, codes } = data.groups[groups];
  const counts = new Array(names.length).fill(0);
  for (const cell of cells ?? codes.keys()) counts[codes[cell]] += 1;
  return counts;
}
