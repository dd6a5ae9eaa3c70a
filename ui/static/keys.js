// Keys: j and k move in the first table, Enter opens, / searches, . loads new rows, a shows what
// happened around an event, g then a letter goes.
// Nothing happens while a person types or an input method composes; no key changes anything.

function isTyping(event) {
  if (event.isComposing || event.keyCode === 229) return true;
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  const at = event.target;
  return at instanceof Element && at.closest("input, textarea, select, [contenteditable]") !== null;
}

export function startKeys(page) {
  let chosen = -1;
  let isGoing = false;

  const rows = () => [...page.querySelectorAll("tr[data-href]")];
  const choose = (step) => {
    const all = rows();
    if (all.length === 0) return;
    if (chosen >= 0 && all[chosen]) all[chosen].classList.remove("chosen");
    chosen = Math.min(Math.max(chosen + step, 0), all.length - 1);
    all[chosen].classList.add("chosen");
    all[chosen].scrollIntoView({ block: "nearest" });
    const link = all[chosen].querySelector("a");
    if (link) link.focus({ preventScroll: true });
  };

  page.addEventListener("keydown", (event) => {
    if (isTyping(event)) return;
    if (isGoing) {
      isGoing = false;
      const link = [...page.querySelectorAll(".rail a[data-key]")].find((one) => one.dataset.key === event.key);
      if (link) link.click();
      return;
    }
    switch (event.key) {
      case "j": choose(1); break;
      case "k": choose(-1); break;
      case "g": isGoing = true; break;
      case "a": {
        const row = chosen >= 0 ? rows()[chosen] : null;
        const address = row && row.closest("table.hits") ? `${row.dataset.href}/around` : null;
        const link = page.querySelector("a[data-around]");
        if (address) window.location.assign(address);
        else if (link) link.click();
        break;
      }
      case "/": {
        const field = page.querySelector("#q") || page.querySelector("#quick");
        if (field) { event.preventDefault(); field.focus(); field.select(); }
        break;
      }
      case ".": {
        const news = page.querySelector(".news:not([hidden]) a");
        if (news) news.click();
        break;
      }
      default:
    }
  });
}
