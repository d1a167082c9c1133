// The form of one operation: fill it in, send it, see what was asked and answered, and take the call along as text.

import { block, el, isObject, jsonText, jsonValue, seconds, visible } from "./dom.js";
import { ABSENT, Slot } from "./fields.js";
import { asCase, asCode, asTest, hidden, masked } from "./written.js";

const TEXTS = { Code: asCode, Test: asTest, Case: asCase };

export class OperationForm {
  // `about` is what kit.forms says of the operation; `send(arguments, anyway, token)` gives the answer, or {problems}.
  constructor(about, send) {
    this.about = about;
    this.send = send;
    this.defs = about.schema.$defs || {};
    this.secret = new Set(about.secret);
    this.root = new Slot(this, { ...about.schema, $defs: undefined }, "arguments");
    for (const [name, value] of Object.entries(about.values)) {
      const given = this.root.at([name]);
      if (given !== this.root) given.fill(value);
    }
    this.button = el("button", { type: "submit", class: "main" }, "Send");
    this.anyway = el("button", { type: "button", hidden: true, onclick: () => this.submit(true) }, "Send anyway");
    this.alert = el("p", { class: "bad", role: "alert" });
    this.state = el("p", { role: "status", class: "outcome" });
    this.answer = el("div", { class: "answer-of-form" });
    this.token = about.wants ? el("input", { type: "password", autocomplete: "off", id: `token-${about.operation}` }) : null;
    this.form = el("form", { novalidate: true, "aria-label": `Arguments of ${about.operation}` },
      this.token ? el("div", { class: "slot" }, el("label", { for: this.token.id }, about.wants), this.token) : "",
      this.root.node.querySelector(".slot") || this.root.usesJson ? this.root.node : el("p", { class: "quiet" }, "It takes no arguments."),
      this.alert, el("div", { class: "row" }, this.button, this.anyway));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.submit(false); });
    this.form.addEventListener("keydown", (event) => { // as in a chat: Enter sends, with Shift it is a new line
      const isText = event.target.matches("textarea:not(.json)");
      if (isText && event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.submit(false); }
    });
    this.node = el("div", { class: "operation" },
      el("p", { class: "text" }, about.text), this.form, this.state, this.answer);
  }

  read() {
    const values = this.root.read();
    return values === ABSENT || !isObject(values) ? {} : values;
  }

  async submit(isAnyway) {
    if (this.button.disabled) return;
    this.root.quiet();
    this.alert.textContent = "";
    this.anyway.hidden = true;
    const misfits = isAnyway ? [] : this.root.problems();
    if (misfits.length) return this.refuse(misfits);
    const values = this.read();
    this.button.disabled = true;
    this.state.className = "outcome busy";
    this.state.textContent = "Sending";
    let answer;
    try {
      answer = await this.send(values, isAnyway, this.token?.value || "");
    } catch (error) {
      answer = { ok: false, outcome: "not sent", data: `${error.message} ${error.remedy || ""}`.trim() };
    } finally {
      this.button.disabled = false;
      this.state.className = "outcome";
      this.state.textContent = "";
    }
    if (answer.problems) return this.refuse(answer.problems.map((text) => this.placed(text)));
    this.show(values, answer);
  }

  // A sentence such as `tags[0].name: must be ...` with the field that it is about.
  placed(text) {
    const [, path, words] = /^(.*?): (.*)$/s.exec(text) || [null, "", text];
    const steps = path.split(/[.[\]]+/).filter(Boolean);
    const slot = this.root.find(path) || this.root.at(steps);
    return [slot, slot.isRoot ? text : words];
  }

  refuse(misfits) {
    const [[first]] = misfits;
    for (const [slot, text] of misfits) slot.say(text);
    const count = misfits.length === 1 ? "One value does" : `${misfits.length} values do`;
    this.alert.textContent = `${count} not fit: nothing was sent.`;
    this.anyway.hidden = false;
    this.answer.replaceChildren();
    first.focus();
  }

  show(values, answer) {
    answer.value = answer.json === undefined ? answer.data : jsonValue(answer.json);
    const time = answer.seconds === undefined ? "" : `, ${seconds(answer.seconds)}`;
    this.state.className = answer.ok ? "outcome" : "outcome bad";
    this.state.textContent = visible(`${answer.ok ? "✓" : "✗"} Answered: ${answer.outcome}${time}`);
    const { value } = answer;
    const shown = typeof value === "string" ? value : value === null ? "" : jsonText(value);
    const known = hidden(values, this.secret);
    const typed = Object.entries(values).filter(([name, it]) => this.secret.has(name) && typeof it === "string" && it);
    const url = typed.reduce((text, [, it]) => text.replaceAll(encodeURIComponent(it), "***"), answer.url || this.about.path);
    this.answer.replaceChildren(
      el("details", {}, el("summary", {}, `Request: ${answer.method || this.about.method} ${url}`), block(jsonText(masked(known)), "The arguments that were sent")),
      el("h2", {}, "Answer"),
      answer.picture ? el("img", { class: "picture", alt: `The picture that ${this.about.operation} answered`, src: answer.picture }) : "",
      block(shown || "(nothing)", `The answer of ${this.about.operation}`),
      this.written(known, answer));
    const located = this.located(value);
    for (const [slot, text] of located) slot.say(text);
    if (located.length) located[0][0].focus();
  }

  // What FastAPI says about each value that it refused: [{loc: ["body", "text"], msg}].
  located(value) {
    const detail = isObject(value) && Array.isArray(value.detail) ? value.detail : [];
    return detail.filter((it) => Array.isArray(it?.loc)).map(({ loc, msg }) => {
      const [place, name, ...rest] = loc;
      const places = Object.entries(this.about.places);
      const found = places.find(([, it]) => it.in === place && it.name === name);
      const whole = places.find(([, it]) => it.in === place && it.name === null);
      const slot = found ? this.root.at([found[0], ...rest]) : whole ? this.root.at([whole[0], ...loc.slice(1)]) : null;
      return slot && !slot.isRoot ? [slot, `was refused: ${msg}`] : null;
    }).filter(Boolean);
  }

  written(values, answer) {
    const text = el("pre", { tabindex: "0", role: "region" });
    const copy = el("button", { type: "button", class: "plain", onclick: () => copied(text, copy) }, "Copy");
    const buttons = Object.entries(TEXTS).map(([name, write]) => el("button", { type: "button", onclick: () => choose(name, write) }, name));
    const choose = (name, write) => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.textContent === name));
      text.setAttribute("aria-label", `The call as ${name.toLowerCase()}`);
      text.textContent = visible(write(this.about, values, answer));
      copy.textContent = "Copy";
    };
    choose("Code", asCode);
    return el("div", { class: "written" }, el("h2", {}, "The call as"), el("div", { class: "row", role: "group", "aria-label": "The call as" }, buttons, copy), text);
  }
}

async function copied(text, button) {
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
  } catch { // a frame may not write to the clipboard: select the text for Ctrl+C instead
    getSelection().selectAllChildren(text);
    button.textContent = "Press Ctrl+C";
  }
}
