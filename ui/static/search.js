// Goes on with a search that showed its newest part: new rows come below, numbers change where they stand, and a
// button stops it. Leaving the page closes the connection, and the server stops searching.

// One row of the table of events, from plain text.
export function rowOf(page, hit) {
  const row = page.createElement("tr");
  const address = `/events/${encodeURIComponent(hit.id)}`;
  row.dataset.href = address;
  const when = page.createElement("td");
  when.className = "when";
  const link = page.createElement("a");
  link.href = address;
  link.textContent = hit.at;
  when.append(link);
  row.append(when);
  for (const name of ["host", "dataset", "user"]) {
    const cell = page.createElement("td");
    cell.textContent = hit[name];
    row.append(cell);
  }
  const text = page.createElement("td");
  text.className = "text";
  const code = page.createElement("code");
  code.textContent = hit.text;
  text.append(code);
  row.append(text);
  return row;
}

async function eachLine(response, act) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += decoder.decode(value || new Uint8Array(), { stream: !done });
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line) act(JSON.parse(line));
    }
    if (done) return;
  }
}

export function startSearch(page) {
  const box = page.querySelector("[data-parts]");
  if (!box || typeof AbortController === "undefined") return;
  const said = box.querySelector("[data-said]");
  const stop = box.querySelector("[data-stop]");
  const all = box.querySelector("[data-all]");
  const body = page.querySelector("table.hits tbody");
  const control = new AbortController();
  let isOver = false;

  const end = (text, isWhole = false) => {
    isOver = true;
    if (text) said.textContent = text;
    stop.disabled = true;
    // What was stopped or broke off can be searched to the end.
    all.hidden = isWhole;
  };
  stop.addEventListener("click", () => {
    if (isOver) return;
    end(`${said.textContent} · ${box.dataset.stopped}`);
    control.abort();
  });
  window.addEventListener("pagehide", () => control.abort());
  all.hidden = true;
  stop.hidden = false;

  const take = (part) => {
    if (isOver) return;
    if (part.type === "rows") {
      // Below what is there: nothing under the reader's eyes moves.
      if (body) body.append(...part.rows.map((hit) => rowOf(page, hit)));
    } else if (part.type === "progress") {
      said.textContent = part.text;
    } else if (part.type === "error") {
      end(`${box.dataset.failed} ${part.message}`);
    } else if (part.type === "end") {
      const total = page.querySelector("[data-total]");
      if (total) total.textContent = part.total;
      const bars = [...page.querySelectorAll("svg.bars a")];
      part.bars.forEach((bar, at) => {
        if (!bars[at]) return;
        const rect = bars[at].querySelector("rect.bar");
        rect.setAttribute("y", bar.y);
        rect.setAttribute("height", bar.height);
        bars[at].querySelector("title").textContent = bar.title;
      });
      const next = page.querySelector(".pager a[rel=next]");
      if (next && part.next) next.href = part.next;
      else if (next) next.closest(".pager").classList.add("over");
      const none = page.querySelector("[data-none]");
      if (none && part.none) none.hidden = false;
      end(part.text, true);
    }
  };
  fetch(box.dataset.parts, { signal: control.signal, credentials: "same-origin" })
    .then(async (response) => {
      if (!response.ok || !response.body) throw new Error(String(response.status));
      await eachLine(response, take);
      if (!isOver) end(box.dataset.failed);
    })
    .catch(() => { if (!isOver) end(box.dataset.failed); });
}
