// The legend, which selects the cells of a group, and the names of the groups on the map.

const MOST_LABELS = 24; // on the map
const LABEL_HEIGHT = 20; // of the box around a name, in pixels
const LABEL_PADDING = 8;
const PLACEMENT_STEPS = 200;

function showLegend(drawn) {
  const { title, names, colors } = data.groups[state.shownGroups];
  const counts = countGroups(state.shownGroups);
  byId("legend-title").textContent = `${title} (${names.length})`;
  const entries = names.map((name, group) => {
    const swatch = element("span", [], { class: "swatch" });
    swatch.style.background = colors[group];
    swatch.style.visibility = state.colorBy === state.shownGroups ? "visible" : "hidden";
    const count = element("span", String(counts[group]), { class: "count" });
    const content = [swatch, element("span", name, { class: "name" }), count];
    const button = element("button", content, { type: "button", title: `Select ${plural(counts[group], "cell")} of ${name} (Shift: add them)` });
    button.addEventListener("click", (event) => selectGroup(drawn, group, event.shiftKey));
    return element("li", button);
  });
  byId("legend").replaceChildren(...entries);
  showLabels(drawn);
}

function selectGroup(drawn, group, adds) {
  const { codes } = data.groups[state.shownGroups];
  const cells = codes.flatMap((code, cell) => (code === group ? [cell] : []));
  select(drawn, adds ? [...new Set([...selectedCells(drawn), ...cells])] : cells);
}

// Names of the groups at the medians of their cells, unless there are too many to read.
function showLabels(drawn) {
  const { names: groups, codes } = data.groups[state.shownGroups];
  const text = groups.length > 1 && groups.length <= MOST_LABELS ? groups : [];
  const { x, y } = maps[state.map];
  const middle = (places, group) => quantiles(places.filter((_, cell) => codes[cell] === group), [0.5])[0];
  const none = text.map(() => 0);
  drawn.names.data = { x: text.map((_, group) => middle(x, group)), y: text.map((_, group) => middle(y, group)), text, dx: none, dy: none };
  placeLabelsSoon(drawn);
}

// Places names once, after the ranges and the frame have changed.
function placeLabelsSoon(drawn) {
  cancelAnimationFrame(state.placing);
  state.placing = requestAnimationFrame(() => placeLabels(drawn));
}

// Moves names apart that would hide one another, in pixels, and into the frame.
function placeLabels({ names, map }) {
  const { x, y, text } = names.data;
  const { x_scale: across, y_scale: up, bbox } = map.frame;
  const context = document.createElement("canvas").getContext("2d");
  context.font = "12px Helvetica, Arial, sans-serif";
  const boxes = text.map((name, at) => ({
    x: across.compute(x[at]),
    y: up.compute(y[at]),
    width: context.measureText(name).width + LABEL_PADDING,
    isInside: true,
  }));
  const { left, right, top, bottom } = bbox;
  boxes.forEach((box) => (box.isInside = box.x >= left && box.x <= right && box.y >= top && box.y <= bottom));
  const free = boxes.filter(({ isInside }) => isInside).map((box) => ({ box, x: box.x, y: box.y }));
  for (let step = 0; step < PLACEMENT_STEPS; step++) {
    let moved = false;
    free.forEach((a, at) => {
      for (const b of free.slice(at + 1)) moved = pushApart(a, b) || moved;
    });
    for (const name of free) {
      const half = Math.min(name.box.width, right - left) / 2;
      name.x = Math.min(Math.max(name.x, left + half), right - half);
      name.y = Math.min(Math.max(name.y, top + LABEL_HEIGHT / 2), bottom - LABEL_HEIGHT / 2);
    }
    if (!moved) break;
  }
  const dx = text.map(() => 0);
  const dy = text.map(() => 0);
  for (const { box, x: newX, y: newY } of free) {
    dx[boxes.indexOf(box)] = newX - box.x;
    dy[boxes.indexOf(box)] = newY - box.y;
  }
  names.data = { ...names.data, dx, dy };
}

// Moves two names that overlap by half of the overlap each, along its shorter side.
function pushApart(a, b) {
  const tooNear = (a.box.width + b.box.width) / 2 - Math.abs(a.x - b.x);
  const tooLow = LABEL_HEIGHT - Math.abs(a.y - b.y);
  if (tooNear <= 0.5 || tooLow <= 0.5) return false;
  if (tooLow <= tooNear) {
    const side = a.y <= b.y ? 1 : -1;
    a.y -= (side * tooLow) / 2;
    b.y += (side * tooLow) / 2;
  } else {
    const side = a.x <= b.x ? 1 : -1;
    a.x -= (side * tooNear) / 2;
    b.x += (side * tooNear) / 2;
  }
  return true;
}
