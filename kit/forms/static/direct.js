// A call from the browser itself, to the server that the page is from: each argument where the operation wants it.

import { isObject, jsonText, jsonValue } from "./dom.js";

const text = (value) => (typeof value === "string" ? value : value === null ? "" : jsonText(value, 0));
const form = (value) => encodeURIComponent(value);
const segment = (value) => (/^\.+$/.test(value) ? value.replaceAll(".", "%2E") : encodeURIComponent(value));

function pairs(name, value, explode) {
  if (Array.isArray(value)) return explode ? value.map((item) => [name, text(item)]) : [[name, value.map(text).join(",")]];
  if (!isObject(value)) return [[name, text(value)]];
  return explode ? Object.entries(value).map(([key, item]) => [key, text(item)]) : [[name, Object.entries(value).flat().map(text).join(",")]];
}

const deep = (name, value) => {
  if (Array.isArray(value)) return value.flatMap((item) => deep(name, item));
  return isObject(value) ? Object.entries(value).flatMap(([key, item]) => deep(`${name}[${key}]`, item)) : [[name, text(value)]];
};

// {url, method, headers, body} of a call, its URL relative to the page.
export function request(about, values) {
  let path = about.path;
  const query = [], headers = [], body = {};
  let whole;
  for (const [argument, value] of Object.entries(values)) {
    const place = about.places[argument];
    if (!place) continue;
    const { name, style, explode } = place;
    const given = place.json ? jsonText(value, 0) : value;
    if (place.in === "path") path = path.replaceAll(`{${name}}`, [given].flat().map((item) => segment(text(item))).join(","));
    else if (place.in === "query") query.push(...(style === "deepObject" ? deep(name, given) : pairs(name, given, explode)));
    else if (place.in === "header") for (const item of [given].flat()) headers.push([name, text(item)]);
    else if (place.in === "cookie") document.cookie = `${name}=${form(text(given))}; path=/; max-age=60; samesite=strict`;
    else if (name === null) whole = value;
    else body[name] = value;
  }
  const words = query.map(([name, value]) => `${form(name)}=${form(value)}`).join("&");
  const sent = { method: about.method, url: path + (words ? `?${words}` : ""), headers };
  const content = Object.keys(body).length ? body : whole;
  if (content === undefined || about.method === "GET" || about.method === "HEAD") return sent;
  const kind = about.media_type;
  if (kind.startsWith("multipart/")) {
    sent.body = new FormData();
    for (const [name, value] of Object.entries(content)) {
      for (const item of [value].flat()) sent.body.append(name, item instanceof File ? item : text(item));
    }
    return sent; // the browser writes the type, with its boundary
  }
  if (kind.startsWith("application/x-www-form-urlencoded")) sent.body = new URLSearchParams(Object.entries(content).flatMap(([name, value]) => pairs(name, value, true)));
  else if (content instanceof File) sent.body = content;
  else sent.body = /json/.test(kind) ? jsonText(content, 0) : text(content);
  if (!(sent.body instanceof URLSearchParams)) headers.push(["Content-Type", kind.includes("*") ? "application/octet-stream" : kind]);
  return sent;
}

// Adds what an operation asks for: a token, or `user:password` where it is Basic.
function authorized(about, sent, token) {
  for (const { in: place, name, scheme } of about.auth) {
    const value = scheme === "basic" ? `Basic ${btoa(token)}` : scheme === "bearer" ? `Bearer ${token}` : token;
    if (place === "header") sent.headers.push([name, value]);
    else if (place === "query") sent.url += `${sent.url.includes("?") ? "&" : "?"}${form(name)}=${form(value)}`;
    else if (place === "cookie") document.cookie = `${name}=${form(value)}; path=/; max-age=60; samesite=strict`;
  }
}

export const sender = (about, base) => async (values, isAnyway, token) => {
  const sent = request(about, values);
  const url = base + sent.url;
  if (token) authorized(about, sent, token);
  const start = performance.now();
  const answer = await fetch(base + sent.url, { method: sent.method, headers: sent.headers, body: sent.body });
  const kind = answer.headers.get("content-type") || "";
  const isText = !/^(image|audio|video|font)\/|octet-stream|zip|pdf/.test(kind) || kind.includes("svg+xml");
  const bytes = await answer.blob();
  return {
    ok: answer.ok, status: answer.status, outcome: `${answer.status} ${answer.statusText}`.trim(), method: sent.method, url,
    seconds: (performance.now() - start) / 1000,
    json: isText ? asJson(await bytes.text()) : JSON.stringify(`[${kind}, ${bytes.size.toLocaleString("en")} bytes]`),
    picture: kind.startsWith("image/") ? URL.createObjectURL(bytes) : "",
  };
};

const asJson = (content) => {
  try { jsonValue(content); return content; } catch { return content ? JSON.stringify(content) : "null"; }
};
