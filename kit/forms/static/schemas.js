// A JSON Schema (2020-12), simplified as far as a form needs it: no reference, no allOf, null apart from the rest.

import { isObject, jsonText } from "./dom.js";

const MOST = 50; // schemas merged into one; more are left to JSON text
// What a form cannot ask for by its controls. Whether a value fits is checked when it is sent.
const UNASKED = ["not", "if", "then", "else", "patternProperties", "propertyNames", "contains"];
const ABOUT = ["title", "description", "default", "examples", "deprecated", "name"];
const SHAPED = ["type", "properties", "items", "prefixItems", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"];

export const same = (one, other) => {
  if (one === other) return true;
  if (Array.isArray(one)) return Array.isArray(other) && one.length === other.length && one.every((it, n) => same(it, other[n]));
  if (isObject(one) && isObject(other)) {
    const names = Object.keys(one);
    return names.length === Object.keys(other).length && names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]));
  }
  if (one instanceof File || other instanceof File) return false;
  return typeof one === "object" && typeof other === "object" && jsonText(one) === jsonText(other);
};

// The schema with what it refers to, as one. `odd`: it says more than a form can show.
export function opened(schema, defs, left = { count: MOST }) {
  if (!isObject(schema)) return {};
  if (left.count-- < 0) return { odd: true };
  let { $ref: reference, allOf: parts, ...own } = schema;
  if (UNASKED.some((key) => key in own)) own.odd = true;
  if (reference !== undefined) {
    const name = String(reference).split("/").pop();
    own = joined(opened(defs[name], defs, left), { name, ...own });
  }
  for (const part of parts || []) own = joined(opened(part, defs, left), own);
  return own;
}

// Two schemas of one value. What `own` says about it counts first.
function joined(other, own) {
  const out = { ...other };
  for (const [key, value] of Object.entries(own)) {
    if (!(key in out) || ABOUT.includes(key)) out[key] = value;
    else if (key === "properties") {
      out.properties = { ...out.properties };
      for (const [name, item] of Object.entries(value)) {
        out.properties[name] = name in out.properties ? { allOf: [out.properties[name], item] } : item;
      }
    } else if (key === "required") out.required = [...new Set([...out.required, ...value])];
    else if (key.startsWith("min") || key === "exclusiveMinimum") out[key] = Math.max(out[key], value);
    else if (key.startsWith("max") || key === "exclusiveMaximum") out[key] = Math.min(out[key], value);
    else if (key === "enum") out.enum = value.filter((it) => out.enum.some((each) => same(each, it)));
    else if (key === "type" && !same(out.type, value)) {
      const kinds = [out.type].flat().filter((kind) => [value].flat().includes(kind));
      out.type = kinds.length === 1 ? kinds[0] : kinds;
      if (!kinds.length) out.odd = true;
    } else if (!same(out[key], value)) out.odd = true;
  }
  return out;
}

// {schema, nullable, options}: `options` are the alternatives where there are several.
export function understood(schema, defs) {
  let it = opened(schema, defs);
  let nullable = false;
  const alternatives = it.anyOf || it.oneOf;
  if (it.anyOf && it.oneOf) it = { ...it, odd: true };
  else if (alternatives) {
    const { anyOf, oneOf, ...rest } = it;
    const parts = alternatives.map((part) => opened(part, defs));
    const own = parts.filter((part) => part.type !== "null" && part.const !== null);
    nullable = own.length < parts.length;
    if (own.every((part) => !SHAPED.some((key) => key in part))) it = rest; // they only say which members are required
    else if (own.length === 1) {
      const inner = understood(joined(own[0], rest), defs);
      return { ...inner, nullable: nullable || inner.nullable };
    }
    else if (own.every((part) => part.enum || "const" in part) && !rest.enum) {
      it = { ...rest, enum: own.flatMap((part) => part.enum || [part.const]) };
    } else {
      const { title, description, default: preset, examples, ...shared } = rest;
      const options = own.map((part) => joined(shared, part));
      return { schema: rest, nullable, options: flat(options, defs) };
    }
  }
  if (Array.isArray(it.type)) {
    const kinds = it.type.filter((kind) => kind !== "null");
    nullable ||= kinds.length < it.type.length;
    if (it.enum || kinds.length === 1) it = { ...it, type: kinds[0] };
    else if (kinds.length) return { schema: it, nullable, options: kinds.map((kind) => ({ ...without(it, ABOUT), type: kind })) };
  }
  if (it.enum?.length > 1 && it.enum.includes(null)) {
    nullable = true;
    it = { ...it, enum: it.enum.filter((value) => value !== null) };
  }
  return { schema: it, nullable, options: null };
}

// Alternatives of alternatives, as one list.
const flat = (options, defs) => options.flatMap((option) => {
  const inner = option.anyOf || option.oneOf ? understood(option, defs) : null;
  return inner?.options && !inner.nullable ? inner.options : [option];
});

const without = (schema, keys) => Object.fromEntries(Object.entries(schema).filter(([key]) => !keys.includes(key)));

export const isFile = (schema) =>
  schema.type === "string" && (schema.format === "binary" || ("contentMediaType" in schema && !("contentEncoding" in schema)));

// What a value must be, in a few words: beside the name of its field.
export function kindOf(schema) {
  const { minimum, maximum, exclusiveMinimum: over, exclusiveMaximum: under, minLength, maxLength } = schema;
  const words = [isFile(schema) ? "file" : schema.format || schema.type || ""];
  if (minimum !== undefined) words.push(`from ${minimum}`);
  if (over !== undefined) words.push(`over ${over}`);
  if (maximum !== undefined) words.push(`to ${maximum}`);
  if (under !== undefined) words.push(`under ${under}`);
  if (maxLength !== undefined) words.push(`${minLength || 0} to ${maxLength} characters`);
  return words.join(" ").trim();
}
