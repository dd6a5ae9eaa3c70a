// The live tail: lines come at the bottom of a box of their own. It follows only while the reader is at the bottom;
// a paused or hidden tail keeps nothing but a number, and closes its stream after a quarter of an hour out of sight.
import { rowOf } from "./search.js";

const ROWS_MAX = 1000;
const WAITING_MAX = 1000;
const HIDDEN_MS_MAX = 15 * 60 * 1000;

export function startTail(page) {
  const box = page.querySelector("[data-tail]");
  if (!box || typeof EventSource === "undefined") return;
  const words = box.dataset;
  const number = new Intl.NumberFormat(page.documentElement.lang);
  const body = box.querySelector("tbody");
  const said = page.querySelector("[data-said]");
  const dropped = page.querySelector("span[data-dropped]");
  const pause = page.querySelector("button[data-pause]");
  let waiting = [];
  let isPaused = false;
  let missed = 0;
  let hiddenSince = 0;

  const isAtEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const toEnd = () => { box.scrollTop = box.scrollHeight; };
  const draw = (rows) => {
    const follows = isAtEnd();
    body.append(...rows.map((hit) => rowOf(page, hit)));
    // The oldest go only while nobody reads up there.
    while (follows && body.rows.length > ROWS_MAX) body.deleteRow(0);
    while (!follows && body.rows.length > 2 * ROWS_MAX) body.deleteRow(body.rows.length - 1);
    if (follows) toEnd();
  };
  const say = () => {
    said.textContent = isPaused ? `${words.paused} · ${number.format(waiting.length)} ${words.waiting}` : words.running;
    dropped.textContent = missed > 0 ? `${number.format(missed)} ${words.dropped}` : "";
  };
  const stream = new EventSource(words.tail);
  stream.addEventListener("open", say);
  stream.addEventListener("error", () => { said.textContent = words.lost; });
  stream.addEventListener("hits", (event) => {
    const rows = JSON.parse(event.data);
    if (isPaused) {
      waiting.push(...rows);
      missed += Math.max(0, waiting.length - WAITING_MAX);
      waiting = waiting.slice(-WAITING_MAX);
    } else {
      draw(rows);
    }
    say();
  });
  stream.addEventListener("dropped", (event) => {
    const count = JSON.parse(event.data);
    missed += count.left_out + count.not_looked_at;
    say();
  });
  const turn = () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? words.resume : words.pause;
    if (!isPaused) {
      draw(waiting);
      waiting = [];
      toEnd();
    }
    say();
  };
  pause.hidden = false;
  pause.addEventListener("click", turn);
  page.addEventListener("keydown", (event) => {
    const at = event.target;
    const isTyping = event.isComposing || event.keyCode === 229 || event.ctrlKey || event.metaKey || event.altKey
      || (at instanceof Element && at.closest("input, textarea, select, [contenteditable]") !== null);
    if (event.key === "p" && !isTyping) turn();
  });
  const watch = window.setInterval(() => {
    if (!page.hidden) hiddenSince = 0;
    else if (hiddenSince === 0) hiddenSince = Date.now();
    else if (Date.now() - hiddenSince > HIDDEN_MS_MAX) {
      stream.close();
      window.clearInterval(watch);
      said.textContent = words.idle;
    }
  }, 10000);
  window.addEventListener("pagehide", () => stream.close());
  toEnd();
}
