// The focus never falls to the body: when what has it goes, its like gets it, else the message field.

import { $ } from "./dom.js";

const name = (node) => node.getAttribute("aria-label") || node.textContent;

let last = null;

// What has the focus, and how to know it again in a list that is drawn anew.
function note(node) {
  last = { node, id: node.id, home: node.parentElement?.closest("[id]")?.id, tag: node.localName, name: name(node) };
}

const isGone = (node) => !node.isConnected || node.disabled || node.closest("[hidden], dialog:not([open])");

function next() {
  const home = last.home && $(last.home);
  const likes = [last.id && $(last.id), ...(home ? home.querySelectorAll(last.tag) : [])];
  const like = likes.find((node) => node && (node.id === last.id && last.id || name(node) === last.name) && !isGone(node));
  if (like) return like;
  const dialog = document.querySelector("dialog[open]");
  if (dialog) dialog.tabIndex = -1;
  return dialog || $("text");
}

function check() {
  if (!document.hasFocus()) return; // in a notebook's frame it would take the focus from a cell
  const now = document.activeElement;
  if (!last || (now !== document.body && now !== last.node) || !isGone(last.node)) return;
  next().focus({ preventScroll: true });
}

export function keepFocus() {
  document.addEventListener("focusin", (event) => note(event.target));
  // a click beside everything takes the focus away on purpose
  document.addEventListener("pointerdown", () => { last = null; }, { capture: true });
  window.addEventListener("focus", check);
  new MutationObserver(check).observe(document.body, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["hidden", "disabled", "open"],
  });
}
