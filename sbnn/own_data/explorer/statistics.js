// Differences between two groups of cells in every measured feature. `parts` is 1 for cells of the first group, 2 for
// cells of the second, and 0 for all others.

const MOST_ROWS = 100; // largest number of features shown in the ranking
const orders = new Map(); // feature -> cells from the smallest to the largest value

function orderOf(feature) {
  if (!orders.has(feature)) {
    const values = valuesOf(feature, "measured");
    orders.set(feature, Uint32Array.from(values.keys()).sort((a, b) => values[a] - values[b]));
  }
  return orders.get(feature);
}

function meanAndVariance(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return [mean, variance];
}

// Means of the two groups, and their difference in standard deviations (root of the mean variance).
function compare(feature, parts) {
  const values = valuesOf(feature, "measured");
  const [first, second] = [1, 2].map((part) => values.filter((_, cell) => parts[cell] === part));
  const [mean, variance] = meanAndVariance(first);
  const [restMean, restVariance] = meanAndVariance(second);
  return { feature, mean, restMean, difference: (mean - restMean) / Math.sqrt((variance + restVariance) / 2) };
}

// Rank test (Mann and Whitney) of two groups of cells: {auc, p}. The AUC is the share of pairs in which the cell of the
// first group has more; ties count half.
function rankTest(feature, parts) {
  const values = valuesOf(feature, "measured");
  const order = orderOf(feature).filter((cell) => parts[cell]);
  const n = order.length;
  let [rankSum, nFirst, ties] = [0, 0, 0];
  for (let start = 0, end; start < order.length; start = end) {
    end = start + 1;
    while (end < order.length && values[order[end]] === values[order[start]]) end += 1;
    const inside = order.subarray(start, end).filter((cell) => parts[cell] === 1).length;
    rankSum += (inside * (start + end + 1)) / 2; // ranks start at 1; ties have their mean rank
    nFirst += inside;
    ties += (end - start) ** 3 - (end - start);
  }
  const pairs = nFirst * (n - nFirst);
  const statistic = rankSum - (nFirst * (nFirst + 1)) / 2;
  const sd = Math.sqrt((pairs / 12) * (n + 1 - ties / (n * (n - 1))));
  const z = Math.max(Math.abs(statistic - pairs / 2) - 0.5, 0) / sd; // with correction for continuity
  return { auc: statistic / pairs, p: sd > 0 ? twoSided(z) : 1 };
}

// Probability that a standard normal variable is farther than z from 0.
function twoSided(z) {
  const x = z / Math.SQRT2;
  if (x < 2.5) {
    let [term, sum] = [x, x];
    for (let n = 1; n < 60; n += 1) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = x; // continued fraction, from its end
  for (let n = 60; n > 0; n -= 1) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / (fraction * Math.sqrt(Math.PI));
}

// False discovery rates (Benjamini and Hochberg), in the order of the p-values.
function falseDiscoveryRates(p) {
  const order = [...p.keys()].sort((a, b) => p[b] - p[a]);
  const rates = new Array(p.length);
  let least = 1;
  order.forEach((test, i) => {
    least = Math.min(least, (p[test] * p.length) / (p.length - i));
    rates[test] = least;
  });
  return rates;
}

// The features that differ most, first; those that cannot be compared come last. Rates are over all features.
function rankFeatures(parts) {
  const rows = data.features.map((_, feature) => ({ ...compare(feature, parts), ...rankTest(feature, parts) }));
  const rates = falseDiscoveryRates(rows.map(({ p }) => p));
  rows.forEach((row, i) => (row.rate = rates[i]));
  const size = ({ difference }) => (Number.isNaN(difference) ? -1 : Math.abs(difference));
  return rows.sort((a, b) => size(b) - size(a)).slice(0, MOST_ROWS);
}
