// The unpacked data of the page, and the values of a feature by kind.

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
  other: { measured: "measured" }, // a gene that the model does not keep
  set: { measured: "mean" }, // the mean z-score of several features
};

function bytesOf(text) {
  return Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0));
}

function unpack(text) {
  return new Float32Array(bytesOf(text).buffer);
}

const maps = data.maps.map((map) => ({ ...map, x: unpack(map.x), y: unpack(map.y) }));
const packed = Object.fromEntries(Object.entries(data.values).map(([kind, text]) => [kind, unpack(text)]));
let codes = new Uint8Array(); // values of genes that are not kept, from 0 (smallest) to 255 (largest)

// Genes that are not kept become features, after the outputs and the kept genes.
async function unpackGenes() {
  if (!data.genes?.names.length) return;
  const stream = new Blob([bytesOf(data.genes.codes)]).stream().pipeThrough(new DecompressionStream("deflate"));
  codes = new Uint8Array(await new Response(stream).arrayBuffer());
  data.genes.names.forEach((name, at) => data.features.push({ name, group: "other", at }));
}

// Kinds of values that a feature has: pairs of key and name.
function kindsOf(feature) {
  const there = Object.entries(KINDS[data.features[feature].group]);
  return there.filter(([kind]) => packed.held_out !== undefined || !kind.startsWith("held_out"));
}

// One number per cell; held-out values of cells that were in no test fold are NaN.
function valuesOf(feature, kind) {
  const { group, at, members } = data.features[feature];
  if (group === "set") return meanOf(members.map((member) => valuesOf(member, kind)));
  if (group === "other") {
    const [low, step] = [data.genes.low[at], data.genes.width[at] / 255];
    return Float32Array.from(codes.subarray(at * nCells, (at + 1) * nCells), (code) => low + step * code);
  }
  const column = (name) => packed[name].subarray(feature * nCells, (feature + 1) * nCells);
  if (kind === "residual" || kind === "held_out_residual") {
    const predicted = column(kind === "residual" ? "predicted" : "held_out");
    return column("measured").map((value, i) => value - predicted[i]);
  }
  return column(kind);
}

function meanOf(columns) {
  return columns[0].map((_, cell) => columns.reduce((sum, column) => sum + column[cell], 0) / columns.length);
}

// Position of the feature that is the mean of these features; it is added if there is none yet.
function setOf(members) {
  if (members.length === 1) return members[0];
  const name = members.map((member) => data.features[member].name).join(", ");
  const known = data.features.findIndex((feature) => feature.group === "set" && feature.name === name);
  return known >= 0 ? known : data.features.push({ name, group: "set", members }) - 1;
}

// Position of the first feature with this name, ignoring case; -1 if there is none.
function featureNamed(query) {
  const wanted = query.toLowerCase();
  return data.features.findIndex(({ name }) => name.toLowerCase() === wanted);
}

// How far a gene can be trusted, in words; empty for outputs and for genes that were not tested.
function trustText({ group, trust, frequency }) {
  if (group === "other") return "not kept by the model";
  if (group === "set") return "the mean of several z-scores";
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
