"use strict";
// Reads the values of a chart at the pointer, or by the arrow keys. The values are its table's.
(() => {
  function read(plot, row) {
    const heads = [...row.closest("table").querySelectorAll("thead th")].map((cell) => cell.textContent);
    const cells = [...row.children].map((cell) => cell.textContent);
    const values = heads.slice(1).map((head, i) => `${head} ${cells[i + 1]}`);
    const shown = values.filter((_, i) => !["-", "0"].includes(cells[i + 1]));
    plot.nextElementSibling.textContent = `${heads[0]} ${cells[0]}: ${shown.join("; ") || "-"}`;
    const cursor = plot.querySelector(".cursor");
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, `${row.dataset.at}%`);
    cursor.setAttribute("visibility", "visible");
    plot.dataset.at = row.dataset.at;
  }

  function rows(plot) {
    return [...plot.parentElement.querySelectorAll(".numbers tbody tr")];
  }

  function nearest(plot, share) {
    let best = null;
    for (const row of rows(plot)) {
      if (!best || Math.abs(row.dataset.at - share) < Math.abs(best.dataset.at - share)) best = row;
    }
    return best;
  }

  document.addEventListener("pointermove", (event) => {
    const plot = event.target.closest && event.target.closest(".plot");
    if (!plot) return;
    const box = plot.querySelector(".base").getBoundingClientRect();
    const row = nearest(plot, (100 * (event.clientX - box.left)) / box.width);
    if (row) read(plot, row);
  });

  document.addEventListener("keydown", (event) => {
    const plot = event.target;
    if (!plot.classList || !plot.classList.contains("plot")) return;
    const all = rows(plot);
    const at = all.findIndex((row) => row.dataset.at === plot.dataset.at);
    const to = { ArrowRight: at + 1, ArrowLeft: at < 0 ? all.length - 1 : at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || !all[to]) return;
    event.preventDefault();
    read(plot, all[to]);
  });
})();
