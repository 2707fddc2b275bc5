(() => {
  const all = (selector, of = document) => [...of.querySelectorAll(selector)];
  document.documentElement.classList.add("js");

  // sort: numbers by data-sort, what has none stays last in both directions
  const key = (row, column, text) => {
    const value = row.cells[column].dataset.sort;
    return text || value === "" ? value : Number(value);
  };
  for (const button of all("th button")) button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0];
    const text = "text" in head.dataset, down = head.getAttribute("aria-sort") === "ascending";
    for (const other of all("th", head.parentNode)) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].map(row => [key(row, head.cellIndex, text), row]);
    rows.sort(([a], [b]) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      return (down ? -1 : 1) * (text ? a.localeCompare(b, undefined, {numeric: true}) : a - b);
    });
    body.append(...rows.map(([, row]) => row));
  });

  // regions: a checkbox takes its region out of the plot
  const boxes = all("input[data-row]");
  const show = box => {
    box.closest("tr").classList.toggle("off", !box.checked);
    for (const drawn of all(`[id^="region-${box.dataset.row}-"]`)) drawn.classList.toggle("off", !box.checked);
  };
  for (const box of boxes) box.addEventListener("change", () => show(box));
  for (const button of all("button[data-show]")) button.addEventListener("click", () => {
    for (const box of all("input[data-row]", button.closest("section"))) {
      box.checked = button.dataset.show === "all";
      show(box);
    }
  });

  // figures and tables that are wider than the screen say so
  const wide = box => {
    box.classList.toggle("more", box.scrollWidth > box.clientWidth + 1);
    box.classList.toggle("end", box.scrollLeft + box.clientWidth > box.scrollWidth - 8);
  };
  for (const box of all(".wide, .scroll")) {
    new ResizeObserver(() => wide(box)).observe(box);
    box.addEventListener("scroll", () => wide(box));
  }

  // copy: in the old way, which works for files too, then in the new one; the text stays selected for those whose browser allows neither
  for (const button of all("button[data-copy]")) button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    getSelection().selectAllChildren(source);
    button.textContent = "Selected: press Ctrl+C";
    if (!document.execCommand("copy")) await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  });

  // paper has no buttons: everything is open on it
  addEventListener("beforeprint", () => all("details:not([open])").forEach(part => { part.open = true; part.dataset.closed = ""; }));
  addEventListener("afterprint", () => all("details[data-closed]").forEach(part => { part.open = false; delete part.dataset.closed; }));
})();
