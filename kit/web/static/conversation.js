// A conversation drawn from its events: the same way live, after a reload and in a second tab.

import { Call } from "./call.js";
import { copier } from "./copy.js";
import { $, el, seconds, visible } from "./dom.js";
import { Markdown } from "./markdown.js";

const whenIdle = window.requestIdleCallback || ((call) => setTimeout(call, 50)); // Safari has none

const LAST = 6; // answers at the end of a chat, which are in view when it opens
const NEAR = 120; // pixels from the end, within which the end is followed

export class Transcript {
  constructor(id, failed) {
    this.path = `api/conversations/${id}`;
    this.failed = failed; // shows the error of a click
    this.seen = 0;
    this.calls = new Map();
    this.answer = null; // what the model is saying
    this.pieces = ""; // of it, not yet drawn
    this.said = []; // what it has said in this turn
    this.before = ""; // and in the one before
    this.far = new Set(); // what draws answers that are not in view
    this.count = 0;
    this.follows = true; // whether the end stays in view
    this.top = 0;
    $("log").replaceChildren();
    $("end").hidden = true;
    $("end").onclick = () => { this.follows = true; this.soon(); };
  }

  draw(event) {
    if (event.type === "alive") return;
    this.seen = event.at + 1;
    this[`on_${event.type}`]?.(event);
    $("welcome").hidden = true;
    this.soon();
  }

  // What depends on the layout happens once for each picture that the browser draws, and not for each event.
  soon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.write();
      for (const show of [...this.far].slice(-LAST)) show();
      if (this.follows) $("scroll").scrollTop = $("scroll").scrollHeight;
      this.edge();
    });
  }

  // The pixels below what is in view. Where they are many, a button leads to the end.
  edge() {
    const { scrollTop, scrollHeight, clientHeight } = $("scroll");
    const rest = scrollHeight - scrollTop - clientHeight;
    $("end").hidden = this.follows || rest < NEAR;
    return rest;
  }

  // The user has scrolled, or the page has. Whoever reads further up, however little, stays there.
  scrolled() {
    const { scrollTop } = $("scroll");
    const rest = this.edge();
    if (rest < 2) this.follows = true;
    else if (scrollTop < this.top) this.follows = false;
    else if (rest < NEAR && scrollTop > this.top) this.follows = true;
    this.top = scrollTop;
    // what came into view had another height than was supposed
    if (this.follows && rest > 1) this.soon();
    else this.edge();
  }

  // Of a long chat that is opened, only the last answers are drawn at once, the others when they come into view, or when
  // nothing else is to do.
  approach() {
    this.idle ||= whenIdle(() => {
      this.idle = 0;
      for (const show of [...this.far].slice(-20)) show();
      this.soon();
      if (this.far.size) this.approach();
    });
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.far.clear();
  }

  add(node) {
    this.rest();
    $("log").append(node);
    return node;
  }

  wait() {
    const node = el("div", { class: "turn-note busy" }, "thinking");
    this.add(node);
    this.waiting = node;
  }

  rest() {
    this.waiting?.remove();
    this.waiting = null;
  }

  on_user(event) {
    this.before = this.answered();
    this.said = [];
    this.add(el("div", { class: "user" }, el("div", { dir: "auto" }, el("span", { class: "unseen", dir: "ltr" }, "You: "), event.text)));
    this.wait();
  }

  on_note(event) {
    this.add(el("div", { class: "turn-note" }, event.text));
    this.wait();
  }

  on_delta(event) {
    this.pieces += event.text;
  }

  // Draws what the model has said meanwhile.
  write() {
    if (this.pieces) {
      this.answer ||= this.begin("");
      this.answer.add(visible(this.pieces));
      this.pieces = "";
    }
    if (this.answer && !this.answer.draw()) this.soon();
  }

  begin(more) {
    return new Markdown(this.add(el("div", { class: `answer ${more}`, "aria-busy": "true" })));
  }

  // What was said is whole: it takes the place of its pieces.
  on_text(event) {
    this.pieces = "";
    this.said.push(event.text);
    const text = visible(event.text);
    const answer = this.answer || this.begin("far");
    const show = () => {
      this.far.delete(show);
      answer.end(text);
      answer.node.classList.remove("far");
      answer.node.removeAttribute("aria-busy");
    };
    if (this.answer || this.count < LAST) {
      show();
    } else {
      answer.node.textContent = text; // until then it can be found in the page
      this.far.add(show);
      answer.node.addEventListener("contentvisibilityautostatechange", (change) => {
        if (!change.skipped && this.far.has(show)) show();
      });
      this.approach();
    }
    this.count += 1;
    this.answer = null;
  }

  on_call(event) {
    const call = new Call(event, this);
    this.calls.set(event.n, call);
    this.add(call.node);
  }

  on_question(event) { this.calls.get(event.n)?.ask(event); }
  on_answer(event) { this.calls.get(event.n)?.answered(event); }
  on_result(event) { this.calls.get(event.n)?.result(event); this.wait(); }
  on_again(event) { this.calls.get(event.n)?.again(event); }

  on_error(event) {
    for (const call of this.calls.values()) call.broken();
    const retry = el("button", { onclick: () => this.retry?.(event.retry) }, "Try again");
    this.add(
      el("div", { class: "error", role: "alert" }, el("strong", {}, event.text), " ", event.remedy || "", " ", event.retry ? retry : ""),
    );
  }

  // The last answer, as the model wrote it.
  answered() {
    return this.said.join("\n\n") || this.before;
  }

  copier() {
    if (!this.said.length) return "";
    const text = this.answered();
    return copier("answer", () => text);
  }

  on_done(event) {
    const drawn = el("div", { class: "sequence", hidden: true });
    const after = el("div", { class: "after" }, this.copier(), [event.model, event.spent, seconds(event.seconds)].filter(Boolean).join(", "));
    if (event.sequence) {
      const button = el("button", { class: "plain", "aria-expanded": "false" }, "Sequence");
      button.addEventListener("click", () => {
        drawn.hidden = !drawn.hidden;
        button.setAttribute("aria-expanded", String(!drawn.hidden));
        if (!drawn.childElementCount) {
          const show = () => drawn.scrollIntoView({ block: "nearest" });
          const src = `data:image/svg+xml,${encodeURIComponent(event.sequence)}`;
          drawn.append(el("img", { alt: event.sequence_text, src, onload: show }));
        }
      });
      after.append(button);
    }
    this.add(after);
    this.add(drawn);
  }
}
