// Buttons that copy what stands in an element, to the last line feed. Hidden where there is no JavaScript:
// the text can be chosen with one click all the same.

// Over plain HTTP there is no navigator.clipboard: the older way goes through a field.
async function copied(page, text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { /* not allowed here: the older way may be */ }
  }
  const field = page.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  page.body.append(field);
  field.select();
  const isDone = page.execCommand("copy");
  field.remove();
  return isDone;
}

export function startCopy(page) {
  for (const button of page.querySelectorAll("button[data-copy]")) {
    const from = page.getElementById(button.dataset.copy);
    const said = button.nextElementSibling;
    if (!from || !said) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      said.textContent = (await copied(page, from.textContent)) ? said.dataset.done : said.dataset.not;
      button.focus();
    });
  }
}
