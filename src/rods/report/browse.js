"use strict";
// Filters the list of tasks of a report.
(() => {
  const filters = document.getElementById("filters");
  if (!filters) return;
  const tasks = [...document.querySelectorAll("details.task")];
  const texts = new Map(tasks.map((task) => [task, task.textContent.toLowerCase()]));
  const [category, state, search] = ["category", "state", "search"].map((id) => document.getElementById(id));

  function filter() {
    const wanted = search.value.trim().toLowerCase();
    let shown = 0;
    for (const task of tasks) {
      const fits = [category, state].every((input) => !input.value || input.value === task.dataset[input.id]);
      task.hidden = !fits || !texts.get(task).includes(wanted);
      shown += !task.hidden;
    }
    document.getElementById("count").textContent = `${shown} of ${tasks.length} tasks`;
  }

  filters.hidden = false;
  for (const input of [category, state, search]) input.addEventListener("input", filter);
  filter();
})();
