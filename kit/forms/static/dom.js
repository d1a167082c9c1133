// Creates elements so that texts of a plugin or a model stay text.

export const $ = (id) => document.getElementById(id);

// What would act on the page, or that nobody would see, as an escape: kit/visible.py has the same rules, and why.
const letter = "[\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc]";
const joined = "[^\\x00-\\u02ff\\u2000-\\u20ff\\u3164\\ud800-\\uf8ff\\ufeff\\uff00-\\uffff\\u{e0000}-\\u{e0fff}]";
const variation = "[\\ufe00-\\ufe0f\\u{e0100}-\\u{e01ef}]";
const unseen = new RegExp(
  `((?<=${joined})[\\u200c\\u200d](?=${joined})|(?<=${letter})[\\u200e\\u200f\\u061c]|[\\u200e\\u200f\\u061c](?=${letter})`
  + "|\\u{1f3f4}[\\u{e0030}-\\u{e0039}\\u{e0061}-\\u{e007a}]{1,6}\\u{e007f}"
  + `|(?<=[#*0-9\\u00a9\\u00ae\\u2010-\\ufdff\\ufe10-\\uffff\\u{10000}-\\u{dffff}])${variation}(?!${variation}))`
  + "|[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f"
  + "\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\ud800-\\udfff"
  + "\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]", "gu");

export const visible = (text) => String(text).replaceAll("\r\n", "\n").replace(unseen, (found, kept) =>
  kept ? found : found.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""));

const ADDRESSES = ["href", "src"];

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : ADDRESSES.includes(name) ? value : visible(value));
  }
  const shown = children.flat().filter((child) => child !== null && child !== undefined && child !== "");
  node.append(...shown.map((child) => (child instanceof Node ? child : visible(child))));
  return node;
}

export const json = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

export function seconds(value) {
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
}

export function block(text, label) {
  return el("pre", { tabindex: "0", role: "region", "aria-label": label }, text);
}

// JSON with every digit of a number: those of 2**53 and more are kept as they were written, where the browser can.

const isUnsafe = (value) => typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);

export const number = (text) =>
  (isUnsafe(Number(text)) && JSON.rawJSON && /^-?\d+$/.test(text) ? JSON.rawJSON(text) : Number(text));

export const isNumber = (value) => typeof value === "number" || Boolean(JSON.isRawJSON?.(value));

export const isObject = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof File) && !isNumber(value);

export const jsonText = (value, indent = 2) => JSON.stringify(value, null, indent);

export const jsonValue = (text) =>
  JSON.parse(text, (key, value, context) => (isUnsafe(value) && context ? number(context.source) : value));
