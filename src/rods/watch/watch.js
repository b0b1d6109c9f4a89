"use strict";
// Brings a page up to date while its run goes on. Without scripts the pages work too, by reloading.
(() => {
  const EVERY = 2000; // milliseconds
  const body = document.body;
  const live = document.getElementById("live");
  const pause = document.getElementById("pause");
  const parts = () => document.querySelectorAll("[data-live]");

  // What a person has opened stays open, and a part that they are reading is left for later.
  function swap(old, fresh) {
    if (old.innerHTML === fresh.innerHTML) return true;
    if (old.contains(document.activeElement) || old.matches(":hover")) return false;
    const opened = [...old.querySelectorAll("details")].map((part) => part.open);
    const moved = [...old.querySelectorAll(".scroll")].map((part) => [part.scrollLeft, part.scrollTop]);
    old.replaceChildren(...fresh.childNodes);
    old.querySelectorAll("details").forEach((part, i) => (part.open = Boolean(opened[i])));
    old.querySelectorAll(".scroll").forEach((part, i) => moved[i] && part.scrollTo(...moved[i]));
    return true;
  }

  async function refresh(version) {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (page.querySelectorAll("[data-live]").length !== parts().length || !page.querySelector("#live-head") !== !document.querySelector("#live-head")) {
      document.getElementById("main").replaceChildren(...page.getElementById("main").childNodes);
      body.dataset.version = version;
      return;
    }
    let all = true;
    for (const old of parts()) all = swap(old, page.getElementById(old.id)) && all;
    if (all) body.dataset.version = version;
  }

  async function look() {
    try {
      const found = await (await fetch("/versions")).json();
      const version = body.dataset.run ? found.runs[body.dataset.run] : found.all;
      live.textContent = "live";
      if (version !== body.dataset.version) await refresh(version);
    } catch {
      live.textContent = "the server of this page does not answer";
    }
  }

  async function go() {
    if (!document.hidden && pause.getAttribute("aria-pressed") === "false") await look();
    setTimeout(go, EVERY);
  }

  if (!parts().length) return;
  pause.hidden = false;
  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") === "false";
    pause.setAttribute("aria-pressed", String(paused));
    live.textContent = paused ? "paused" : "live";
  });
  setTimeout(go, EVERY);
})();
