// Name the controls that Django's admin leaves without an accessible name, after their column, row or label.
const text = (element) => element?.textContent.replace(/\s+/g, " ").trim() ?? "";

function column(cell) {
  const heads = cell.closest("table").querySelectorAll("thead th");
  return text(heads[[...cell.parentElement.cells].indexOf(cell)]);
}

function nameOf(control) {
  const cell = control.closest("td");
  if (cell) return [column(cell), text(cell.parentElement.querySelector("th, .original p"))].filter(Boolean).join(", ");
  const row = control.closest(".form-row");
  const part = control.closest(".date-icon, .vTimeField") ? "time" : control.matches(".vDateField") ? "date" : "";
  return [text(row?.querySelector("label, legend")).replace(/:$/, ""), part].filter(Boolean).join(", ");
}

function nameAll() {
  for (const control of document.querySelectorAll("td :is(input, select, textarea), .vDateField, .vTimeField")) {
    if (control.type !== "hidden" && !control.labels?.length && !control.ariaLabel) control.ariaLabel = nameOf(control);
  }
  for (const box of document.querySelectorAll(".select2-selection, .select2-selection__rendered")) {
    box.removeAttribute("aria-labelledby");
    box.ariaLabel = nameOf(box);
  }
  for (const tip of document.querySelectorAll(".help-tooltip[aria-label]")) tip.role = "img";
  for (const icon of document.querySelectorAll(".datetimeshortcuts span[title]")) icon.parentElement.ariaLabel = icon.title;
  for (const head of document.querySelectorAll("th.original:empty")) head.outerHTML = "<td></td>";
}

// The admin adds search fields, rows and calendars later.
nameAll();
new MutationObserver(nameAll).observe(document.body, { childList: true, subtree: true });
