// Colours of numbers, from the 1st to the 99th percentile; measured and predicted values of a feature share a scale.

const drawings = JSON.parse(document.getElementById("drawings").textContent);
const { palette } = drawings;
const ROBUST = [0.01, 0.99];

// Linear interpolation between the two nearest values, as in numpy; NaNs are left out.
function quantiles(values, shares) {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort();
  return shares.map((share) => {
    const at = share * (sorted.length - 1);
    const below = sorted[Math.floor(at)];
    return below + (sorted[Math.ceil(at)] - below) * (at - Math.floor(at));
  });
}

// Colour scale of a feature: {palette, low, high}.
function scaleOf(feature) {
  const pooled = kindsOf(feature).flatMap(([kind]) => Array.from(valuesOf(feature, kind)));
  const [low, high] = quantiles(pooled, ROBUST);
  return high > low ? { palette, low, high } : { palette, low: low - 1, high: low + 1 };
}

function colorOf(value, { palette, low, high }, missing) {
  if (!Number.isFinite(value)) return missing;
  const at = Math.floor(((value - low) / (high - low)) * palette.length);
  return palette[Math.min(Math.max(at, 0), palette.length - 1)];
}
