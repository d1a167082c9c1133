// Creates elements so that texts of a plugin or a model stay text.

export const $ = (id) => document.getElementById(id);

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

export function logo(image) {
  // Only a data URL that the kit has fetched: the browser would send a request to any other.
  return image && image.startsWith("data:image/") ? el("img", { class: "logo", src: image, alt: "" }) : "";
}

export const json = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

export function seconds(value) {
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
}

export function block(text, label) {
  return el("pre", { tabindex: "0", role: "region", "aria-label": label }, text);
}
