// Copies text, in a frame too.

import { el, visible } from "./dom.js";

// Whether it is on the clipboard. What is not seen is copied as it is shown.
export async function copy(text) {
  const shown = visible(text);
  try {
    await navigator.clipboard.writeText(shown);
    return true;
  } catch {
    return copyFromField(shown); // a frame may not write to the clipboard, but may copy what is selected
  }
}

function copyFromField(text) {
  const held = document.activeElement;
  const field = el("textarea", { class: "unseen", "aria-hidden": "true", tabindex: "-1" });
  field.value = text;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  held?.focus({ preventScroll: true });
  return isCopied;
}

// A button that copies what `text` gives.
export function copier(what, text) {
  const said = el("span", { "aria-live": "polite" }, "Copy");
  return el("button", { class: "plain small copy", type: "button", onclick: async () => {
    said.textContent = (await copy(text())) ? "Copied" : "Not copied";
    setTimeout(() => { said.textContent = "Copy"; }, 2000);
  } }, said, el("span", { class: "unseen" }, ` ${what}`));
}
