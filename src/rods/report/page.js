"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const STROKES = { dash: "dashed", dot: "dotted", dashdot: "dashed" };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function look(figure) {
    figure.layout.font.color = colour("--ink");
    figure.layout.hoverlabel = { bgcolor: colour("--soft"), bordercolor: colour("--line"), font: { color: colour("--ink") } };
    for (const trace of figure.data) {
      if (trace.meta === "ink") trace.line.color = trace.marker.color = colour("--ink");
    }
    return figure;
  }

  // Names are escaped for plotly, which would take tags in them for markup.
  const plain = (name) => name.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

  const fixed = (number) => (number === null ? "-" : number.toFixed(2));

  function legend(traces) {
    const list = make("ul", "legend");
    for (const trace of traces) {
      if (!trace.name) continue;
      const item = make("li");
      const swatch = make("span", trace.line ? "stroke" : "badge");
      if (trace.line) swatch.style.borderTop = `${trace.line.width + 1}px ${STROKES[trace.line.dash] || "solid"} ${trace.line.color}`;
      else swatch.style.background = trace.marker.color;
      item.append(swatch, plain(trace.name));
      list.append(item);
    }
    return list;
  }

  function draw() {
    for (const [key, figure] of Object.entries(data.figures)) {
      const { data: traces, layout } = look(figure);
      const place = document.getElementById(key);
      place.previousElementSibling.replaceChildren(legend(traces));
      Plotly.react(place, traces, layout, { responsive: true, displayModeBar: false });
    }
  }

  function make(tag, kind, text) {
    const node = document.createElement(tag);
    if (kind) node.className = kind;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function row(caption, sides, fill) {
    const node = make("div", sides.length > 1 ? "row pair" : "row");
    node.append(make("div", "caption", caption));
    for (const [name, task] of sides) {
      const cell = make("div");
      if (sides.length > 1) cell.append(make("div", "side", name));
      fill(cell, task);
      if (!cell.querySelector(":scope > :not(.side)")) cell.append(make("div", "meta", "-"));
      node.append(cell);
    }
    return node;
  }

  function head(cell, task) {
    cell.append(make("h3", "", task.source || task.id));
    const facts = [task.category, task.state, "made by " + task.origin];
    if (data.browser.list.includes(task.id)) facts.push("for epoch " + task.born);
    if (task.source) facts.push(task.id);
    if (task.note) facts.push(task.note);
    cell.append(make("div", "meta", facts.join(" · ")));
    cell.append(make("div", "meta", "start state: " + task.classes.join(", ")));
    if (task.withheld.length) cell.append(make("div", "meta", "withheld: " + task.withheld.join(", ")));
  }

  function turn(cell, found) {
    if (!found) return;
    if (found.restores.length) cell.append(make("div", "meta", "restores: " + found.restores.join(", ")));
    if (found.user) cell.append(make("div", "text", found.user));
    for (const call of found.calls) cell.append(make("div", "code", call));
    if (!found.calls.length) cell.append(make("div", "meta", "no call is right here"));
  }

  function life(cell, task) {
    for (const [epoch, step, kind, reason] of task.events) {
      const why = reason ? (kind === "injected" ? ", varied from " : ": ") + reason : "";
      cell.append(make("div", "text", `epoch ${epoch}, step ${step}: ${kind}${why}`));
    }
  }

  function rewards(cell, task) {
    for (const group of task.groups) {
      const line = make("div", "text");
      if (group.zone) {
        const badge = make("span", "badge");
        badge.style.background = data.zones[group.zone];
        line.append(badge);
      }
      line.append(`epoch ${group.epoch}, step ${group.step}: mean ${fixed(group.mean)}, ${group.zone || "-"}, ${group.signal}`);
      cell.append(line, make("div", "code", (group.outcomes ? "rewards " : "") + group.rewards.join("  ")));
      if (group.outcomes) cell.append(make("div", "code", "outcomes " + group.outcomes.join("  ")));
    }
  }

  function episode(cell, task) {
    if (!task.episode) return;
    const { step, progress, ending, messages } = task.episode;
    cell.append(make("div", "meta", `step ${step}: progress ${fixed(progress)}, ending: ${ending}`));
    const log = make("div", "log");
    log.tabIndex = 0;
    log.setAttribute("role", "region");
    log.setAttribute("aria-label", "episode");
    for (const [role, text] of messages) {
      log.append(make("div", "role", role));
      const line = make("div", "code", text);
      if (role === "user" || role === "error") line.classList.add(role);
      log.append(line);
    }
    cell.append(log);
  }

  function show(id) {
    const task = data.browser.tasks[id];
    const parent = data.browser.tasks[task.parent];
    const sides = parent ? [["parent", parent], ["variant", task]] : [["task", task]];
    const detail = document.getElementById("detail");
    detail.replaceChildren(row(parent ? "Parent and variant" : "Task", sides, head));
    const turns = Math.max(...sides.map(([, side]) => side.turns.length));
    for (let i = 0; i < turns; i++) {
      detail.append(row("Turn " + (i + 1), sides, (cell, side) => turn(cell, side.turns[i])));
    }
    detail.append(row("Life", sides, life), row("Groups", sides, rewards), row("Latest example episode", sides, episode));
    for (const button of document.querySelectorAll("#list button")) {
      button.setAttribute("aria-current", String(button.dataset.id === id));
      button.tabIndex = button.dataset.id === id ? 0 : -1;
    }
  }

  function browse() {
    const list = document.getElementById("list");
    if (!list) return;
    const tasks = data.browser.list.map((id) => data.browser.tasks[id]);
    const inputs = ["category", "state"].map((name) => {
      const input = document.getElementById(name);
      for (const value of ["all", ...new Set(tasks.map((task) => task[name]))]) input.append(make("option", "", value));
      return input;
    });
    const search = document.getElementById("search");
    const buttons = tasks.map((task) => {
      const item = make("li");
      const button = make("button");
      button.type = "button";
      button.dataset.id = task.id;
      const said = (task.turns.find((found) => found.user) || { user: "" }).user;
      const first = task.first === null ? "" : ` · first mean ${fixed(task.first)}`;
      button.append(make("span", "excerpt", said), make("span", "small", `${task.category} · ${task.state}${first}`));
      button.addEventListener("click", () => show(task.id));
      item.append(button);
      list.append(item);
      const words = task.turns.flatMap((found) => [found.user, ...found.calls]);
      return { task, item, button, text: [task.id, task.parent, ...words].join("\n").toLowerCase() };
    });
    const visible = () => buttons.filter(({ item }) => !item.hidden);

    function filter() {
      const wanted = search.value.trim().toLowerCase();
      for (const { task, item, text } of buttons) {
        item.hidden = inputs.some((input) => input.value !== "all" && input.value !== task[input.id]) || !text.includes(wanted);
      }
      const shown = visible();
      document.getElementById("count").textContent = `${shown.length} of ${tasks.length} tasks`;
      if (shown.length && !shown.some(({ button }) => button.tabIndex === 0)) shown[0].button.tabIndex = 0;
    }
    for (const input of [...inputs, search]) input.addEventListener("input", filter);
    list.addEventListener("keydown", (event) => {
      const shown = visible().map(({ button }) => button);
      const at = shown.indexOf(document.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
      if (to === undefined || !shown[to]) return;
      event.preventDefault();
      shown[to].focus();
    });
    show(tasks[0].id);
    filter();
  }

  browse();
  draw();
  dark.addEventListener("change", draw);
})();
