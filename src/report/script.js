"use strict";

// What a cell is sorted by: a number, or its text; null is nothing, which comes last either way.
function orderOf(row, column) {
  const cell = row.cells[column];
  const order = cell.dataset.order;
  if (order === undefined) return cell.textContent.trim().toLowerCase();
  return order === "" ? null : Number(order);
}

function compare(left, right) {
  return typeof left === "string" ? left.localeCompare(right) : left - right;
}

function sortBy(head) {
  const body = head.closest("table").tBodies[0];
  const column = head.cellIndex;
  const rows = Array.from(body.rows);
  if (!rows.length) return;
  const isText = orderOf(rows[0], column) !== null && typeof orderOf(rows[0], column) === "string";
  // Names from A, numbers from the largest; a second click turns that round.
  const first = isText ? "ascending" : "descending";
  const direction = head.getAttribute("aria-sort") === first ? (isText ? "descending" : "ascending") : first;
  const sign = direction === "ascending" ? 1 : -1;
  rows.sort((a, b) => {
    const left = orderOf(a, column), right = orderOf(b, column);
    if (left === null || right === null) return (left === null) - (right === null);
    return sign * compare(left, right);
  });
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  body.append(...rows);
}

for (const head of document.querySelectorAll("th")) head.addEventListener("click", () => sortBy(head));

// Says whether a table is wider than its box, and whether there is more of it to the right.
function markWidth(box) {
  box.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1);
  box.classList.toggle("more", box.scrollWidth > box.clientWidth + box.scrollLeft + 1);
}

const widths = new ResizeObserver(entries => entries.forEach(entry => markWidth(entry.target)));
for (const box of document.querySelectorAll(".scroll")) {
  widths.observe(box);
  box.addEventListener("scroll", () => markWidth(box));
  markWidth(box);
}

const large = document.getElementById("large");
for (const button of document.querySelectorAll(".zoom")) {
  button.addEventListener("click", () => {
    const shown = large.querySelector("img"), small = button.querySelector("img");
    shown.src = small.src;
    shown.alt = small.alt;
    large.className = button.classList.contains("natural") ? "natural" : "";
    large.showModal();
  });
}
large.addEventListener("click", () => large.close());
