// The plugin menu of a chat, and the dialog that finds, shows and installs a plugin.

import { lines, post, remove } from "./api.js";
import { $, el, logo } from "./dom.js";

const AUTH = {
  none: "none (anyone may call it)",
  user_http: "each user's own token",
  service_http: "the service's token",
  oauth: "sign-in (OAuth)",
};

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
      if (event.key === "Escape" && !$("menu-plugins").hidden) this.toggle(false);
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
      ...(on.length ? on.flatMap((plugin) => [logo(plugin.image), ` ${plugin.name} `]) : [all.length ? "No plugin enabled" : "No plugins"]),
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
    return el("li", {},
      el("div", { class: "row" },
        box, el("label", { for: box.id }, logo(plugin.image), " ", plugin.name),
        el("button", { class: "plain", id: `again-${plugin.id}`, "aria-label": `Refresh ${plugin.name}`, title: "Read its documents again",
          onclick: act(() => post(`api/plugins/${encodeURIComponent(plugin.id)}/refresh`)) }, "Refresh"),
        el("button", { class: "plain", "aria-label": `Uninstall ${plugin.name}`,
          onclick: act(() => remove(`api/plugins/${encodeURIComponent(plugin.id)}`)) }, "Uninstall")),
      el("div", { class: "quiet" }, `${plugin.source}, ${count(plugin.function_count, "function")}`),
      plugin.problem ? el("div", { class: "bad" }, plugin.problem) : "");
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
    const more = plugin.function_count - Math.min(most, plugin.functions.length);
    return el("ul", {},
      plugin.functions.slice(0, most).map((one) => el("li", {},
        el("code", {}, one.name), " ", one.text.slice(0, 300), one.asks ? el("span", { class: "quiet" }, " (asks first)") : "")),
      more > 0 ? el("li", { class: "quiet" }, `and ${more} more`) : "");
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
    const needs = plugin.auth !== "none" && plugin.auth !== "oauth";
    const token = el("input", { id: "token", type: "password", autocomplete: "off" });
    const install = el("button", { class: "main", type: "submit" }, "Install plugin");
    const form = el("form", { class: "card" },
      el("h3", {}, logo(plugin.image), ` ${plugin.name}`),
      el("p", {}, plugin.text),
      el("p", { class: "quiet" }, `Calls go to ${plugin.base}. Auth: ${AUTH[plugin.auth] || plugin.auth}.`),
      el("details", {}, el("summary", {}, count(plugin.function_count, "function")), this.functions(plugin, 100)),
      needs ? el("p", {}, el("label", { for: "token" }, "Its token (kept in the notebook's process only)"), token) : "",
      plugin.auth === "oauth" ? el("p", {}, "OAuth sign-in is not supported here: calls are sent without a token.") : "",
      install);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      install.disabled = true;
      try {
        const installed = await post(`api/plugins/${encodeURIComponent(plugin.id)}`, { token: token.value });
        $("store").close();
        await this.page.installed(installed);
      } catch (error) {
        this.refused(error.message, error.remedy);
      } finally {
        install.disabled = false;
      }
    });
    $("found").replaceChildren(form);
    install.focus();
  }
}

const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
