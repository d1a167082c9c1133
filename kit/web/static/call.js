// One call of the model: a line with its operation, arguments, status and time, which unfolds into the request, and the
// answer's headers and body; and the question before it.

import { post } from "./api.js";
import { $, block, el, json, seconds, visible } from "./dom.js";
import { brief, logo } from "./plugins.js";

// A picture or a sound: an element in which nothing of it is run.
function media({ url, alt }) {
  if (url.startsWith("data:image/")) return el("img", { class: "file", src: url, alt });
  return el("audio", { class: "file", src: url, controls: true, "aria-label": alt });
}

function headers(all) {
  const lines = all.map(([name, value]) => el("div", {}, el("span", { class: "quiet" }, `${name}: `), el("bdi", {}, value)));
  return el("pre", { class: "headers", tabindex: "0", role: "region", "aria-label": "Headers of the response" }, lines);
}

// Every value of the arguments with its place, as [place, text]: each has a line of its own, so that text written from
// the right does not change the order of what stands beside it.
function rows(value, place = "") {
  const isFull = value !== null && typeof value === "object" && Object.keys(value).length > 0;
  if (!isFull) return [[place, JSON.stringify(value)]];
  const inside = (key) => (Array.isArray(value) ? `${place}[${key}]` : place ? `${place}.${key}` : key);
  return Object.entries(value).flatMap(([key, item]) => rows(item, inside(key)));
}

// Operation and arguments in one line, of which so much is there as may be seen. Each value keeps its direction to itself.
function line(operation, args) {
  const isFull = args !== null && typeof args === "object";
  const parts = (isFull ? Object.entries(args) : [["", args]]).slice(0, 12).flatMap(([name, value], at) => [
    at ? ", " : "", name && `${brief(name, 30)}=`, el("bdi", {}, brief(JSON.stringify(value), 80)),
  ]);
  return el("code", { class: "line", dir: "ltr" }, el("bdi", {}, operation), "(", parts, ")");
}

export class Call {
  constructor(event, transcript) {
    this.event = event;
    this.plugin = brief(event.plugin);
    this.operation = brief(event.operation);
    this.transcript = transcript;
    this.later = []; // parts of the body, which are drawn when somebody unfolds it
    this.state = el("span", { class: "state busy" });
    this.title = el("span", {}, `Using ${this.plugin}`);
    this.body = el("div", { tabindex: "-1" });
    const summary = el("summary", { onclick: () => this.unfold() },
      logo(event.image), " ", this.title, " ", line(event.operation, event.arguments), " ", this.state);
    this.details = el("details", { ontoggle: () => this.details.open && this.unfold() }, summary, this.body);
    this.node = el("div", { class: "call" }, this.details);
    this.part(() => [
      el("h3", {}, `Request to ${this.plugin}`),
      block(json(event.arguments), `Arguments of ${this.operation}`),
    ]);
  }

  part(draw) {
    this.later.push(draw);
    if (this.details.open) this.unfold();
  }

  unfold() {
    for (const draw of this.later.splice(0)) this.body.append(...draw());
  }

  say(title, state = "", words = "") {
    this.title.textContent = visible(title);
    this.state.className = `state ${state}`;
    this.state.textContent = words;
  }

  // The question stays where it is, and takes no focus: whoever types a message must not answer it.
  ask(event) {
    const say = (answer) => async () => {
      const buttons = [...question.querySelectorAll("button")];
      $("text").focus({ preventScroll: true });
      for (const button of buttons) button.disabled = true;
      try {
        await post(`${this.transcript.path}/answer`, { n: this.event.n, answer });
      } catch (error) {
        for (const button of buttons) button.disabled = false;
        this.transcript.failed(error);
      }
    };
    if (!event.again) this.say(`${this.plugin} wants to call`);
    const request = `${event.method} ${event.url}`;
    const values = rows(event.arguments).map(([place, text]) => [el("dt", {}, place || "(all)"), el("dd", {}, text)]);
    const question = el(
      "div",
      { class: "ask", role: "group", "aria-label": `May ${this.operation} be called?` },
      el("p", {}, event.again ? "Send this? " : "", `This may change something at ${this.plugin}. Check the request:`),
      el("div", { class: "request", role: "region", "aria-label": "Request", tabindex: "0" }, el("code", {}, request)),
      el("div", { class: "values", role: "region", "aria-label": `Arguments of the call of ${this.operation}`, tabindex: "0" }, el("dl", {}, values.flat())),
      el("div", { class: "row" },
        el("button", { class: "main", onclick: say("allow") }, "Allow"),
        el("button", { onclick: say("always") }, "Always allow"),
        el("button", { onclick: say("deny") }, "Deny")),
    );
    this.question = question;
    this.isAgain = event.again;
    this.node.append(question);
  }

  close() {
    if (this.question?.contains(document.activeElement)) $("text").focus({ preventScroll: true });
    this.question?.remove();
    this.question = null;
  }

  answered(event) {
    this.close();
    if (event.again) return;
    this.isDenied = event.answer === "deny";
    if (!this.isDenied) this.say(`Using ${this.plugin}`, "busy");
  }

  result(event) {
    this.close();
    const used = event.url ? `Used ${this.plugin}` : `Did not use ${this.plugin}`;
    const outcome = this.isDenied ? "not allowed" : event.outcome;
    this.isOver = true;
    this.say(used, event.ok ? "quiet" : "bad", event.url ? `${outcome}, ${seconds(event.seconds)}` : outcome);
    this.response(event);
    if (!event.ok && !this.isDenied) this.details.open = true; // one wants to know why
    this.part(() => {
      this.edit = el("button", { class: "plain", onclick: () => this.editor(event.arguments) }, "Edit and send again");
      return [this.edit];
    });
  }

  // What was running has ended before the result came.
  broken() {
    this.close();
    if (!this.isOver) this.say(`Did not wait for ${this.plugin}`);
    this.isOver = true;
  }

  response(event) {
    const head = event.url ? `Response from ${this.plugin}: ${event.outcome}` : "Why";
    this.part(() => [
      ...(event.url ? [el("div", {}, el("code", {}, `${event.method} ${event.url}`))] : []),
      el("h3", {}, head),
      ...(event.headers?.length ? [headers(event.headers)] : []),
      block(event.data || "(nothing)", head),
    ]);
    this.node.after(...(event.files || []).map(media)); // beneath: a picture is seen without unfolding
  }

  editor(args) {
    const field = el("textarea", { "aria-label": "Arguments as JSON", spellcheck: "false" });
    field.value = visible(JSON.stringify(args, null, 2)); // its escapes are JSON's own
    const problem = el("p", { class: "bad", role: "alert" });
    const send = el("button", { type: "submit", class: "main" }, "Send");
    const close = () => { form.replaceWith(this.edit); this.body.focus({ preventScroll: true }); };
    const form = el("form", {}, field, problem, el("div", { class: "row" }, send, el("button", { type: "button", onclick: close }, "Cancel")));
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
        close();
        await this.transcript.follow();
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
    this.part(() => [el("h3", {}, "Sent again by you"), block(json(event.arguments), "Arguments sent again")]);
    this.response(event);
    this.part(() => (this.edit ? [this.edit] : [])); // it stays at the end
  }
}
