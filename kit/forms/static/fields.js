// A form for a JSON Schema. Each part is a `Slot`: a label, help, a control, and what is wrong with its value.
// What a control cannot hold, its slot takes as JSON text: so every schema has a form, and every value a place in it.

import { CheckControl, ChoiceControl, EMPTY, FileControl, JsonControl, NumberControl, TextControl } from "./controls.js";
import { el, isObject } from "./dom.js";
import { isFile, kindOf, same, understood } from "./schemas.js";

export const ABSENT = Symbol("left out");
const DEEP = 4; // levels of groups that are open from the start

let count = 0;
const newId = () => `field-${++count}`;
const mark = (control, id, label) => { control.id = id; if (label) control.setAttribute("aria-label", label); return control; };

// -- those that hold other fields --------------------------------------------------------

class GroupControl {
  constructor(slot, schema) {
    this.slot = slot;
    this.schema = schema;
    this.node = el("div", { class: "fields" });
    this.opener = el("button", { type: "button", onclick: () => { this.open(); this.inner[0]?.focus(); } }, `Add ${slot.name}`);
    this.closer = el("button", { type: "button", class: "plain", onclick: () => { this.clear(); this.opener.focus(); } }, `Leave out ${slot.name}`);
    this.clear();
  }

  get mayClose() { return this.slot.isOptional && !this.slot.isRoot; }

  get inner() { return [...(this.members?.values() || []), ...(this.more?.inner || [])]; }

  open() {
    if (this.members) return;
    const { properties = {}, required = [], additionalProperties: more } = this.schema;
    const all = { ...Object.fromEntries(required.map((name) => [name, {}])), ...properties };
    this.members = new Map();
    for (const name of Object.keys({ ...properties, ...all })) {
      this.members.set(name, new Slot(this.slot.form, all[name], name, this.slot, required.includes(name)));
    }
    const takesMore = !this.slot.isRoot && (more === true || (isObject(more) && Object.keys(more).length));
    this.more = takesMore ? new EntriesControl(this.slot, more === true ? {} : more) : null;
    this.node.replaceChildren(...[...this.members.values()].map((it) => it.node),
      ...(this.more ? [this.more.node] : []), ...(this.mayClose ? [this.closer] : []));
    this.slot.counted();
  }

  clear() {
    this.members = this.more = null;
    if (this.mayClose || this.slot.depth > DEEP) this.node.replaceChildren(this.opener);
    else this.open();
    this.slot.counted();
  }

  read() {
    if (!this.members) return EMPTY;
    const out = {};
    for (const [name, member] of this.members) {
      const value = member.read();
      if (value !== ABSENT) put(out, name, value);
    }
    return this.more ? { ...out, ...this.more.read() } : out;
  }

  fill(value) {
    this.open();
    if (!isObject(value)) return;
    for (const [name, member] of this.members) member.fill(Object.hasOwn(value, name) ? value[name] : ABSENT);
    this.more?.fill(Object.fromEntries(Object.entries(value).filter(([name]) => !this.members.has(name))));
  }

  problem() { return ""; }
}

// One member, `__proto__` too.
const put = (out, name, value) => Object.defineProperty(out, name, { value, enumerable: true, configurable: true, writable: true });

class RowsControl {
  constructor(slot) {
    this.slot = slot;
    this.rows = [];
    this.list = el("ol", { class: "rows" });
    this.adder = el("button", { type: "button", onclick: () => this.added() }, `Add to ${slot.name}`);
    this.node = el("div", {}, this.list, this.adder);
  }

  get inner() { return this.rows.map((row) => row.slot); }

  added() {
    const row = this.add();
    (row.key || row.slot).focus();
  }

  place(row) {
    const remover = el("button", { type: "button", class: "plain", onclick: () => this.remove(row) }, "Remove");
    row.node = el("li", {}, row.key ? el("label", {}, "Name", row.key) : "", row.slot.node, remover);
    row.remover = remover;
    this.rows.push(row);
    this.list.append(row.node);
    this.named();
    return row;
  }

  remove(row) {
    const at = this.rows.indexOf(row);
    this.rows.splice(at, 1);
    row.node.remove();
    this.named();
    (this.rows[at] || this.rows[at - 1])?.remover.focus();
    if (!this.rows.length) this.adder.focus();
  }

  named() { // which item a button removes, for those who do not see where it is
    this.rows.forEach((row, at) => {
      if (!row.key) row.slot.rename(at);
      row.remover.setAttribute("aria-label", `Remove ${row.slot.title}`);
    });
    this.slot.counted();
  }

  clear() {
    this.rows = [];
    this.list.replaceChildren();
    this.slot.counted();
  }
}

class ListControl extends RowsControl {
  constructor(slot, schema) {
    super(slot);
    this.schema = schema;
    this.clear();
  }

  add() {
    const at = this.rows.length;
    const item = this.schema.prefixItems?.[at] ?? this.schema.items ?? {};
    return this.place({ slot: new Slot(this.slot.form, item, at, this.slot, true) });
  }

  clear() {
    super.clear();
    const least = this.slot.isOptional ? 0 : Math.max(this.schema.minItems || 0, this.schema.prefixItems?.length || 0);
    if (this.slot.depth <= DEEP) for (let at = 0; at < Math.min(least, 20); at++) this.add();
  }

  read() { return this.rows.length ? this.rows.map((row) => { const value = row.slot.read(); return value === ABSENT ? null : value; }) : EMPTY; }

  fill(value) {
    super.clear();
    if (Array.isArray(value)) for (const item of value) this.add().slot.fill(item);
  }

  problem(value) {
    const { minItems: low = 0, maxItems: high = Infinity, uniqueItems } = this.schema;
    const items = Array.isArray(value) ? value : [];
    const of = (limit) => `${limit} ${limit === 1 ? "item" : "items"}, not ${items.length}`;
    if (items.length < low) return `must have at least ${of(low)}`;
    if (items.length > high) return `must have at most ${of(high)}`;
    if (uniqueItems && items.some((item, at) => items.slice(0, at).some((other) => same(item, other)))) return "must not have the same item twice";
    return "";
  }
}

class EntriesControl extends RowsControl {
  constructor(slot, schema) {
    super(slot);
    this.schema = schema;
  }

  add() {
    const row = { key: el("input", { type: "text", autocomplete: "off" }) };
    row.slot = new Slot(this.slot.form, this.schema, "value", this.slot, true);
    row.key.addEventListener("input", () => { row.slot.rename(row.key.value || "value"); this.named(); });
    return this.place(row);
  }

  read() {
    const out = {};
    for (const row of this.rows) if (row.slot.read() !== ABSENT) put(out, row.key.value, row.slot.read());
    return out;
  }

  fill(value) {
    this.clear();
    for (const [name, item] of Object.entries(value)) {
      const row = this.add();
      row.key.value = name;
      row.slot.rename(name);
      row.slot.fill(item);
    }
    this.named();
  }

  problem() {
    const names = this.rows.map((row) => row.key.value);
    return new Set(names).size < names.length ? "must not have a name twice" : "";
  }
}

class OptionsControl {
  constructor(slot, options) {
    this.slot = slot;
    this.options = options;
    this.node = el("div", { class: "fields" });
    const words = options.map((option) => option.title || option.name || constant(option) || kindOf(option) || "any");
    this.pick = mark(el("select", { onchange: () => this.choose() },
      slot.isOptional ? el("option", { value: "" }, "left out") : "",
      words.map((word, at) => el("option", { value: String(at) }, words.indexOf(word) === at ? word : `${word} (${at + 1})`))),
    slot.id, `Kind of ${slot.name}`);
    this.clear();
  }

  get inner() { return this.chosen ? [this.chosen] : []; }

  choose(value = ABSENT) {
    const at = this.pick.value;
    this.chosen = at === "" ? null : new Slot(this.slot.form, this.options[Number(at)], this.slot.name, this.slot, true, true);
    if (this.chosen && value !== ABSENT) this.chosen.fill(value);
    this.node.replaceChildren(this.pick, this.chosen?.node || "");
  }

  clear() {
    this.pick.selectedIndex = 0;
    if (this.slot.depth > 2 * DEEP) this.pick.value = "";
    this.choose();
  }

  read() { return this.chosen ? this.chosen.read() : EMPTY; }

  fill(value) { // the first that it fits; else the first that can hold it
    const fitting = (isStrict) => this.options.findIndex((option, at) => {
      this.pick.value = String(at);
      this.choose(value);
      return !this.chosen.usesJson && same(this.chosen.read(), value) && !(isStrict && this.chosen.problems().length);
    });
    if (fitting(true) < 0 && fitting(false) < 0) this.clear();
  }

  problem() { return ""; }
}

const constant = (option) => Object.values(option.properties || {}).map((it) => it.const ?? (it.enum?.length === 1 ? it.enum[0] : undefined)).find((it) => typeof it === "string");

// -- one field ---------------------------------------------------------------------------

export class Slot {
  constructor(form, schema, name, parent = null, required = true, isPart = false) {
    Object.assign(this, { form, name: String(name), key: name, parent, required, isPart, id: newId() });
    this.isRoot = !parent;
    this.depth = parent ? parent.depth + 1 : 0;
    const it = understood(schema, form.defs);
    this.schema = it.schema;
    this.options = it.options;
    this.nullable = it.nullable;
    this.isOptional = !required || it.nullable;
    this.isSecret = form.secret.has(this.name) || it.schema.format === "password";
    this.help = el("p", { class: "quiet", id: `${this.id}-help` }, isPart ? "" : it.schema.description || "");
    this.bad = el("p", { class: "bad", id: `${this.id}-bad` });
    this.draw(this.control());
    this.preset();
  }

  get title() { return typeof this.key === "number" ? `${this.parent.title} ${this.key + 1}` : this.name; }

  get kind() {
    const { schema } = this;
    if (schema.odd || this.depth > 3 * DEEP) return JsonControl;
    if (this.options) return OptionsControl;
    if (schema.enum || "const" in schema || schema.type === "null") return ChoiceControl;
    if (isFile(schema)) return FileControl;
    if (schema.type === "string") return TextControl;
    if (schema.type === "integer" || schema.type === "number") return NumberControl;
    if (schema.type === "boolean") return this.isOptional ? ChoiceControl : CheckControl;
    if (schema.type === "array") return ListControl;
    if (this.isRoot || schema.properties || (schema.type === "object" && isObject(schema.additionalProperties))) return GroupControl;
    return JsonControl;
  }

  control() {
    const Control = this.kind;
    return new Control(this, this.options || (this.schema.type === "null" ? { const: null } : this.schema));
  }

  // What an empty field means, where that is not plain.
  get meanings() {
    const isText = this.controller instanceof TextControl;
    return [
      this.required ? "" : "left out", this.nullable ? "null" : "",
      isText ? "an empty text" : this.controller instanceof ListControl ? "an empty list" : "",
    ].filter(Boolean);
  }

  draw(controller) {
    this.controller = controller;
    const isJson = controller instanceof JsonControl;
    const holds = controller instanceof GroupControl || controller instanceof RowsControl || controller instanceof OptionsControl;
    const meanings = this.meanings;
    this.empty = meanings.length > 1 && !(controller instanceof OptionsControl)
      ? mark(el("select", { class: "empty" }, meanings.map((it) => el("option", { value: it }, `if empty: ${it}`))), `${this.id}-empty`, `If ${this.title} is empty`) : null;
    const words = [isJson ? "JSON" : this.options ? "" : kindOf(this.schema), this.required || this.isPart ? "" : "optional"].filter(Boolean).join(", ");
    this.word = el("span", { class: "name" }, this.title);
    const label = [this.word, this.required && !this.isPart && !(controller instanceof CheckControl) ? [el("span", { "aria-hidden": "true" }, " *"), el("span", { class: "unseen" }, " (required)")] : "",
      words ? el("span", { class: "quiet kind" }, ` ${words}`) : ""].flat();
    const canSwitch = holds || (isJson && this.kind !== JsonControl);
    const toggle = canSwitch && !this.isPart ? el("button", { type: "button", class: "plain switch", "aria-label": `${this.isRoot ? "All" : this.title} as ${isJson ? "fields" : "JSON"}`,
      onclick: () => this.switched(!isJson) }, isJson ? "Fields" : "JSON") : "";
    let node;
    if (this.isPart && holds) node = el("div", { class: "slot" }, controller.node, this.bad);
    else if (holds && !this.isRoot) node = el("fieldset", { class: "slot" }, el("legend", {}, label), toggle, this.help, controller.node, this.empty, this.bad);
    else if (holds) node = el("div", { class: "slot root" }, toggle, controller.node, this.bad);
    else if (controller instanceof CheckControl) node = el("div", { class: "slot" }, el("label", { class: "check", for: this.id }, controller.node, " ", label), this.help, this.bad);
    else node = el("div", { class: "slot" }, el("div", { class: "head" }, el("label", { for: this.id, class: this.isPart ? "unseen" : "" }, label), toggle, this.empty), controller.node, this.help, this.bad);
    this.node?.replaceWith(node);
    this.node = node;
    this.described();
    node.addEventListener("input", (event) => { if (event.target === this.target) this.say(""); });
    this.counted();
  }

  // What an empty field means is asked where it is empty, and of no group that is open.
  counted() {
    if (this.empty) this.empty.hidden = Boolean(this.controller.members || this.controller.rows?.length);
  }

  get target() { return this.controller.pick || (this.node.matches("fieldset") ? this.node : this.controller.node); }

  get usesJson() { return this.controller instanceof JsonControl || Boolean(this.controller.inner?.some((it) => it.usesJson)); }

  described() {
    if (!this.node) return;
    const ids = [this.help.textContent && !this.isPart ? this.help.id : "", this.bad.textContent ? this.bad.id : ""].filter(Boolean).join(" ");
    for (const [name, value] of [["aria-describedby", ids], ["aria-invalid", this.bad.textContent && !this.node.matches("fieldset") ? "true" : ""]]) {
      if (value) this.target.setAttribute(name, value);
      else this.target.removeAttribute(name);
    }
  }

  rename(key) {
    this.key = key;
    this.name = String(key);
    this.word.replaceChildren(el("span", {}, this.title));
  }

  preset() {
    const { default: preset, examples } = this.schema;
    if (preset !== undefined && !(preset === null && this.isOptional)) this.fill(preset);
    else if (this.required && examples?.length && !this.isRoot) this.fill(examples[0]);
  }

  switched(toJson) {
    const value = this.read();
    this.draw(toJson ? new JsonControl(this) : this.control());
    if (value !== ABSENT) this.fill(value);
    this.focus();
  }

  read() {
    const value = this.controller.read();
    if (value !== EMPTY) return value;
    const meaning = this.empty?.value || (this.meanings.length === 1 ? this.meanings[0] : this.meanings[0] || "left out");
    return { null: null, "an empty text": "", "an empty list": [] }[meaning] ?? (meaning === "null" ? null : ABSENT);
  }

  fill(value) {
    const empty = value === ABSENT ? "left out" : value === null ? "null" : value === "" ? "an empty text" : Array.isArray(value) && !value.length ? "an empty list" : "";
    if (this.empty && this.meanings.includes(empty)) this.empty.value = empty;
    const isEmpty = this.meanings.includes(empty);
    if (value === ABSENT || isEmpty) this.controller.clear();
    else this.controller.fill(value);
    if (isEmpty && this.controller instanceof ListControl) this.controller.fill([]);
    if (value === ABSENT || same(this.read(), value) || value instanceof File) return;
    this.draw(new JsonControl(this)); // the form has no place for it
    this.controller.fill(value);
  }

  // -- what is wrong ---------------------------------------------------------------------

  // [slot, text] for each field whose value does not fit, in their order.
  problems() {
    const value = this.controller.read();
    const isLeftOut = value === EMPTY && (this.isOptional || this.controller instanceof ListControl);
    const own = value !== EMPTY ? this.controller.problem(value)
      : this.controller.node.validity?.badInput ? "is no number"
      : !isLeftOut ? "is required"
      : this.required && !this.nullable ? this.controller.problem([]) : "";
    return [...(own ? [[this, own]] : []), ...(this.controller.inner || []).flatMap((it) => it.problems())];
  }

  say(text) {
    this.bad.replaceChildren(text ? el("span", {}, `${this.isRoot ? "" : `${this.title} `}${text}`) : "");
    this.described();
  }

  quiet() {
    this.say("");
    for (const it of this.controller.inner || []) it.quiet();
  }

  focus() {
    const at = this.node.matches("fieldset") && !this.controller.pick ? this.node.querySelector("input, select, textarea, button:not(.switch)") : this.target;
    (at || this.node).focus();
  }

  // The deepest field on a path of names and positions.
  at(path) {
    const [key, ...rest] = path;
    const { controller } = this;
    if (controller instanceof OptionsControl && controller.chosen) {
      const is = path.length && !controller.chosen.find(key) && rest.length; // FastAPI names the alternative
      return controller.chosen.at(is ? rest : path);
    }
    const inner = path.length ? this.find(key) : null;
    return inner ? inner.at(rest) : this;
  }

  find(key) {
    const { controller } = this;
    if (controller instanceof OptionsControl) return controller.chosen?.find(key);
    return controller.members?.get(String(key)) || (controller.more || controller).rows?.find((row) => String(row.slot.key) === String(key))?.slot;
  }
}
