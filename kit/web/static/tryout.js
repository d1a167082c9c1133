// A form whose calls the notebook's process makes: in the page of one form, and in that of the local ChatGPT.

import { post } from "./api.js";
import { $, jsonValue } from "./dom.js";
import { OperationForm } from "./form.js";

const MOST = 20_000_000; // bytes of files in one call: what the page's server takes

async function packed(value) {
  if (value instanceof File) {
    if (value.size > MOST) throw new Error(`${value.name} is longer than ${MOST.toLocaleString("en")} bytes.`);
    const bytes = new Uint8Array(await value.arrayBuffer());
    let text = "";
    for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
    return { "kit.file": value.name, base64: btoa(text) };
  }
  if (Array.isArray(value)) return Promise.all(value.map(packed));
  if (value === null || typeof value !== "object" || JSON.isRawJSON?.(value)) return value;
  return Object.fromEntries(await Promise.all(Object.entries(value).map(async ([key, item]) => [key, await packed(item)])));
}

// `path` is where the form came from: calls go there.
export const formOf = (about, path) => new OperationForm(about, async (values, anyway, token) =>
  post(path, { arguments: await packed(values), anyway, token }));

const own = $("about"); // only the page of one form has it
if (own) {
  const about = jsonValue(own.textContent);
  $("operations").replaceChildren(formOf(about, about.send).node);
}
