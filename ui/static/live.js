// Live counters over one stream. New alerts wait behind a bar: no row moves under the reader.

export function startLive(page) {
  // A page that waits for a source asks for it on the same stream.
  const waiting = page.querySelector(".waiting");
  const address = waiting ? waiting.dataset.live : page.body.dataset.live;
  if (!address || typeof EventSource === "undefined") return;
  const number = new Intl.NumberFormat(page.documentElement.lang);
  const shownTotal = Number(page.body.dataset.alertsTotal || "0");
  const stream = new EventSource(address);
  stream.addEventListener("counters", (event) => {
    let counters;
    try { counters = JSON.parse(event.data); } catch { return; }
    for (const place of page.querySelectorAll("[data-counter]")) {
      const value = counters[place.dataset.counter];
      if (typeof value !== "number") continue;
      place.textContent = number.format(value);
      if (place.dataset.zero === "hide") place.hidden = value === 0;
    }
    const fresh = counters.alerts_total - shownTotal;
    for (const bar of page.querySelectorAll(".news")) {
      bar.hidden = !(fresh > 0);
      const place = bar.querySelector("[data-new]");
      if (place) place.textContent = number.format(fresh);
    }
  });
  stream.addEventListener("arrived", (event) => {
    if (!waiting) return;
    const place = waiting.querySelector("[data-arrived]");
    place.textContent = event.data;
    place.hidden = false;
    waiting.querySelector("[data-waiting]").hidden = true;
  });
  window.addEventListener("pagehide", () => stream.close());
}
