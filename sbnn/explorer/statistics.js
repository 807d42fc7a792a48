// What sets some cells apart from the rest, in every measured feature.

const ranked = new Map(); // feature -> ranks of the cells, 1 the smallest, ties their mean

function ranksOf(feature) {
  if (!ranked.has(feature)) {
    const values = valuesOf(feature, "measured");
    const order = Uint32Array.from(values.keys()).sort((a, b) => values[a] - values[b]);
    const ranks = new Float64Array(nCells);
    for (let start = 0, end; start < nCells; start = end) {
      end = start + 1;
      while (end < nCells && values[order[end]] === values[order[start]]) end += 1;
      for (let i = start; i < end; i += 1) ranks[order[i]] = (start + end + 1) / 2;
    }
    ranked.set(feature, ranks);
  }
  return ranked.get(feature);
}

function meanAndVariance(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return [mean, variance];
}

// Means of the two groups, their difference in standard deviations (root of the mean variance), and the share of pairs
// of a selected cell and another one in which the selected one has more (AUC, ties count half).
function compare(feature, isSelected) {
  const values = valuesOf(feature, "measured");
  const ranks = ranksOf(feature);
  const inside = [];
  const rest = [];
  let rankSum = 0;
  values.forEach((value, cell) => {
    (isSelected[cell] ? inside : rest).push(value);
    if (isSelected[cell]) rankSum += ranks[cell];
  });
  const [mean, variance] = meanAndVariance(inside);
  const [restMean, restVariance] = meanAndVariance(rest);
  const auc = (rankSum - (inside.length * (inside.length + 1)) / 2) / (inside.length * rest.length);
  return { feature, mean, restMean, difference: (mean - restMean) / Math.sqrt((variance + restVariance) / 2), auc };
}

// Every feature compared, those that differ most first; what cannot be compared last.
function rankFeatures(isSelected, by) {
  const size = { difference: (row) => Math.abs(row.difference), auc: (row) => Math.abs(row.auc - 0.5) }[by];
  const orLast = (row) => (Number.isNaN(size(row)) ? -1 : size(row));
  return data.features.map((_, feature) => compare(feature, isSelected)).sort((a, b) => orLast(b) - orLast(a));
}

// Share of the selected and of the other cells in equal bins from the smallest to the largest value.
function binned(feature, isSelected, nBins = 30) {
  const values = valuesOf(feature, "measured");
  const [low, top] = quantiles(values, [0, 1]);
  const width = (top - low || 1) / nBins;
  const counts = { inside: new Array(nBins).fill(0), rest: new Array(nBins).fill(0) };
  values.forEach((value, cell) => {
    counts[isSelected[cell] ? "inside" : "rest"][Math.min(Math.floor((value - low) / width), nBins - 1)] += 1;
  });
  const shares = (part) => {
    const total = part.reduce((sum, count) => sum + count, 0);
    return part.map((count) => count / Math.max(total, 1));
  };
  const left = counts.rest.map((_, i) => low + i * width);
  return { left, right: left.map((x) => x + width), inside: shares(counts.inside), rest: shares(counts.rest) };
}
