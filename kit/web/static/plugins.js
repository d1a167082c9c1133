// The plugin menu of a chat, and the dialog that finds, shows and installs a plugin.

import { lines, post, remove, text } from "./api.js";
import { $, el, jsonValue, visible } from "./dom.js";
import { formOf } from "./tryout.js";

const AUTH = {
  none: "none (anyone may call it)",
  user_http: "each user's own token",
  service_http: "the service's token",
  oauth: "sign-in (OAuth)",
};

// Only what the kit has fetched: the browser would send a request to any other address.
export const logo = (image) => (image?.startsWith("static/logos/") ? el("img", { class: "logo", src: image, alt: "" }) : "");

// A name of others, of which so much shows that it pushes nothing else out of view.
export function brief(name, most = 60) {
  const letters = [...visible(name)];
  return letters.length > most ? `${letters.slice(0, most).join("")}…` : letters.join("");
}

export class Plugins {
  constructor(page) {
    this.page = page;
    this.all = [];
    $("pick").addEventListener("click", () => this.toggle());
    $("develop").addEventListener("click", () => { this.toggle(false); this.open(); });
    $("find").addEventListener("submit", (event) => { event.preventDefault(); this.find(); });
    document.addEventListener("click", (event) => {
      if (!$("picker").contains(event.target) && event.target.isConnected) this.toggle(false, false);
    });
    $("picker").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || $("menu-plugins").hidden) return;
      event.preventDefault(); // it has done what it does
      this.toggle(false);
    });
    $("picker").addEventListener("focusout", (event) => {
      if (event.relatedTarget && !$("picker").contains(event.relatedTarget)) this.toggle(false, false);
    });
  }

  toggle(open = $("menu-plugins").hidden, focus = true) {
    const was = !$("menu-plugins").hidden;
    $("menu-plugins").hidden = !open;
    $("pick").setAttribute("aria-expanded", String(open));
    if (was && !open && focus) $("pick").focus();
  }

  show(all, enabled) {
    this.all = all;
    const on = all.filter((plugin) => enabled.includes(plugin.id));
    $("picked").replaceChildren(
      ...(on.length ? on.flatMap((plugin) => [logo(plugin.image), ` ${brief(plugin.name)} `]) : [all.length ? "No plugin enabled" : "No plugins"]),
    );
    const focused = document.activeElement?.id;
    $("plugins").replaceChildren(...all.map((plugin) => this.row(plugin, enabled)));
    if (focused) $(focused)?.focus();
    this.welcome(on);
  }

  row(plugin, enabled) {
    const box = el("input", { type: "checkbox", id: `on-${plugin.id}` });
    box.checked = enabled.includes(plugin.id);
    box.addEventListener("change", () => {
      const next = box.checked ? [...enabled, plugin.id] : enabled.filter((id) => id !== plugin.id);
      this.page.enable(next);
    });
    const act = (call) => () => this.page.act(call);
    const path = `api/plugins/${encodeURIComponent(plugin.id)}`;
    const secret = plugin.auth === "oauth" ? "Sign out" : "Forget token";
    return el("li", {},
      el("div", { class: "row" },
        box, el("label", { for: box.id }, logo(plugin.image), " ", plugin.name),
        el("button", { class: "plain", id: `again-${plugin.id}`, "aria-label": `Refresh ${plugin.name}`, title: "Read its documents again",
          onclick: act(() => post(`${path}/refresh`)) }, "Refresh"),
        plugin.wants ? el("button", { class: "plain", "aria-label": `Sign in at ${plugin.name}`,
          onclick: () => { this.toggle(false); this.open(plugin.source); this.found(plugin); } }, plugin.wants === "token" ? "Enter token" : "Sign in") : "",
        plugin.has_secret && !plugin.wants ? el("button", { class: "plain", "aria-label": `${secret} of ${plugin.name}`,
          onclick: act(() => post(`${path}/forget`)) }, secret) : "",
        el("button", { class: "plain", "aria-label": `Uninstall ${plugin.name}`,
          onclick: act(() => remove(path)) }, "Uninstall")),
      el("div", { class: "quiet" }, `${plugin.source}, ${count(plugin.function_count, "function")}`),
      plugin.allowed.length ? this.allowed(plugin, path) : "",
      plugin.problem ? el("div", { class: "bad" }, plugin.problem) : "");
  }

  // What is called without a question, and may be taken back.
  allowed(plugin, path) {
    return el("ul", { "aria-label": `Always allowed at ${plugin.name}` }, plugin.allowed.map((one, place) => el("li", { class: "row" },
      el("span", { class: "grow" }, "Always allowed: ", el("code", {}, one.operation), " ", el("code", {}, `${one.method} ${one.address}`)),
      el("button", { class: "plain", id: `revoke-${plugin.id}-${place}`, "aria-label": `Ask again before ${one.operation}`,
        onclick: () => this.page.act(() => post(`${path}/revoke`, { operation: one.operation })) }, "Ask again"))));
  }

  welcome(on) {
    if (!on.length) {
      $("welcome").replaceChildren(
        el("h2", {}, this.all.length ? "No plugin is enabled" : "Install a plugin"),
        el("p", {}, this.all.length ? "Enable one in the menu above." : "Your notebook's, another on this machine, or any other by its URL."),
        el("button", { class: "main", onclick: () => this.open() }, "Develop your own plugin"));
      return;
    }
    $("welcome").replaceChildren(...on.flatMap((plugin) => [
      el("h2", {}, logo(plugin.image), ` ${plugin.name}`),
      el("p", {}, plugin.text),
      this.functions(plugin, 8)]));
  }

  functions(plugin, most = 30) {
    const allowed = new Set(plugin.allowed.map((one) => one.operation));
    const more = plugin.function_count - Math.min(most, plugin.functions.length);
    return el("ul", {},
      plugin.functions.slice(0, most).map((one) => el("li", {},
        el("code", {}, one.name), " ", one.text.slice(0, 300), one.asks ? el("span", { class: "quiet" }, allowed.has(one.name) ? " (always allowed)" : " (asks first)") : "",
        " ", el("button", { class: "small", type: "button", "aria-label": `Try ${one.name}`, onclick: () => this.try(plugin, one.name) }, "Try"))),
      more > 0 ? el("li", { class: "quiet" }, `and ${more} more`) : "");
  }

  // A form for one function: the person calls it, without a model.
  try(plugin, name) {
    return this.page.act(async () => {
      const path = `api/forms/${encodeURIComponent(plugin.id)}/${encodeURIComponent(name)}`;
      const about = jsonValue(await text(path));
      $("try-title").textContent = visible(`${name} of ${plugin.name}`);
      $("tried").replaceChildren(formOf(about, path).node);
      $("try").showModal();
      $("tried").querySelector("input, select, textarea")?.focus();
    });
  }

  open(url = "") {
    $("domain").value = url || $("domain").value;
    $("steps").replaceChildren();
    $("found").replaceChildren();
    $("store").showModal();
    $("domain").focus();
  }

  async find() {
    const url = $("domain").value.trim();
    const submit = $("find").querySelector("[type=submit]");
    $("steps").replaceChildren();
    $("found").replaceChildren();
    if (!url) {
      this.step({ step: "Nothing to look for", text: "Enter the address of the plugin, such as localhost:3333.", ok: false });
      return;
    }
    submit.disabled = true;
    const waiting = el("li", { class: "quiet busy" }, "Looking");
    $("steps").append(waiting);
    try {
      for await (const item of lines("api/plugins", "POST", { url })) {
        if (item.error !== undefined) this.refused(item.error, item.remedy);
        else if (item.found) this.found(item.found);
        else waiting.before(this.item(item));
      }
    } catch (error) {
      this.refused(error.message, error.remedy);
    } finally {
      waiting.remove();
      submit.disabled = false;
    }
  }

  item(step) {
    const more = step.items?.length
      ? el("details", {}, el("summary", {}, step.ok ? "What was found" : "Which"), el("ul", {},
          step.items.map((one) => el("li", {}, el("code", {}, one.place), ` ${one.text}`))))
      : "";
    return el("li", {},
      el("span", { class: step.ok ? "mark" : "mark bad", "aria-hidden": "true" }, step.ok ? "✓" : "!"),
      el("strong", {}, step.step), ` ${step.text} `, step.detail ? el("span", { class: "quiet" }, step.detail) : "", more);
  }

  step(step) {
    $("steps").append(this.item(step));
  }

  refused(problem, remedy) {
    $("found").replaceChildren(el("div", { class: "error", role: "alert" }, el("strong", {}, "Not installed. "), problem, " ", remedy || ""));
  }

  found(plugin) {
    const wants = plugin.wants;
    const label = { token: "Its token (kept in the notebook's process only)", sign_in: "Client ID" }[wants];
    const first = el("input", { id: "secret", type: wants === "token" ? "password" : "text", autocomplete: "off", spellcheck: "false" });
    const second = el("input", { id: "client-secret", type: "password", autocomplete: "off" });
    const install = el("button", { class: "main", type: "submit" }, wants === "sign_in" ? "Sign in" : "Install plugin");
    const waiting = el("div", { role: "status" });
    const form = el("form", { class: "card" },
      el("h3", { tabindex: "-1" }, logo(plugin.image), ` ${plugin.name}`),
      el("p", {}, plugin.text),
      el("p", { class: "quiet" }, `Calls go to ${plugin.base}. Auth: ${AUTH[plugin.auth] || plugin.auth}.`),
      el("details", {}, el("summary", {}, count(plugin.function_count, "function")), this.functions(plugin, 100)),
      plugin.verification ? this.verification(plugin.verification) : "",
      label ? el("p", {}, el("label", { for: "secret" }, label), first) : "",
      wants === "sign_in" ? el("p", {}, el("label", { for: "client-secret" }, "Client secret (kept in the notebook's process only)"), second) : "",
      wants === "sign_in" ? el("p", { class: "quiet" }, "Its author registers this redirect URI: ", el("code", {}, this.page.callback)) : "",
      install, waiting);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      install.disabled = true;
      try {
        const path = `api/plugins/${encodeURIComponent(plugin.id)}`;
        const installed = wants === "sign_in"
          ? await this.signIn(`${path}/sign_in`, { client_id: first.value, client_secret: second.value }, waiting)
          : await post(path, { token: first.value });
        $("store").close();
        await this.page.installed(installed);
      } catch (error) {
        if (error.name !== "AbortError") this.refused(error.message, error.remedy);
      } finally {
        install.disabled = false;
      }
    });
    $("found").replaceChildren(form);
    // never to a button: a space that is typed meanwhile would press it
    (label ? first : form.querySelector("h3")).focus();
  }

  // What ChatGPT handed out to prove that the manifest is the author's.
  verification({ token, is_found }) {
    return el("p", { class: "quiet" },
      "Verification token: ", el("code", {}, token), " ",
      is_found ? "✓ found in the manifest." : "Not in the manifest yet: put it there as verification_tokens={\"openai\": \"...\"} and find it again.");
  }

  // Opens the authorization server in another tab, and waits until the browser has come back from it.
  async signIn(path, body, waiting) {
    const leaving = new AbortController();
    $("store").addEventListener("close", () => leaving.abort(), { once: true });
    for await (const item of lines(path, "POST", body, leaving.signal)) {
      if (item.error !== undefined) throw Object.assign(new Error(item.error), { remedy: item.remedy });
      if (item.installed) return item.installed;
      if (item.url && /^https?:/.test(item.url)) {
        const link = el("a", { href: item.url, target: "_blank", rel: "noopener noreferrer" }, `Go on at ${new URL(item.url).host}`);
        waiting.replaceChildren(el("p", {}, link, " ", el("span", { class: "quiet busy" }, "waiting for you to sign in")), el("p", { class: "quiet" }, item.url.split("?")[0]));
      }
    }
    throw new Error("The sign-in ended.");
  }
}

const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
