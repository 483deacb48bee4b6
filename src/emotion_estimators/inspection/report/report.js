// Sorts and filters the table of faces; without it the page shows all of them.
"use strict";
(() => {
  const table = document.getElementById("face-table");
  const form = document.getElementById("filter");
  if (!table || !form) return;
  const body = table.tBodies[0];
  const original = [...body.rows];
  const figures = [...document.querySelectorAll("figure[id]")];
  const field = (name) => document.getElementById(name);
  const [emotion, least, most, name] = ["emotion", "least", "most", "name"].map((key) =>
    field(`by-${key}`)
  );

  // what a row is sorted by: the number that its cell holds, else its text
  const valueOf = (row, kind) => {
    const cell = row.querySelector(`.${kind}`);
    const number = cell.dataset.value;
    return number === undefined ? cell.textContent.trim() : Number(number);
  };
  const compare = (a, b) => {
    if (typeof a === "string" && typeof b === "string") return a.localeCompare(b);
    if (typeof a !== typeof b) return typeof a === "string" ? -1 : 1; // no number comes first
    return a - b;
  };

  const sort = (heading) => {
    // certainties from the top, all else from the bottom; then back and forth
    const first = ["certainty", "score"].includes(heading.dataset.sort) ? "descending" : "ascending";
    const before = heading.getAttribute("aria-sort");
    const turned = before === "ascending" ? "descending" : "ascending";
    const order = before ? turned : first;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const keyed = original.map((row) => [valueOf(row, heading.dataset.sort), row]);
    keyed.sort((a, b) => sign * compare(a[0], b[0]));
    body.append(...keyed.map(([, row]) => row));
  };

  const filter = () => {
    const low = least.value === "" ? 0 : Number(least.value);
    const high = most.value === "" ? 1 : Number(most.value);
    const text = name.value.trim().toLowerCase();
    const isFiltered = emotion.value !== "" || low > 0 || high < 1 || text !== "";
    const seen = new Set();
    let count = 0;
    for (const row of original) {
      const { emotion: own, certainty, of } = row.dataset;
      const isShown =
        (emotion.value === "" || own === emotion.value) &&
        Number(certainty) >= low && Number(certainty) <= high &&
        row.querySelector("bdi").textContent.toLowerCase().includes(text);
      row.hidden = !isShown;
      if (isShown) {
        count += 1;
        seen.add(of);
      }
    }
    for (const figure of figures) figure.hidden = isFiltered && !seen.has(figure.id);
    const told = `${count} of ${original.length} faces are shown`;
    field("shown").textContent = told + (isFiltered && figures.length ? ", and the photographs with them." : ".");
  };

  for (const heading of table.tHead.rows[0].cells) {
    if (!heading.dataset.sort) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => sort(heading));
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  // a face that is linked to may be filtered out
  window.addEventListener("hashchange", () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden) {
      form.reset();
      setTimeout(() => target.scrollIntoView());
    }
  });
  form.hidden = false;
  filter();
})();
