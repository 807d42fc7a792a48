// Files to save: the map as it is shown (SVG and PNG), and cells (CSV).

const SVG = "http://www.w3.org/2000/svg";
const LINE = 16; // pixels from one entry of the legend to the next
const SHARPNESS = 2; // pixels of the PNG per pixel of the page

function save(name, parts, type) {
  const link = element("a", [], { download: name, href: URL.createObjectURL(new Blob(parts, { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// SVG of the map, with any legend to its right: {text, width, height}.
function picture(view, legend, { text, background }) {
  const { width, height } = view.bbox;
  const rows = Math.max(1, Math.floor((height - 20) / LINE));
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = "12px Helvetica, Arial, sans-serif";
  const column = 30 + Math.max(0, ...legend.map(({ name }) => pen.measureText(name).width));
  const all = { width: width + column * Math.ceil(legend.length / rows), height };
  const svg = document.createElementNS(SVG, "svg");
  const add = (tag, attributes, content = "") => {
    const made = svg.appendChild(document.createElementNS(SVG, tag));
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    made.textContent = content;
  };
  Object.entries({ ...all, viewBox: `0 0 ${all.width} ${all.height}` }).forEach(([key, value]) => svg.setAttribute(key, value));
  add("rect", { ...all, fill: background });
  svg.append(view.export("svg").canvas);
  legend.forEach(({ name, color }, i) => {
    const x = width + 8 + column * Math.floor(i / rows);
    const y = 20 + LINE * (i % rows);
    add("circle", { cx: x + 5, cy: y, r: 4.5, fill: color });
    add("text", { x: x + 15, y: y + 4, fill: text, "font-family": "Helvetica, Arial, sans-serif", "font-size": 12 }, name);
  });
  return { text: new XMLSerializer().serializeToString(svg), ...all };
}

function savePng(name, { text, width, height }) {
  const image = new Image();
  image.onload = () => {
    const canvas = element("canvas", [], { width: width * SHARPNESS, height: height * SHARPNESS });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(name, [blob], "image/png"));
  };
  image.src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
}

// Text in a CSV: names that a spreadsheet would take for a formula are preceded by an apostrophe.
function csvText(name) {
  const safe = /^[=+\-@\t\r]/.test(name) ? `'${name}` : name;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// Nine digits distinguish any two numbers of single precision.
function csvNumber(value) {
  return Number.isFinite(value) ? String(Number(value.toPrecision(9))) : "";
}

function csvOf(cells) {
  // Of the genes that are not kept, only the one that colours the map is written.
  const wanted = [...data.features.keys()].filter((feature) => data.features[feature].group !== "other" || feature === state.colorBy);
  const columns = wanted.flatMap((feature) =>
    kindsOf(feature)
      .filter(([kind]) => !isResidual(kind))
      .map(([kind, title]) => ({ title: `${data.features[feature].name}, ${title}`, values: valuesOf(feature, kind) })),
  );
  const known = Object.keys(data.groups);
  const axes = maps.flatMap(({ title, axes: own }, at) => (at ? own.map((axis) => `${title}, ${axis}`) : own));
  const titles = ["cell", ...known, ...axes, ...columns.map(({ title }) => title)];
  const rows = cells.map((cell) => [
    csvText(data.cells[cell]),
    ...known.map((groups) => csvText(groupName(groups, cell))),
    ...maps.flatMap(({ x, y }) => [csvNumber(x[cell]), csvNumber(y[cell])]),
    ...columns.map(({ values }) => csvNumber(values[cell])),
  ]);
  return [titles.map(csvText), ...rows].map((row) => row.join(",") + "\r\n");
}
