// The controls of single values: each reads and fills one, and says what is wrong with it.

import { el, isNumber, jsonText, jsonValue, number } from "./dom.js";
import { same } from "./schemas.js";

export const EMPTY = Symbol("nothing was entered");
const LONG = 200; // characters: a text that may be longer is a field of several lines
const INPUTS = { date: "date", "date-time": "datetime-local", time: "time", email: "email", uri: "url", password: "password" };

export class TextControl {
  constructor(slot, schema) {
    this.slot = slot;
    this.schema = schema;
    const isLong = !(schema.maxLength <= LONG) && !schema.format && !schema.pattern;
    this.become(slot.isSecret ? "password" : INPUTS[schema.format] || (isLong ? "textarea" : "text"));
  }

  become(kind) {
    const [example] = this.schema.examples || [];
    const shared = { id: this.slot.id, autocomplete: "off", spellcheck: "false", placeholder: typeof example === "string" ? example : null };
    const node = kind === "textarea" ? el("textarea", { ...shared, rows: "1" }) : el("input", { ...shared, type: kind, step: kind.includes("time") ? "1" : null });
    node.value = this.node?.value || "";
    this.node?.replaceWith(node);
    this.node = node;
    this.slot.described?.();
  }

  read() {
    const value = this.node.value;
    if (value === "" && !this.node.validity.badInput) return EMPTY;
    if (this.node.type !== "datetime-local") return value;
    const time = new Date(value);
    return Number.isNaN(time.getTime()) ? value : time.toISOString().replace(".000Z", "Z");
  }

  fill(value) {
    this.node.value = this.node.type === "datetime-local" ? local(value) : value;
    if (this.read() === value || value === "") return;
    this.become("textarea");
    this.node.value = value;
  }

  clear() { this.node.value = ""; }

  problem(value) {
    const { minLength: low = 0, maxLength: high = Infinity, pattern } = this.schema;
    const length = [...value].length;
    if (this.node.validity.badInput) return "is not complete";
    if (length < low) return low === 1 ? "must not be empty" : `must have at least ${low} characters, not ${length}`;
    if (length > high) return `must have at most ${high} characters, not ${length}`;
    if (pattern && !fits(pattern, value)) return pattern === "." ? "must not be empty" : `must match the pattern ${pattern}`;
    if (this.schema.format === "email" && !/^[^@\s]+@[^@\s]+$/.test(value)) return "must be an address such as sam@example.com";
    return "";
  }
}

function fits(pattern, value) {
  try { return new RegExp(pattern, "u").test(value); } catch { return true; } // not JavaScript's: checked when it is sent
}

// A time as `datetime-local` shows it: in the reader's own zone.
function local(value) {
  const time = new Date(value);
  if (Number.isNaN(time.getTime())) return "";
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export class NumberControl {
  constructor(slot, schema) {
    this.schema = schema;
    const { minimum, maximum, type, examples } = schema;
    const step = type === "integer" ? "1" : "any";
    this.node = el("input", { id: slot.id, type: "number", step, min: minimum, max: maximum, autocomplete: "off", placeholder: examples?.[0] });
  }

  read() {
    const text = this.node.value.trim();
    return text === "" ? EMPTY : number(text);
  }

  fill(value) { this.node.value = isNumber(value) ? jsonText(value) : ""; }

  clear() { this.node.value = ""; }

  problem(value) {
    const { minimum, maximum, exclusiveMinimum: over, exclusiveMaximum: under, multipleOf: step, type } = this.schema;
    const plain = Number(jsonText(value));
    if (type === "integer" && !Number.isInteger(plain)) return `must be an integer, not ${plain}`;
    if (plain < minimum) return `must be at least ${minimum}, not ${plain}`;
    if (plain > maximum) return `must be at most ${maximum}, not ${plain}`;
    if (plain <= over) return `must be more than ${over}, not ${plain}`;
    if (plain >= under) return `must be less than ${under}, not ${plain}`;
    if (type === "integer" && plain % step) return `must be a multiple of ${step}, not ${plain}`;
    return "";
  }
}

export class ChoiceControl {
  constructor(slot, schema) {
    this.values = schema.enum || ("const" in schema ? [schema.const] : [true, false]);
    const words = this.values.map((value) => (typeof value === "string" && value ? value : jsonText(value)));
    const isOnly = slot.required && this.values.length === 1;
    this.node = el("select", { id: slot.id },
      isOnly ? "" : el("option", { value: "" }, slot.required ? "choose" : "left out"),
      words.map((word, place) => el("option", { value: String(place) }, word)));
  }

  read() { return this.node.value === "" ? EMPTY : this.values[Number(this.node.value)]; }

  fill(value) {
    const place = this.values.findIndex((each) => same(each, value));
    this.node.value = place < 0 ? "" : String(place);
  }

  clear() { this.node.selectedIndex = 0; }

  problem() { return ""; }
}

export class CheckControl {
  constructor(slot) { this.node = el("input", { type: "checkbox", id: slot.id }); }
  read() { return this.node.checked; }
  fill(value) { this.node.checked = value === true; }
  clear() { this.node.checked = false; }
  problem() { return ""; }
}

export class FileControl {
  constructor(slot, schema) {
    this.node = el("input", { type: "file", id: slot.id, accept: schema.contentMediaType?.includes("octet-stream") ? null : schema.contentMediaType });
  }

  read() { return this.node.files[0] || EMPTY; }

  fill(value) {
    if (!(value instanceof File)) return;
    const chosen = new DataTransfer();
    chosen.items.add(value);
    this.node.files = chosen.files;
  }

  clear() { this.node.value = ""; }
  problem() { return ""; }
}

export class JsonControl {
  constructor(slot) { this.node = el("textarea", { id: slot.id, class: "json", rows: "2", spellcheck: "false" }); }

  read() {
    const text = this.node.value;
    if (!text.trim()) return EMPTY;
    try { return jsonValue(text); } catch { return text; } // sent as it is, if it is sent anyway
  }

  fill(value) {
    this.node.value = jsonText(value);
    this.node.rows = Math.min(12, this.node.value.split("\n").length + 1);
  }

  clear() { this.node.value = ""; }

  problem() {
    try { jsonValue(this.node.value); return ""; } catch (error) { return `is not JSON: ${error.message}`; }
  }
}
