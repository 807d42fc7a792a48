// Colours of numbers, from the 1st to the 99th percentile; measured and predicted values of a feature share a scale.

const drawings = JSON.parse(document.getElementById("drawings").textContent);
const { palettes } = drawings;
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

function isResidual(kind) {
  return kind.endsWith("residual");
}

// Colour scale of a feature: {palette, low, high}.
function scaleOf(feature, kind) {
  const alike = kindsOf(feature).map(([other]) => other).filter((other) => isResidual(other) === isResidual(kind));
  const pooled = alike.flatMap((other) => Array.from(valuesOf(feature, other)));
  if (isResidual(kind)) {
    const [high] = quantiles(pooled.map(Math.abs), [ROBUST[1]]);
    return { palette: palettes[`difference_${document.documentElement.dataset.theme}`], low: -(high || 1), high: high || 1 };
  }
  const [low, high] = quantiles(pooled, ROBUST);
  return high > low ? { palette: palettes.range, low, high } : { palette: palettes.range, low: low - 1, high: low + 1 };
}

function colorOf(value, { palette, low, high }, missing) {
  if (!Number.isFinite(value)) return missing;
  const at = Math.floor(((value - low) / (high - low)) * palette.length);
  return palette[Math.min(Math.max(at, 0), palette.length - 1)];
}
