// A model's Markdown as elements, while it comes: only the block at its end is drawn anew.
//
// markdown-it reads the same Markdown as markdown-it-py does in notebooks, makes no HTML of HTML, and takes linear time for
// texts that were made to hang others. Formulas become elements without text in between: the page allows no inline style.

import hljs from "./highlight.js";
import MarkdownIt from "./markdown-it.js";
import { tasklist } from "./markdown-it-tasklist.js";
import { tex } from "./markdown-it-tex.js";
import { copier } from "./copy.js";
import { $, visible } from "./dom.js";

const LONG = 20_000; // characters of code, above which it is not highlighted
const SIZE = [25, 25]; // em: nothing in a formula is larger, or moved further
const SHARE = 4; // of the time, drawing takes at most one part in so many

const md = new MarkdownIt({ html: false, linkify: true }).use(tasklist).use(tex, { delimiters: "all", mathFence: true, render: formula });
const { escapeHtml } = md.utils;
const { rules } = md.renderer;

md.linkify.set({ fuzzyLink: false, fuzzyEmail: false }); // "setup.py" is no address
md.validateLink = (url) => /^(https?:|mailto:)/i.test(url);

function formula(source, isBlock) {
  return isBlock ? `<div class="math wide">${escapeHtml(source)}</div>` : `<span class="math">${escapeHtml(source)}</span>`;
}

rules.link_open = (tokens, at) => {
  const url = escapeHtml(tokens[at].attrGet("href"));
  return `<a href="${url}" title="${url}" target="_blank" rel="noopener noreferrer">`; // where it leads, whatever it says
};
// No picture is fetched: that would tell another server what was said here.
rules.image = (tokens, at) => {
  const url = escapeHtml(tokens[at].attrGet("src"));
  return `<a href="${url}" title="${url}" target="_blank" rel="noopener noreferrer">${escapeHtml(tokens[at].content) || url}</a>`;
};
rules.table_open = () => '<div class="table wide" dir="auto"><table>';
rules.table_close = () => "</table></div>";
for (const name of ["td_open", "th_open"]) {
  rules[name] = (tokens, at) => {
    const side = /right|center/.exec(tokens[at].attrGet("style") || "")?.[0];
    return `<${tokens[at].tag}${side ? ` class="${side}"` : ""}>`;
  };
}
rules.fence = rules.code_block = (tokens, at) => {
  const { content, info } = tokens[at];
  const language = md.utils.unescapeAll(info).trim().split(/\s+/)[0];
  const isKnown = hljs.getLanguage(language) && content.length < LONG;
  const html = isKnown ? hljs.highlight(content, { language, ignoreIllegals: true }).value : escapeHtml(content);
  return `<div class="code" dir="ltr"><div class="bar"><span>${escapeHtml(language)}</span></div><pre><code>${html}</code></pre></div>`;
};

// The tokens of each block of the text.
function blocks(tokens) {
  const found = [];
  for (const token of tokens) {
    if (token.level === 0 && token.nesting >= 0) found.push([]);
    found.at(-1).push(token);
  }
  return found;
}

function drawn(tokens, env) {
  tokens[0].attrSet("dir", "auto");
  const made = document.createElement("template");
  made.innerHTML = md.renderer.render(tokens, md.options, env);
  for (const node of made.content.querySelectorAll(".math")) math(node);
  return made.content;
}

function math(node) {
  const source = node.textContent;
  try {
    if (source.length > LONG) throw new Error("too long");
    window.temml.render(source, node, { displayMode: node.localName === "div", maxSize: SIZE, throwOnError: true });
  } catch {
    node.className = "";
    node.textContent = source; // as it was written
  }
}

let tasks = 0; // each box has a name of its own in the page

export class Markdown {
  constructor(node) {
    this.node = node;
    this.begin();
  }

  begin() {
    this.node.replaceChildren();
    this.source = ""; // what is not finished
    this.whole = ""; // what was drawn or will be
    this.env = {};
    this.last = []; // the nodes of the block at the end
    this.isNew = false;
    this.due = 0;
  }

  add(text) {
    this.source += text;
    this.whole += text;
    this.isNew = true;
  }

  // Whether all of it is drawn: not yet if drawing has taken its share of the time.
  draw() {
    if (!this.isNew) return true;
    const began = performance.now();
    if (began < this.due) return false;
    this.isNew = false;
    this.write(false);
    const now = performance.now();
    this.due = now + (SHARE - 1) * (now - began);
    return true;
  }

  // The text is whole.
  end(text) {
    // a link may have been said what it is below it, and an invisible character is judged by what follows it
    if (text !== this.whole || Object.keys(this.env.references || {}).length) {
      this.begin();
      this.add(text);
    }
    this.write(true);
  }

  write(isWhole) {
    this.env.tasklistId = tasks;
    const lines = this.source.split("\n");
    const found = blocks(md.parse(this.source, this.env));
    // A block is finished when a whole line of the next one is there: "2" may yet become "2. more of the list".
    const finished = isWhole ? found.length : found.filter((_, at) => found[at + 1]?.[0].map[0] < lines.length - 1).length;
    const isHeld = this.last.some((node) => node.contains(document.activeElement));
    for (const node of this.last) node.remove();
    this.last = [];
    for (const [at, tokens] of found.entries()) {
      const nodes = [...drawn(tokens, this.env).childNodes];
      this.node.append(...nodes);
      if (at < finished) nodes.forEach(finish);
      else this.last.push(...nodes);
    }
    if (isHeld) $("scroll").focus({ preventScroll: true }); // what had the focus is gone
    tasks = this.env.tasklistId;
    this.source = isWhole ? "" : lines.slice(found[finished]?.[0].map[0]).join("\n");
  }
}

// What one can use in a block that stays.
function finish(block) {
  if (!(block instanceof Element)) return;
  const all = (names) => [...(block.matches(names) ? [block] : []), ...block.querySelectorAll(names)];
  for (const code of all("div.code")) {
    const pre = code.querySelector("pre");
    code.firstChild.append(copier("code", () => pre.textContent));
    reach(pre, "Code");
  }
  for (const table of all("div.table")) reach(table, "Table");
  for (const node of all("div.math")) reach(node, "Formula");
}

// A box that scrolls is reached by the keyboard.
function reach(node, name) {
  node.tabIndex = 0;
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", name);
}
