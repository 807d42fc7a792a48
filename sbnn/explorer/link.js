// The state of the page as the part of its address after "#", so that a link restores it.

let first = ""; // the initial state, which is not written into the address
let due; // timer: many changes at once are written together
let now = ""; // the state that was written last
const before = []; // earlier states, to undo
const MOST_UNDONE = 100;

// Positions of cells or groups as text, such as "0-4.7", and back.
function asRanges(positions) {
  const found = [];
  for (const at of [...positions].sort((a, b) => a - b)) {
    if (found.length && found.at(-1)[1] === at - 1) found.at(-1)[1] = at;
    else found.push([at, at]);
  }
  return found.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(".");
}

function ofRanges(text, most) {
  const found = (text ?? "").split(".").filter(Boolean).flatMap((part) => {
    const [from, to = from] = part.split("-").map(Number);
    return Array.from({ length: Math.max(Math.min(to, most - 1) - from + 1, 0) }, (_, i) => from + i);
  });
  return found.filter(Number.isInteger);
}

function stateText(drawn) {
  const named = (feature) => `${data.features[feature].group}:${data.features[feature].name}`;
  const all = {
    color: state.colorBy in data.groups ? state.colorBy : named(state.colorBy),
    values: state.kind,
    groups: state.shownGroups,
    hidden: asRanges(state.hidden),
    map: String(state.map),
    view: (state.view ?? []).map((end) => Number(end.toPrecision(6))).join("_"),
    feature: named(state.feature),
    rank: state.rankBy,
    labels: state.labels ? "" : "off",
    selected: asRanges(selectedCells(drawn)),
    ...Object.fromEntries(GROUPS.map((group) => [group, asRanges(state.held[group] ?? [])])),
  };
  return new URLSearchParams(Object.entries(all).filter(([, text]) => text)).toString();
}

function remember(drawn) {
  if (document.documentElement.dataset.ready === undefined) return;
  clearTimeout(due);
  due = setTimeout(() => {
    const text = stateText(drawn);
    if (text !== now) before.push(now);
    if (before.length > MOST_UNDONE) before.shift();
    now = text;
    byId("undo").disabled = !before.length;
    try {
      history.replaceState(null, "", text === first && !location.hash ? location.href : `#${text}`);
    } catch {
      // a page inside a notebook has no address of its own
    }
  }, 100);
}

function restore(drawn, text) {
  const known = new URLSearchParams(text);
  const feature = (name) => {
    if (name?.startsWith("set:")) return setOf(name.slice(4).split(", ").map(featureNamed).filter((member) => member >= 0));
    return data.features.findIndex((one) => `${one.group}:${one.name}` === name);
  };
  if (known.get("groups") in data.groups) state.shownGroups = known.get("groups");
  state.kind = known.get("values") ?? state.kind;
  state.rankBy = known.get("rank") === "auc" ? "auc" : "difference";
  byId("rank-by").value = state.rankBy;
  state.labels = known.get("labels") !== "off";
  byId("labels").checked = state.labels;
  for (const group of GROUPS) {
    const cells = ofRanges(known.get(group), nCells);
    state.held[group] = cells.length ? cells : null;
  }
  state.feature = Math.max(feature(known.get("feature")), 0);
  showMap(drawn, Number(known.get("map")) in maps ? Number(known.get("map")) : 0);
  const colored = feature(known.get("color"));
  colorBy(drawn, colored >= 0 ? String(colored) : known.get("color") in data.groups ? known.get("color") : state.shownGroups);
  hide(drawn, ofRanges(known.get("hidden"), data.groups[state.shownGroups].names.length));
  select(drawn, ofRanges(known.get("selected"), nCells));
  state.feature = Math.max(feature(known.get("feature")), 0);
  const view = (known.get("view") ?? "").split("_").map(Number);
  if (view.length === 4 && view.every(Number.isFinite)) showView(drawn, view);
  showHeld(drawn);
}

function undo(drawn) {
  if (!before.length) return;
  now = before.pop();
  restore(drawn, now);
}
