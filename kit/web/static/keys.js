// The shortcuts of the page, which are ChatGPT's, and the list that shows them.

import { copy } from "./copy.js";
import { $, el } from "./dom.js";

const MAC = /^(Mac|iP)/.test(navigator.platform);
const SIGNS = MAC ? { mod: "⌘", shift: "⇧", Escape: "esc" } : { mod: "Ctrl", shift: "Shift", Escape: "Esc" };

const shortcuts = (page) => [
  { keys: ["mod", "shift", "O"], words: "New chat", run: () => page.begin().then(() => $("text").focus()) },
  { keys: ["mod", "K"], words: "Search chats", run: () => $("search").focus(), isThere: () => Boolean($("search")) },
  { keys: ["shift", "Escape"], words: "Write a message", run: () => $("text").focus() },
  { keys: ["Escape"], words: "Stop the answer" }, // the page does, if nothing else is open
  { keys: ["mod", "shift", "C"], words: "Copy the last answer", run: () => copied("answer", page.transcript?.answered()) },
  { keys: ["mod", "shift", ";"], words: "Copy the last code", run: () => copied("code", [...$("log").querySelectorAll(".code pre")].at(-1)?.textContent) },
  { keys: ["mod", "/"], words: "Show the shortcuts", run: show },
  { keys: ["?"], words: "The same, while you are not writing", run: show },
];

let told;

async function copied(what, text) {
  told ||= document.body.appendChild(el("div", { id: "told", role: "status" }));
  told.textContent = !text ? `There is no ${what} yet` : (await copy(text)) ? `Copied the last ${what}` : "Not copied";
  clearTimeout(told.timer);
  told.timer = setTimeout(() => { told.textContent = ""; }, 2500);
}

// Letters are where they are on a keyboard of another script; signs are typed with Shift on some.
function isPressed(event, keys) {
  const key = keys.at(-1);
  const isLetter = /^[A-Z]$/.test(key);
  const isSign = !isLetter && key.length === 1;
  const isSame = event.key.toUpperCase() === key.toUpperCase() || event.code === (key === ";" && "Semicolon")
    || (isLetter && !/^[a-z]$/i.test(event.key) && event.code === `Key${key}`);
  return isSame && !event.altKey && (MAC ? event.metaKey : event.ctrlKey) === keys.includes("mod")
    && (isSign && !keys.includes("shift") ? true : event.shiftKey === keys.includes("shift"));
}

const isWriting = (target) => target.matches?.("input:not([type=checkbox], [type=radio]), textarea, select");

export function listen(page) {
  const all = shortcuts(page);
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.repeat) return;
    const found = all.find((one) => one.run && (one.isThere?.() ?? true) && isPressed(event, one.keys));
    if (!found || (found.keys[0] === "?" && isWriting(event.target))) return;
    if (document.querySelector("dialog[open]")) return; // what is open comes first
    event.preventDefault();
    found.run();
  }, { capture: true });
  const rows = () => all.filter((one) => one.isThere?.() ?? true).flatMap((one) => [
    el("dt", {}, one.keys.flatMap((key, at) => [at ? " " : "", el("kbd", {}, SIGNS[key] || key)])), el("dd", {}, one.words)]);
  const list = el("dl", {});
  const close = el("button", { class: "plain", type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = el("dialog", { id: "keys", "aria-labelledby": "keys-title" },
    el("h2", { id: "keys-title" }, "Shortcuts"), list, el("div", { class: "row end" }, close));
  dialog.addEventListener("beforetoggle", () => list.replaceChildren(...rows()));
  document.body.append(dialog);
  document.querySelector("#side .foot").append(el("button", { class: "plain", id: "show-keys", onclick: show }, "Shortcuts"));
}

function show() {
  $("keys").showModal();
}
