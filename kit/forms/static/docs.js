// The page at /docs: every operation of the plugin that serves it, each with its form.

import { $, el, jsonValue, visible } from "./dom.js";
import { sender } from "./direct.js";
import { OperationForm } from "./form.js";

const MANY = 10; // operations from which on they can be searched

const page = jsonValue($("about").textContent);
// The plugin may be served below a path, such as that of a proxy: the page knows its own.
const base = new URL(location.href.split(/[?#]/)[0].replace(/\/$/, "").slice(0, -page.path.length) || "/", location.href).href.replace(/\/$/, "");

function section(about) {
  about.source = `kit.install(${JSON.stringify(base)}${about.wants ? ', auth=os.environ["KIT_TOKEN"]' : ""})`;
  const body = el("div", {});
  const summary = el("summary", {}, el("code", { class: "method" }, about.method), " ", el("strong", {}, about.operation), " ",
    el("code", { class: "path" }, about.path), " ", el("span", { class: "quiet" }, about.summary), about.deprecated ? el("span", { class: "bad" }, " deprecated") : "");
  const node = el("details", { id: about.operation, class: "section" }, summary, body);
  node.addEventListener("toggle", () => {
    if (node.open && !body.childElementCount) body.append(new OperationForm(about, sender(about, base)).node);
  });
  node.words = [about.operation, about.method, about.path, about.text].join(" ").toLowerCase();
  return node;
}

const sections = page.operations.map(section);
$("operations").replaceChildren(...sections);
const found = el("p", { role: "status", class: "quiet" });
if (sections.length >= MANY) {
  const search = el("input", { type: "search", id: "search", autocomplete: "off" });
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/);
    for (const node of sections) node.hidden = !words.every((word) => node.words.includes(word));
    found.textContent = visible(`${sections.filter((node) => !node.hidden).length} of ${sections.length} operations`);
  });
  $("operations").before(el("label", { for: "search" }, "Search"), search, found);
}
function jump() {
  const node = sections.length === 1 ? sections[0] : document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!node?.matches("details")) return;
  node.open = true;
  node.scrollIntoView();
}
window.addEventListener("hashchange", jump);
jump();
