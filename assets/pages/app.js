// What the pages do beyond reading: copy buttons, times in words, and regions that follow what happens. Without it every page still works.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const label = button.firstChild;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    label.data = "Copied";
  } catch {
    label.data = "Not allowed";
  }
  setTimeout(() => { label.data = "Copy"; }, 1500);
});

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
function speak(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const seconds = Math.round((new Date(time.dateTime) - Date.now()) / 1000);
    const size = Math.abs(seconds);
    const [value, unit] = size < 60 ? [seconds, "second"] : size < 3600 ? [seconds / 60, "minute"] : size < 86400 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"];
    time.title = `${relative.format(Math.round(value), unit)}, ${new Date(time.dateTime).toLocaleString()} here`;
  }
}
speak(document);

// Live regions: the page is asked for again, most often unchanged (304), and its regions are put in place of the old ones. A region in which
// somebody works is left alone.
const EVERY = 5000;
let tag = null;
async function refresh() {
  const regions = [...document.querySelectorAll("[data-live]")];
  if (document.visibilityState === "visible" && regions.length) {
    try {
      const answer = await fetch(location.pathname + location.search, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (answer.status === 200 && !answer.redirected) {
        tag = answer.headers.get("ETag");
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const region of regions) {
          const next = page.getElementById(region.id);
          const busy = region.contains(document.activeElement) || region.querySelector("details[open]") || !getSelection().isCollapsed;
          if (!next || busy || next.innerHTML === region.dataset.seen) continue;
          next.dataset.seen = next.innerHTML;
          region.replaceWith(next);
          for (const button of next.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
          speak(next);
        }
      } else if (answer.redirected) {
        return;
      }
    } catch {
      // The appliance may be restarting; the next round tells.
    }
  }
  setTimeout(refresh, EVERY);
}
if (document.body.hasAttribute("data-signed-in")) setTimeout(refresh, EVERY);
