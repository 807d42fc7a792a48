// Elements of the page, made from text only: names in the data never become HTML.

const byId = (id) => document.getElementById(id);

function element(tag, content = [], attributes = {}) {
  const made = document.createElement(tag);
  made.append(...[content].flat());
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  return made;
}

function fillTable(table, columns, rows) {
  if (!rows.length) {
    table.replaceChildren();
    return;
  }
  const head = columns.map((column) => element("th", column, { scope: "col" }));
  const body = rows.map((cells) => element("tr", cells.map((cell) => element("td", cell))));
  table.replaceChildren(element("thead", element("tr", head)), element("tbody", body));
}

// Options of a select: {group name: [[value, name], ...]}; the group "" has no heading.
function fillSelect(select, groups) {
  const options = Object.entries(groups).flatMap(([heading, entries]) => {
    const made = entries.map(([value, name]) => element("option", name, { value }));
    return heading === "" || !made.length ? made : element("optgroup", made, { label: heading });
  });
  select.replaceChildren(...options);
}

function decimal(value) {
  return Number.isFinite(value) ? value.toFixed(2).replace("-", "−") : "–";
}

function small(value) {
  if (value >= 0.001) return value.toFixed(3);
  return value > 0 ? value.toExponential(0).replace("-", "−") : "0";
}

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
