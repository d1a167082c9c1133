// A call as Python code, as a test and as a case of an evaluation. A secret is read from the environment, or left out.

import { isNumber, isObject, jsonText } from "./dom.js";

const WORDS = new Set(("False None True and as assert async await break class continue def del elif else except finally for from global if "
  + "import in is lambda nonlocal not or pass raise return try while with yield").split(" "));
const isName = (word) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(word) && !WORDS.has(word);
const variable = (name) => name.replace(/[^A-Za-z0-9]+/g, "_").toUpperCase();

// Names of what may be a secret in an answer, which no schema need name: rather too many, since each may then be anything.
const MAY_BE_SECRET = /pass|pwd|secret|token|key|credential|auth(?!or)|cookie|session|otp|pin$|jwt|sig/i;
const MOST = 2000; // characters of an answer that a test compares

class Secret { constructor(name) { this.name = name; } }

// The arguments, with a `Secret` in the place of each value that has the name of one.
export function hidden(value, secret, name = "") {
  if (secret.has(name) && value !== null && typeof value !== "boolean") return new Secret(name);
  if (Array.isArray(value)) return value.map((item) => hidden(item, secret));
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, hidden(item, secret, key)]));
  return value;
}

// The same for reading: what is hidden as stars, a file as its name.
export function masked(value) {
  if (value instanceof Secret) return "***";
  if (value instanceof File) return value.name;
  if (Array.isArray(value)) return value.map(masked);
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, masked(item)])) : value;
}

export function python(value) {
  if (value instanceof Secret) return `os.environ[${jsonText(variable(value.name))}]`;
  if (value instanceof File) return `Path(${jsonText(value.name)})`;
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (isNumber(value) || typeof value === "string") return jsonText(value);
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  return `{${Object.entries(value).map(([key, item]) => `${jsonText(key)}: ${python(item)}`).join(", ")}}`;
}

// What an answer should be: a secret in it may be anything, which is `...`.
const expected = (value) => python(hidden(value, { has: (name) => MAY_BE_SECRET.test(name) })).replace(/os\.environ\["[A-Z0-9_]*"\]/g, "...");

const call = (about, values) => {
  const all = Object.entries(values).map(([name, value]) => [name, python(value)]);
  const named = all.filter(([name]) => isName(name)).map(([name, value]) => `${name}=${value}`);
  const other = all.filter(([name]) => !isName(name)).map(([name, value]) => `${jsonText(name)}: ${value}`);
  const parts = [jsonText(about.operation), ...(other.length ? [`{${other.join(", ")}}`] : []), ...named];
  const line = `plugin.call(${parts.join(", ")})`;
  return line.length <= 100 ? line : `plugin.call(\n    ${parts.join(",\n    ")},\n)`;
};

const imports = (text) => [
  ...(text.includes("os.environ[") ? ["import os"] : []), ...(text.includes("Path(") ? ["from pathlib import Path"] : []),
].map((line) => `${line}\n`).join("") + (/os\.environ\[|Path\(/.test(text) ? "\n" : "");

export function asCode(about, values) {
  const body = `plugin = ${about.source}\n${call(about, values)}\n`;
  return `${imports(body)}import kit\n\n${body}`;
}

// What reads gives the same again, and is compared; of what changes something the status is.
export function asTest(about, values, answer) {
  const data = about.method === "GET" && answer?.ok && jsonText(answer.value).length <= MOST ? `, ${expected(answer.value)}` : "";
  const outcome = answer?.status ? `.expect(${answer.status}${data})` : ".expect()";
  const name = about.operation.replace(/[^A-Za-z0-9]+/g, "_").toLowerCase();
  const body = `def test_${name}():\n${`plugin = ${about.source}\n${call(about, values)}${outcome}`.replace(/^/gm, "    ")}\n`;
  return `${imports(body)}import kit\n\n\n${body}`;
}

// In YAML, which contains JSON. An argument that is not named may have any value.
export function asCase(about, values, answer) {
  const given = Object.fromEntries(Object.entries(plain(values)).filter(([, value]) => value !== undefined));
  const spoken = Object.entries(given).map(([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "string" ? `'${value}'` : jsonText(value, 0)}`);
  const summary = (about.summary || about.operation.replaceAll("_", " ")).trim().replace(/\.$/, "");
  const say = spoken.length ? `${summary}: ${spoken.join(", ")}` : summary;
  const status = answer?.status >= 300 ? `  status: ${answer.status}\n` : "";
  return `- say: ${jsonText(say)}\n  calls: {${jsonText(about.operation)}: ${spaced(given)}}\n${status}`;
}

function plain(value) {
  if (value instanceof Secret || value instanceof File) return undefined;
  if (Array.isArray(value)) return value.some((item) => plain(item) === undefined) ? undefined : value;
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]).filter(([, item]) => item !== undefined));
}

function spaced(value) { // JSON in one line, as YAML wants it: a space after each colon
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (!isObject(value)) return jsonText(value);
  return `{${Object.entries(value).map(([key, item]) => `${jsonText(key)}: ${spaced(item)}`).join(", ")}}`;
}
