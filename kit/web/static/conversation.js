// A conversation drawn from its events: the same way live, after a reload and in a second tab.

import { post } from "./api.js";
import { $, block, el, json, logo, seconds, visible } from "./dom.js";

export class Transcript {
  constructor(id, failed) {
    this.path = `api/conversations/${id}`;
    this.failed = failed; // shows the error of a click
    this.seen = 0;
    this.calls = new Map();
    this.answer = null;
    this.text = "";
    $("log").replaceChildren();
  }

  draw(event) {
    if (event.type === "alive") return;
    this.seen += 1;
    const near = $("scroll").scrollHeight - $("scroll").scrollTop - $("scroll").clientHeight < 120;
    this[`on_${event.type}`]?.(event);
    $("welcome").hidden = true;
    if (near || event.type === "user") $("scroll").scrollTop = $("scroll").scrollHeight;
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
    this.question = event.text;
    this.add(el("div", { class: "user" }, el("div", {}, el("span", { class: "unseen" }, "You: "), event.text)));
    this.wait();
  }

  on_note(event) {
    this.add(el("div", { class: "turn-note" }, event.text));
    this.wait();
  }

  on_delta(event) {
    if (!this.answer) {
      this.answer = this.add(el("div", { class: "answer raw" }));
      this.text = "";
    }
    this.text += event.text;
    this.answer.append(visible(event.text));
  }

  on_call(event) {
    this.answer = null;
    const call = new Call(event, this);
    this.calls.set(event.n, call);
    this.add(call.node);
  }

  on_question(event) { this.calls.get(event.n)?.ask(); }
  on_result(event) { this.calls.get(event.n)?.result(event); this.wait(); }
  on_again(event) { this.calls.get(event.n)?.again(event); }

  on_answer(event) { this.calls.get(event.n)?.answered(event.answer); }

  on_error(event) {
    this.answer = null;
    for (const call of this.calls.values()) call.broken();
    const retry = el("button", { onclick: () => this.retry?.(this.question) }, "Try again");
    this.add(
      el("div", { class: "error", role: "alert" }, el("strong", {}, event.text), " ", event.remedy || "", " ", this.question ? retry : ""),
    );
  }

  on_done(event) {
    if (!this.answer) this.answer = this.add(el("div", { class: "answer" }));
    // The kit has rendered the model's Markdown, with any HTML in it escaped.
    this.answer.classList.remove("raw");
    this.answer.innerHTML = event.html;
    for (const link of this.answer.querySelectorAll("a")) {
      link.target = "_blank";
      link.rel = "noopener noreferrer";
    }
    this.answer = null;
    const drawn = el("div", { class: "sequence", hidden: true });
    const after = el("div", { class: "after" }, [event.model, event.spent, seconds(event.seconds)].filter(Boolean).join(", "));
    if (event.sequence) {
      const button = el("button", { class: "plain", "aria-expanded": "false" }, "Sequence");
      button.addEventListener("click", () => {
        drawn.hidden = !drawn.hidden;
        button.setAttribute("aria-expanded", String(!drawn.hidden));
        if (!drawn.childElementCount) {
          const show = () => drawn.scrollIntoView({ block: "nearest" });
          drawn.append(el("img", { alt: event.sequence_text, src: `data:image/svg+xml;base64,${event.sequence}`, onload: show }));
        }
      });
      after.append(button);
    }
    this.add(after);
    this.add(drawn);
  }
}

// A picture or a sound: an element in which nothing of it is run.
function media({ url, alt }) {
  if (url.startsWith("data:image/")) return el("img", { class: "file", src: url, alt });
  return el("audio", { class: "file", src: url, controls: true, "aria-label": alt });
}

class Call {
  constructor(event, transcript) {
    this.event = event;
    this.transcript = transcript;
    this.state = el("span", { class: "busy" });
    this.title = el("span", {}, `Using ${event.plugin}`);
    this.body = el("div", {});
    this.summary = el("summary", {}, logo(event.image), " ", this.title, " ", this.state);
    this.node = el("details", { class: "call" }, this.summary, this.body);
    this.request(event.arguments);
  }

  request(args) {
    this.body.append(
      el("h3", {}, `Request to ${this.event.plugin}`),
      el("div", {}, el("code", {}, this.event.operation)),
      block(json(args), `Arguments of ${this.event.operation}`),
    );
  }

  ask() {
    const say = (answer) => () => {
      for (const button of this.question.querySelectorAll("button")) button.disabled = true;
      post(`${this.transcript.path}/answer`, { n: this.event.n, answer }).catch(this.transcript.failed);
    };
    this.state.className = "";
    this.state.textContent = "";
    this.node.open = true;
    this.title.textContent = visible(`${this.event.plugin} wants to call ${this.event.operation}`);
    this.question = el(
      "div",
      { class: "ask", role: "group", "aria-label": `May ${this.event.operation} be called?` },
      el("p", {}, `This may change something at ${this.event.plugin}. Check the request.`),
      el("div", { class: "row" },
        el("button", { class: "main", onclick: say("allow") }, "Allow"),
        el("button", { onclick: say("always") }, "Always allow"),
        el("button", { onclick: say("deny") }, "Deny")),
    );
    this.body.append(this.question);
    this.question.querySelector("button").focus({ preventScroll: true });
  }

  answered(answer) {
    this.question?.remove();
    this.node.open = false;
    if (answer !== "deny") {
      this.title.textContent = visible(`Using ${this.event.plugin}`);
      this.state.className = "busy";
    }
    $("text").focus({ preventScroll: true });
  }

  result(event) {
    this.question?.remove();
    const used = event.url ? `Used ${this.event.plugin}` : `Did not use ${this.event.plugin}`;
    this.title.textContent = visible(event.ok ? used : `${used}: ${event.outcome}`);
    this.state.className = event.ok ? "quiet" : "bad";
    this.state.textContent = event.url ? seconds(event.seconds) : "";
    this.response(event, "Response from");
    this.edit = el("button", { class: "plain", onclick: () => this.editor(event.arguments) }, "Edit and send again");
    this.body.append(this.edit);
  }

  // The turn ended before the result came.
  broken() {
    if (!this.question?.isConnected && this.state.className !== "busy") return;
    this.question?.remove();
    this.title.textContent = visible(`Did not wait for ${this.event.plugin}`);
    this.state.className = "";
  }

  response(event, title) {
    if (event.url) this.body.append(el("div", {}, el("code", {}, `${event.method} ${event.url}`)));
    const head = event.url ? `${title} ${this.event.plugin}: ${event.outcome}` : "Why";
    this.body.append(el("h3", {}, head), block(event.data || "(nothing)", head));
    this.node.after(...(event.files || []).map(media)); // beneath: a picture is seen without unfolding
  }

  editor(args) {
    const field = el("textarea", { "aria-label": "Arguments as JSON", spellcheck: "false" });
    field.value = visible(JSON.stringify(args, null, 2)); // its escapes are JSON's own
    const problem = el("p", { class: "bad", role: "alert" });
    const send = el("button", { type: "submit", class: "main" }, "Send");
    const form = el("form", {}, field, problem, el("div", { class: "row" }, send,
      el("button", { type: "button", onclick: () => { form.replaceWith(this.edit); this.edit.focus(); } }, "Cancel")));
    form.addEventListener("submit", async (submit) => {
      submit.preventDefault();
      problem.textContent = "";
      let args;
      try {
        args = JSON.parse(field.value);
      } catch (error) {
        problem.textContent = `This is not JSON: ${error.message}`;
        return;
      }
      send.disabled = true;
      try {
        await post(`${this.transcript.path}/again`, { n: this.event.n, arguments: args });
        form.replaceWith(this.edit);
        await this.transcript.follow();
        this.edit.focus();
      } catch (error) {
        problem.textContent = visible(error.message);
      } finally {
        send.disabled = false;
      }
    });
    this.edit.replaceWith(form);
    field.focus();
  }

  again(event) {
    this.edit?.remove();
    this.body.append(el("h3", {}, "Sent again by you"), block(json(event.arguments), "Arguments sent again"));
    this.response(event, "Response from");
    if (this.edit) this.body.append(this.edit);
  }
}
