// What the page does beyond its forms and links: pausing updates, keys in the inbox, relative times, plots. Everything works without it.
"use strict";
(() => {
  const every = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  // ---- updates can be paused: whoever reads does not have the page move under their eyes
  const pause = document.getElementById("pause");
  const PAUSED = "syncd-paused";
  let paused = false;
  try { paused = sessionStorage.getItem(PAUSED) === "yes"; } catch { /* no storage: not paused */ }
  const showPause = () => {
    if (!pause) return;
    pause.hidden = !document.querySelector("[data-live]");
    pause.setAttribute("aria-pressed", String(paused));
  };
  if (pause) {
    pause.addEventListener("click", () => {
      paused = !paused;
      try { sessionStorage.setItem(PAUSED, paused ? "yes" : "no"); } catch { /* it lasts as long as the page */ }
      showPause();
    });
  }
  document.addEventListener("htmx:beforeRequest", (event) => {
    const source = event.target;
    if (!(source instanceof Element) || !source.hasAttribute("data-live")) return;
    const within = source.contains(document.activeElement) && document.activeElement !== document.body;
    if (paused || document.hidden || within) event.preventDefault();
  });

  // ---- times grow old
  const SIZES = [[86400, "d"], [3600, "h"], [60, "min"]];
  const span = (seconds) => {
    for (const [size, unit] of SIZES) {
      if (seconds >= 2 * size || (seconds >= size && unit !== "min")) return `${Math.round(seconds / size)} ${unit}`;
    }
    return `${Math.round(seconds)} s`;
  };
  const showTimes = () => {
    for (const each of every("time[datetime]")) {
      const seconds = (Date.now() - Date.parse(each.getAttribute("datetime"))) / 1000;
      if (Number.isNaN(seconds)) continue;
      const words = Math.abs(seconds) < 1 ? "now" : seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
      if (each.textContent !== words) each.textContent = words;
    }
    for (const each of every("time[data-unix]")) {
      const at = new Date(Number(each.dataset.unix) * 1000);
      each.dateTime = at.toISOString();
      each.title = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
      delete each.dataset.unix;
    }
  };
  setInterval(() => { if (!paused && !document.hidden) showTimes(); }, 10000);

  // ---- the inbox by keys; only while an entry is in focus, so that no key does anything by accident
  const entries = () => every("[data-entry]");
  const go = (from, step) => {
    const all = entries();
    const next = all[Math.min(Math.max(all.indexOf(from) + step, 0), all.length - 1)];
    if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
  };
  const typing = (element) => element.matches("input:not([type=checkbox]), select, textarea");
  document.addEventListener("keydown", (event) => {
    const entry = event.target instanceof Element ? event.target.closest("[data-entry]") : null;
    if (!entry || typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const focus = (element) => { if (element) { element.focus(); event.preventDefault(); } };
    switch (event.key) {
      case "j": go(entry, 1); break;
      case "k": go(entry, -1); break;
      case "x": { const tick = entry.querySelector("[data-tick]"); if (tick) { tick.click(); event.preventDefault(); } break; }
      case "r": focus(entry.querySelector("[data-first]")); break;
      case "f": focus(entry.querySelector("[data-second]")); break;
      default: if (/^[1-9]$/.test(event.key)) focus(every("[data-take]", entry)[Number(event.key) - 1]);
    }
  });
  const prepareInbox = () => {
    const all = document.querySelector("[data-all]");
    if (all) {
      all.hidden = false;
      document.querySelector("[data-all-name]").hidden = false;
      all.addEventListener("change", () => { for (const tick of every("[data-tick]")) tick.checked = all.checked; });
    }
    if (entries().length) entries()[0].tabIndex = 0;
  };
  document.addEventListener("htmx:afterSwap", (event) => {
    const swapped = event.detail.elt;
    if (swapped instanceof Element && swapped.matches("[data-entry]")) { swapped.tabIndex = 0; swapped.focus(); }
    if (swapped instanceof Element && swapped.id === "why") { swapped.tabIndex = -1; swapped.focus(); }
    const lines = document.getElementById("lines");
    if (lines) {
      while (lines.rows.length > 500) lines.deleteRow(-1);
      const none = document.getElementById("no-lines");
      if (none && lines.rows.length > 1) none.remove();
    }
    showPause();
  });
  // An error comes as a whole page; what matters of it is shown where the person is.
  document.addEventListener("htmx:responseError", (event) => {
    const told = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html").querySelector(".notice");
    const box = document.createElement("p");
    box.className = "notice bad";
    box.setAttribute("role", "alert");
    box.textContent = told ? told.textContent.trim() : `The answer was ${event.detail.xhr.status}.`;
    const place = event.detail.elt.closest("[data-entry]") || document.getElementById("main");
    for (const old of every(":scope > .notice.bad", place)) old.remove();
    place.prepend(box);
  });

  // ---- plots
  const drawn = [];
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    return { ink: get("--quiet"), grid: get("--line"), lines: [get("--accent"), get("--b-held"), get("--good"), get("--quiet"), get("--bad")] };
  };
  const draw = (figures) => {
    const { ink, grid, lines } = colours();
    for (const plot of drawn.splice(0)) plot.destroy();
    // Times of the axis as everywhere on the page: UTC, 24 hours.
    const two = (number) => String(number).padStart(2, "0");
    const clock = (self, ticks, index, space, step) => ticks.map((tick) => {
      const at = new Date(tick * 1000);
      const day = `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
      return step >= 86400 || (at.getUTCHours() === 0 && at.getUTCMinutes() === 0) ? day : `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
    });
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: "12px system-ui" };
    const seconds = (self, values) => values.map((value) => (value === null ? "" : value < 120 ? `${+value.toFixed(2)} s` : `${+(value / 60).toFixed(1)} min`));
    const kinds = {
      writes: [Object.entries(figures.writes), (self, values) => values.map((value) => (Number.isInteger(value) ? value : ""))],
      lag: [[["median", figures.lag.median], ["slowest 5 %", figures.lag.slowest]], seconds],
      walks: [Object.entries(figures.walks), seconds],
    };
    for (const place of every("[data-plot]")) {
      const [series, values] = kinds[place.dataset.plot];
      const bars = place.dataset.plot === "writes";
      drawn.push(new uPlot({
        width: place.clientWidth, height: 150, cursor: { y: false },
        scales: { y: { range: (self, low, high) => [0, Math.max(high || 0, 1)] } },
        tzDate: (tick) => uPlot.tzDate(new Date(tick * 1000), "Etc/UTC"),
        axes: [{ ...axis, space: 60, values: clock }, { ...axis, values, size: 60 }],
        series: [{ value: "{YYYY}-{MM}-{DD} {HH}:{mm}" }, ...series.map(([label], index) => ({
          label, stroke: lines[index % lines.length], width: 1.5, spanGaps: false,
          points: { show: !bars, size: 4 }, ...(bars ? { paths: uPlot.paths.stepped({ align: -1 }) } : {}),
        }))],
      }, [figures.times, ...series.map(([, numbers]) => numbers)], place));
    }
  };
  const preparePlots = () => {
    const box = document.querySelector("[data-figures]");
    if (!box || typeof uPlot === "undefined") return;
    let figures = null;
    const again = () => { if (figures) draw(figures); };
    fetch(box.dataset.figures, { headers: { accept: "application/json" } })
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
      .then((found) => { figures = found; again(); })
      .catch(() => { box.hidden = true; });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    let due = 0;
    addEventListener("resize", () => { clearTimeout(due); due = setTimeout(again, 150); });
  };

  const ready = () => { showPause(); showTimes(); prepareInbox(); preparePlots(); };
  if (document.readyState === "complete") ready(); else addEventListener("DOMContentLoaded", ready);
})();
