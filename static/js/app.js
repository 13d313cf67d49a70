// What HTML, CSS and htmx can't do alone. Without this script every link still opens its page.

// ---- Links carry the whole state: tab, range and month. A fragment knows only the state in which it was
// rendered; the address bar knows what was swapped since. So each group of links sets its own parameter
// and takes all others from the address bar.
const linkGroup = (element) => element?.closest?.("[data-param]");

function stateWith(url, param) {
  const own = new URL(url, location).searchParams.get(param);
  const state = new URLSearchParams(location.search);
  if (own === null) state.delete(param);
  else state.set(param, own);
  const query = state.toString();
  return new URL(url, location).pathname + (query ? `?${query}` : "");
}

function updateLinks() {
  for (const group of document.querySelectorAll("[data-param]")) {
    for (const link of group.querySelectorAll("a[hx-get]")) {
      const page = stateWith(link.getAttribute("href"), group.dataset.param);
      if (page === link.getAttribute("href")) continue;
      link.setAttribute("href", page);
      link.setAttribute("hx-push-url", page);
      link.setAttribute("hx-get", stateWith(link.getAttribute("hx-get"), group.dataset.param));
      htmx.process(link);
    }
  }
}

document.addEventListener("htmx:beforeHistoryUpdate", ({ detail }) => {
  const group = linkGroup(detail.elt);
  if (group) detail.history.path = stateWith(detail.history.path, group.dataset.param);
});
document.addEventListener("htmx:afterSettle", updateLinks);

// On a phone the row of tabs may be wider than the screen: scroll the open one into view.
function showOpenTab() {
  const row = document.querySelector(".tabs");
  if (!row) return;
  const [open, seen] = [row.querySelector("[aria-current]").getBoundingClientRect(), row.getBoundingClientRect()];
  if (open.left < seen.left || open.right > seen.right) row.scrollLeft += open.left - seen.left - 16;
}
document.addEventListener("htmx:afterSettle", showOpenTab);
showOpenTab();

// Some links disappear once they are followed: move the focus to a neighbour.
const FOCUS_AFTER = [["month-present", "#month-previous"], ["show-all", "#state-all"], ["by-sort-", "#sorting summary"]];
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  const followed = detail.requestConfig?.elt?.id;
  const next = followed && FOCUS_AFTER.find(([id]) => followed.startsWith(id));
  if (next) document.querySelector(next[1])?.focus({ preventScroll: true });
});

// Drop a response whose target has been replaced in the meantime.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!document.contains(event.detail.target)) event.detail.shouldSwap = false;
});

// Back and Forward reload the page: it may have changed, or the session may have ended.
document.addEventListener("htmx:historyCacheMiss", (event) => {
  event.preventDefault();
  location.reload();
});

// Back or Forward pressed before this script ran changed only the address: load its page.
const loaded = performance.getEntriesByType("navigation")[0];
if (loaded && loaded.name.split("#")[0] !== location.href.split("#")[0]) location.reload();

// ---- When a swap fails: say so, offer to try again, and mark the part as out of date.
const alertBox = () => document.getElementById("alert");

// What polls recovers from a failure by itself; only lost access needs a message.
const polls = (element) => element.getAttribute?.("hx-trigger")?.startsWith("every ");

function fail(event, message) {
  const { elt, target, xhr } = event.detail;
  if (polls(elt) && xhr?.status !== 404) return;
  target?.setAttribute("data-stale", "");
  const box = alertBox();
  box.querySelector("p").textContent = `${message} The page may be out of date.`;
  box.hidden = false;
  box.querySelector("button").onclick = () => {
    box.hidden = true;
    if (document.contains(elt) && !polls(elt)) elt.click();
    else location.reload();
  };
}

document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  fail(event, status === 404 ? "You no longer have access to this product." : `The server returned an error (${status}).`);
});
document.addEventListener("htmx:sendError", (event) => fail(event, "The server can't be reached."));
document.addEventListener("htmx:timeout", (event) => fail(event, "The server is taking too long to respond."));
document.addEventListener("htmx:afterSwap", () => { alertBox().hidden = true; });

// ---- The daily chart is one Tab stop: arrow keys move from day to day, Escape hides the tooltip.
const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

function moveTo(day) {
  for (const other of day.parentElement.querySelectorAll(".day")) other.tabIndex = -1;
  day.tabIndex = 0;
  day.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    document.querySelector("[data-plot]")?.setAttribute("data-quiet", "");
    return;
  }
  const day = event.target.closest?.(".day");
  if (!day || !(event.key in STEPS) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const days = [...day.parentElement.querySelectorAll(".day")];
  const next = Math.min(Math.max(days.indexOf(day) + STEPS[event.key], 0), days.length - 1);
  moveTo(days[next]);
});

function showTooltips(event) {
  event.target.closest?.(".day")?.parentElement.removeAttribute("data-quiet");
}
document.addEventListener("pointerover", showTooltips);
document.addEventListener("focusin", showTooltips);

// ---- Add a copy button to code where the browser allows writing to the clipboard.
for (const code of navigator.clipboard ? document.querySelectorAll("[data-copy]") : []) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button-quiet";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  const row = document.createElement("div");
  row.className = "copied";
  code.replaceWith(row);
  row.append(code, button);
}
