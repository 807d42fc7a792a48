// The selected cells against the rest: the ranked features and the histogram of one.

function isSelectedOf(drawn) {
  const isSelected = new Uint8Array(nCells);
  selectedCells(drawn).forEach((cell) => (isSelected[cell] = 1));
  return isSelected;
}

function showFeatures(drawn) {
  const isSelected = isSelectedOf(drawn);
  const some = isSelected.includes(1) && isSelected.includes(0);
  const rows = some ? rankFeatures(isSelected, state.rankBy) : [];
  byId("ranking-title").hidden = !some;
  fillTable(
    byId("features"),
    ["feature", "selected", "rest", "difference", "AUC"],
    rows.map(({ feature, mean, restMean, difference, auc }) => {
      const button = element("button", data.features[feature].name, { type: "button", "data-feature": feature });
      button.addEventListener("click", () => chooseFeature(drawn, feature));
      return [button, decimal(mean), decimal(restMean), decimal(difference), decimal(auc)];
    }),
  );
  chooseFeature(drawn, state.feature);
}

function chooseFeature(drawn, feature) {
  state.feature = feature;
  byId("feature").value = feature;
  document.querySelectorAll("#features button").forEach((button) => {
    button.closest("tr").classList.toggle("chosen", Number(button.dataset.feature) === feature);
  });
  const isSelected = isSelectedOf(drawn);
  const some = isSelected.includes(1);
  const bins = binned(feature, isSelected);
  drawn.bins.data = bins;
  const { name } = data.features[feature];
  drawn.plot.model.below[0].axis_label = `${name} (measured, z-score)`;
  byId("histogram").setAttribute("aria-label", `Histogram of ${name}, ${some ? "selected cells against the rest" : "all cells"}`);
  const key = (part, text) => [element("span", [], { class: `key ${part}` }), text];
  byId("histogram-note").replaceChildren(
    ...(some ? [...key("inside", "selected"), ...key("rest", "rest")] : key("rest", "all cells: none is selected")),
  );
}
