// Starts what makes a page nicer; every page works without any of it.
import { startCopy } from "./copy.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startSearch } from "./search.js";
import { startTail } from "./tail.js";

startCopy(document);
startKeys(document);
startLive(document);
startSearch(document);
startTail(document);

// A range chosen by hand: dates typed in mean "from – to".
for (const field of document.querySelectorAll(".query input[type=datetime-local]")) {
  field.addEventListener("change", () => {
    const range = document.querySelector(".query select[name=range]");
    if (range) range.value = "-";
  });
}

// Only one small form is open at a time, and Escape closes it.
document.addEventListener("click", (event) => {
  for (const pop of document.querySelectorAll("details.pop[open]")) {
    if (!pop.contains(event.target)) pop.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const pop of document.querySelectorAll("details.pop[open]")) pop.open = false;
  }
});
