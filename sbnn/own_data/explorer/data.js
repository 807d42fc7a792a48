// The unpacked data of the page, and the values of a feature by kind.

const data = JSON.parse(document.getElementById("data").textContent);
const nCells = data.cells.length;
const MAIN = Object.keys(data.groups)[0]; // the kind of groups in which selections are counted

const KINDS = {
  output: {
    measured: "measured",
    predicted: "predicted (fitted)",
    held_out: "predicted (held out)",
  },
  gene: { measured: "measured", predicted: "reconstructed" },
  other: { measured: "measured" }, // a gene that the model does not keep
};

function unpack(text) {
  return new Float32Array(Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0)).buffer);
}

const maps = data.maps.map((map) => ({ ...map, x: unpack(map.x), y: unpack(map.y) }));
const packed = Object.fromEntries(Object.entries(data.values).map(([kind, text]) => [kind, unpack(text)]));
const others = unpack(data.genes?.values ?? "");
// genes that the model does not keep become features, after the outputs and the kept genes
data.genes?.names.forEach((name, at) => data.features.push({ name, group: "other", at }));

// Kinds of values that a feature has: pairs of key and name.
function kindsOf(feature) {
  const there = Object.entries(KINDS[data.features[feature].group]);
  return there.filter(([kind]) => packed.held_out !== undefined || !kind.startsWith("held_out"));
}

// One number per cell; NaN for cells in no test fold.
function valuesOf(feature, kind) {
  const { group, at } = data.features[feature];
  if (group === "other") return others.subarray(at * nCells, (at + 1) * nCells);
  return packed[kind].subarray(feature * nCells, (feature + 1) * nCells);
}

// How far a gene can be trusted; empty for outputs and untested genes.
function trustText({ group, trust, frequency }) {
  if (group === "other") return "not kept by the model";
  return trust === undefined ? "" : `${trust}: kept in ${Math.round(100 * frequency)} % of the fits to halves of the cells`;
}

function groupName(groups, cell) {
  const group = data.groups[groups];
  return group === undefined ? "" : group.names[group.codes[cell]];
}

// Number of cells in each group, counting some cells or all.
function countGroups(groups, cells) {
  const { names, codes: groupCodes } = data.groups[groups];
  const counts = new Array(names.length).fill(0);
  for (const cell of cells ?? groupCodes.keys()) counts[groupCodes[cell]] += 1;
  return counts;
}
