// The page: its chats, message field and themes. The conversation itself is in conversation.js.

import { get, lines, post, remove } from "./api.js";
import { Transcript } from "./conversation.js";
import { copy } from "./copy.js";
import { $, el, visible } from "./dom.js";
import { keepFocus } from "./focus.js";
import { listen } from "./keys.js";
import { Plugins } from "./plugins.js";

class Page {
  constructor() {
    this.plugins = new Plugins(this);
    this.enabled = [];
    this.id = null;
    this.drafts = new Map(); // what was typed and not sent, by chat
    $("new").addEventListener("click", () => this.begin());
    $("composer").addEventListener("submit", (event) => { event.preventDefault(); this.say(); });
    $("stop").addEventListener("click", () => this.stop());
    $("text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.say(); }
    });
    $("text").addEventListener("input", () => this.grow());
    $("menu").addEventListener("click", () => this.side(!$("side").classList.contains("open")));
    listen(this);
    keepFocus();
    document.addEventListener("keydown", (event) => this.escape(event));
    $("scroll").addEventListener("click", () => this.side(false));
    $("scroll").addEventListener("scroll", () => this.transcript?.scrolled(), { passive: true });
    for (const button of document.querySelectorAll("dialog .close")) {
      button.addEventListener("click", () => button.closest("dialog").close());
    }
    $("export").addEventListener("click", () => this.write("cell"));
    for (const button of document.querySelectorAll("[data-form]")) {
      button.addEventListener("click", () => this.write(button.dataset.form));
    }
    $("copy").addEventListener("click", () => this.copy());
    $("theme").addEventListener("click", () => this.theme({ "": "light", light: "dark", dark: "" }[document.documentElement.dataset.theme || ""]));
    this.theme(stored("theme") || "");
    // Another tab or the notebook may have changed something meanwhile.
    window.addEventListener("focus", () => this.refresh());
    window.addEventListener("hashchange", () => { if (location.hash.slice(1) !== this.id) this.open(location.hash.slice(1)); });
    // Without focus too: the plugin may have changed, or the process may be gone.
    setInterval(() => { if (!document.hidden && !this.busy) this.refresh(); }, 5000);
  }

  async start() {
    await this.open(location.hash.slice(1));
    // The user may have moved the focus already.
    const isFree = document.activeElement === document.body;
    if (isFree && !matchMedia("(max-width: 45rem)").matches && window === window.top) $("text").focus();
  }

  // -- the server's state -------------------------------------------------------------

  async refresh() {
    try {
      const state = await get("api/state");
      this.callback = state.callback;
      if (this.isLost) this.clearError(); // the process answers again; any other error stays visible
      // Another tab has sent a message in this chat.
      const here = state.conversations.find((one) => one.id === this.id);
      if (here?.events > this.transcript.seen && !this.busy) this.follow();
      // Only if it differs: an element replaced between mouse down and mouse up receives no click.
      const drawn = JSON.stringify([state, this.enabled, this.id]);
      if (drawn === this.drawn) return;
      this.drawn = drawn;
      $("model").textContent = visible(state.model.name);
      $("model").className = state.model.is_understudy ? "understudy" : "";
      $("model").title = visible(state.model.note);
      $("note").textContent = state.model.is_understudy
        ? `No key is set: the understudy answers. It is not a language model, it only matches words.${visible(state.model.offer)}`
        : "The model can make mistakes. Check what it calls.";
      $("chats").replaceChildren(...state.conversations.map((one) => el("li", {},
        el("button", { class: "title", "aria-current": one.id === this.id ? "true" : null, onclick: () => { this.side(false); this.open(one.id); } }, one.title),
        el("button", { "aria-label": `Delete chat ${one.title}`, onclick: () => this.forget(one.id) }, "×"))));
      this.plugins.show(state.plugins, this.enabled);
    } catch (error) {
      this.failed(error);
    }
  }

  failed = (error) => {
    $("lost").textContent = visible(`${error.message} ${error.remedy || ""}`);
    $("lost").hidden = false;
    this.isLost = Boolean(error.lost);
  };

  clearError() {
    $("lost").hidden = true;
    this.isLost = false;
  }

  // Runs the user's action, shows its error if there is one, and refreshes the page.
  async act(call) {
    try {
      await call();
      this.clearError();
    } catch (error) {
      this.failed(error);
      this.drawn = null; // resets a checkbox whose change failed
    }
    await this.refresh();
  }

  // -- chats ---------------------------------------------------------------------------

  async open(id) {
    this.leave?.abort();
    if (id) {
      try {
        const about = await get(`api/conversations/${encodeURIComponent(id)}`);
        return this.enter(about);
      } catch (error) {
        if (error.lost) return this.failed(error);
      }
    }
    return this.begin();
  }

  async begin() {
    try {
      await this.enter(await post("api/conversations"));
      this.side(false);
    } catch (error) {
      this.failed(error);
    }
  }

  async enter(about) {
    if (this.id) this.drafts.set(this.id, $("text").value);
    // what was typed while the page began stays
    if (this.id && this.id !== about.id) this.type(this.drafts.get(about.id) || "");
    this.id = about.id;
    this.enabled = about.enabled;
    history.replaceState(null, "", `#${about.id}`);
    this.transcript?.close();
    this.transcript = new Transcript(about.id, this.failed);
    this.transcript.retry = (text) => this.send(text);
    this.transcript.follow = () => this.follow();
    $("welcome").hidden = false;
    const followed = this.follow(); // first, so that refresh finds the new events being drawn
    await this.refresh();
    await followed;
  }

  async forget(id) {
    await remove(`api/conversations/${encodeURIComponent(id)}`).catch(this.failed);
    if (id === this.id) await this.begin();
    else await this.refresh();
  }

  enable(ids) {
    return this.act(async () => {
      this.enabled = (await post(`api/conversations/${this.id}/plugins`, { enabled: ids })).enabled;
    });
  }

  async installed(plugin) {
    if (this.enabled.includes(plugin.id)) await this.refresh();
    else await this.enable([...this.enabled, plugin.id]);
    $("text").focus();
  }

  // -- one turn ------------------------------------------------------------------------

  // Sends what is typed; what is typed from now on belongs to the next message.
  async say() {
    const text = $("text").value;
    if (!text.trim() || this.busy) return;
    this.type("");
    const id = this.id;
    if (await this.send(text)) return;
    const restore = (later) => (later ? `${text}\n${later}` : text);
    if (id === this.id) this.type(restore($("text").value));
    else this.drafts.set(id, restore(this.drafts.get(id)));
  }

  // Sends a message, and draws the turn that it begins. False if it was refused.
  async send(text) {
    const id = this.id;
    if (this.busy) return false;
    this.working(true);
    try {
      await post(`api/conversations/${id}/say`, { text });
    } catch (error) {
      this.failed(error);
      if (id === this.id) this.working(false);
      return false;
    }
    if (id === this.id) {
      this.transcript.follows = true;
      await this.follow();
    }
    await this.refresh();
    return true;
  }

  stop() {
    return post(`api/conversations/${this.id}/stop`).catch((error) => this.failed(error));
  }

  // Closes what is open, else stops the answer. A dialog and the menu of the plugins close themselves.
  escape(event) {
    if (event.key !== "Escape" || event.defaultPrevented || event.isComposing) return;
    if ($("side").classList.contains("open")) this.side(false);
    else if (this.busy && !document.querySelector("dialog[open]")) this.stop();
  }

  type(text) {
    $("text").value = text;
    this.grow();
  }

  // Draws new events until no turn is running.
  async follow() {
    this.leave?.abort();
    const leave = (this.leave = new AbortController());
    const transcript = this.transcript;
    this.working(true);
    try {
      for await (const event of lines(`api/conversations/${this.id}/events?start=${transcript.seen}`, "GET", undefined, leave.signal)) {
        if (leave !== this.leave || transcript !== this.transcript) return;
        transcript.draw(event);
      }
      this.clearError();
    } catch (error) {
      if (error.name !== "AbortError") this.failed(error);
    } finally {
      if (leave === this.leave) {
        transcript.rest();
        this.working(false);
      }
    }
  }

  working(busy) {
    this.busy = busy;
    const isHeld = [$("send"), $("stop")].includes(document.activeElement); // a hidden button would lose the focus
    $("send").hidden = busy;
    $("stop").hidden = !busy;
    if (isHeld) $("text").focus({ preventScroll: true });
  }

  // -- layout and dialogs ---------------------------------------------------------------

  grow() {
    $("text").style.height = "auto";
    $("text").style.height = `${$("text").scrollHeight + 2}px`;
  }

  side(open) {
    $("side").classList.toggle("open", open);
    const was = $("menu").getAttribute("aria-expanded") === "true";
    $("menu").setAttribute("aria-expanded", String(open));
    if (open) $("new").focus();
    else if (was && $("side").contains(document.activeElement)) $("menu").focus();
  }

  theme(name) {
    document.documentElement.dataset.theme = name;
    store("theme", name);
    $("theme").querySelector("span").textContent = name || "automatic";
  }

  async write(form) {
    for (const button of document.querySelectorAll("[data-form]")) {
      button.setAttribute("aria-pressed", String(button.dataset.form === form));
    }
    try {
      $("code").textContent = (await get(`api/conversations/${this.id}/export/${form}`)).text;
      $("copy").disabled = false;
    } catch (error) {
      $("code").textContent = visible(`${error.message} ${error.remedy || ""}`);
      $("copy").disabled = true;
    }
    $("copy").textContent = "Copy";
    if (!$("written").open) $("written").showModal();
  }

  async copy() {
    $("copy").textContent = (await copy($("code").textContent)) ? "Copied" : "Not copied";
  }
}

// A frame on another site may have no storage.
function stored(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}
function store(name, value) {
  try { localStorage.setItem(name, value); } catch { /* not remembered */ }
}

new Page().start();
