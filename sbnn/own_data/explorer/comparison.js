// Features ranked between selected cells and the rest, or A and B.

const GROUPS = ["a", "b"];
const COLORS_OF = { a: "--inside", b: "--b" };

// The group of each cell (1, 2, or 0 for neither), and the names of both groups.
function comparedOf(drawn) {
  const parts = new Uint8Array(nCells);
  const { a, b } = state.held;
  if (a && b) {
    a.forEach((cell) => (parts[cell] = 1));
    b.forEach((cell) => (parts[cell] = parts[cell] === 1 ? 0 : 2)); // cells in both groups count in neither
    return { parts, names: ["A", "B"] };
  }
  const selected = selectedCells(drawn);
  selected.forEach((cell) => (parts[cell] = 1));
  return { parts: parts.map((part) => part || 2), names: ["selected", "rest"] };
}

function hold(drawn, group) {
  const cells = selectedCells(drawn);
  if (cells.length) state.held[group] = cells;
  showHeld(drawn);
  if (!cells.length) byId("groups-note").textContent = `Select cells first, then set them as ${group.toUpperCase()}.`;
}

function showHeld(drawn) {
  const { a, b } = state.held;
  byId("drop-groups").hidden = !a && !b;
  const groups = GROUPS.filter((group) => state.held[group]).map((group) => `${group.toUpperCase()}: ${plural(state.held[group].length, "cell")}`);
  const both = a && b && a.filter((cell) => b.includes(cell)).length;
  const next = a && b ? "compared below" : "select cells for the other group";
  byId("groups-note").textContent = groups.length
    ? `${groups.join(", ")}; ${next}.${both ? ` ${plural(both, "cell")} in both groups left out.` : ""}`
    : "To compare two selections, set one as A and the other as B.";
  showRings(drawn);
  showFeatures(drawn);
}

// Rings around the cells of A and B.
function showRings({ rings }) {
  const { x, y } = maps[state.map];
  const cells = GROUPS.flatMap((group) => (state.held[group] ?? []).map((cell) => [cell, css(COLORS_OF[group])]));
  rings.data = { x: cells.map(([cell]) => x[cell]), y: cells.map(([cell]) => y[cell]), color: cells.map(([, color]) => color) };
}

function showFeatures(drawn) {
  const { parts, names } = comparedOf(drawn);
  const some = parts.includes(1) && parts.includes(2);
  const rows = some ? rankFeatures(parts) : [];
  byId("ranking-heading").hidden = !some;
  byId("ranking-heading").textContent = names[0] === "A" ? "Differences between A and B" : "Differences from the rest";
  byId("ranking-note").textContent = rows.length ? rankingText(rows.length) : "";
  fillTable(
    byId("features"),
    ["feature", ...names, "difference (SD)", "AUC", "FDR"],
    rows.map(({ feature, mean, restMean, difference, auc, rate }) => {
      const { name, trust } = data.features[feature];
      const button = element("button", name, { type: "button", title: trustText(data.features[feature]) });
      button.addEventListener("click", () => colorBy(drawn, String(feature)));
      const mark = trust === "trusted" ? [element("span", "trusted", { class: "trusted" })] : [];
      return [[button, ...mark], decimal(mean), decimal(restMean), decimal(difference), decimal(auc), small(rate)];
    }),
  );
}

function rankingText(nRows) {
  const n = data.features.length;
  return (
    (nRows < n ? `The first ${nRows} of ${n} features are shown. ` : "") +
    `FDR: false discovery rate over ${plural(n, "feature")}, of rank tests that take cells as independent. It is too small ` +
    "for cells that were chosen by their place on the map, which is computed from these features, and if few donors give many cells."
  );
}
