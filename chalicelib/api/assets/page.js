// What pages can do beyond links and forms: keep a token for this tab, load older events in place, filter
// and open them, and save whole files (files.js).
// Everything it shows comes from the server as a page, so there is one rendering of everything.
"use strict";

(() => {
  const KEY = "lifecycle-token";
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];

  const stored = () => {
    try { return sessionStorage.getItem(KEY); } catch { return null; }
  };
  const keep = (token) => {
    try {
      if (token === null) sessionStorage.removeItem(KEY);
      else sessionStorage.setItem(KEY, token);
    } catch { /* without storage it lives as long as this page */ }
    memory = token;
  };
  let memory = stored();
  let wanted = null; // the type that is shown; null shows all

  const say = (text) => { byId("said").textContent = text; };

  const load = (address, accept) => {
    const headers = { Accept: accept };
    if (memory !== null) headers.Authorization = "Bearer " + memory;
    return fetch(address, { headers, credentials: "same-origin" });
  };

  const page = async (address) => {
    const response = await load(address, "text/html");
    return [response, new DOMParser().parseFromString(await response.text(), "text/html")];
  };

  // Where the shell says why it asks.
  const explain = (text) => {
    document.querySelector("#refusal .why").textContent = text;
    say(text);
  };

  // The shell: the same address again, with the token.
  const show = async () => {
    let response, loaded;
    try {
      [response, loaded] = await page(location.href);
    } catch {
      ready();
      explain("No answer came. Try again in a moment.");
      return;
    }
    document.title = loaded.title;
    for (const id of ["top", "main"]) byId(id).replaceWith(loaded.getElementById(id));
    if (response.status === 401 || response.status === 403) keep(null);
    ready();
    if (response.ok && location.hash) byId(location.hash.slice(1))?.scrollIntoView();
    if (!response.ok) say(document.querySelector("#refusal h1")?.textContent ?? "");
  };

  const count = (number) => number.toLocaleString("en");

  // Shows the wanted type, and the counts of what is there.
  const refresh = () => {
    const events = all("#timeline .event");
    const counts = new Map();
    for (const event of events) {
      const type = event.dataset.type;
      counts.set(type, (counts.get(type) ?? 0) + 1);
      event.hidden = wanted !== null && type !== wanted;
    }
    for (const year of all("#timeline .year")) year.hidden = !year.querySelector(".event:not([hidden])");
    const more = byId("more") !== null;
    if (byId("count")) byId("count").textContent = count(events.length) + (more ? " newest of more" : "");
    for (const chip of all("#kinds a")) {
      const type = chip.dataset.type ?? null;
      const number = chip.querySelector(".count");
      if (number) number.textContent = count(type === null ? events.length : counts.get(type) ?? 0);
      if (!chip.closest("[data-in-place]")) continue;
      chip.closest("li").hidden = false;
      if (type === wanted) chip.setAttribute("aria-current", "true");
      else chip.removeAttribute("aria-current");
    }
  };

  const filter = (chip) => {
    const type = chip.dataset.type ?? null;
    wanted = type === wanted ? null : type;
    refresh();
    const shown = byId("shown");
    shown.textContent = "";
    if (wanted === null) return;
    const found = all("#timeline .event:not([hidden])").length;
    shown.append(`${count(found)} of the ${count(all("#timeline .event").length)} events loaded. `);
    if (byId("more")) {
      const rest = document.createElement("a");
      rest.href = chip.href;
      rest.textContent = "Look through the older ones too";
      shown.append(rest);
    }
  };

  const open = () => {
    const button = byId("open-all");
    const opens = button.getAttribute("aria-expanded") !== "true";
    for (const each of all("#timeline details")) each.open = opens;
    button.setAttribute("aria-expanded", String(opens));
    button.textContent = opens ? "Close all" : "Open all";
  };

  const more = async (link) => {
    if (link.getAttribute("aria-busy") === "true") return;
    link.setAttribute("aria-busy", "true");
    let response, loaded;
    try {
      [response, loaded] = await page(link.href);
    } catch { /* offline: the plain link says so better than we could */ }
    if (!response?.ok) { location.assign(link.href); return; }
    // References are relative to the page they stand in.
    const at = (href) => (href.startsWith("#") ? href : new URL(href, response.url).href);
    for (const each of loaded.querySelectorAll("#main a[href]")) each.href = at(each.getAttribute("href"));
    const added = [...loaded.querySelectorAll("#timeline .event")];
    for (const year of loaded.querySelectorAll("#timeline .year")) {
      const last = all("#timeline .year").at(-1);
      if (last?.dataset.year === year.dataset.year) last.querySelector("ol").append(...year.querySelectorAll("li"));
      else byId("timeline").append(year);
    }
    for (const chip of loaded.querySelectorAll("#kinds li")) {
      const type = chip.querySelector("a").dataset.type;
      const known = all("#kinds a").some((each) => each.dataset.type === type);
      if (!known) byId("kinds")?.querySelector("ul").append(chip);
    }
    const next = loaded.getElementById("more");
    if (next) {
      link.href = next.href;
      link.removeAttribute("aria-busy");
    } else {
      link.closest("p").remove();
    }
    const opened = byId("open-all").getAttribute("aria-expanded") === "true";
    for (const each of added) each.querySelector("details").open = opened;
    refresh();
    say(added.length + (added.length === 1 ? " more event" : " more events") + (next ? "" : ", no more after these"));
    const first = added.find((event) => !event.hidden);
    if (first) {
      first.tabIndex = -1;
      first.focus({ preventScroll: true });
    }
  };

  // The event that a link leads to, if it is on this page.
  const target = (link) => (link.hash.startsWith("#e-") ? byId(link.hash.slice(1)) : null);

  const go = (found) => {
    if (found.hidden) { wanted = null; refresh(); byId("shown").textContent = ""; }
    location.hash = found.id;
    found.scrollIntoView();
    found.tabIndex = -1;
    found.focus({ preventScroll: true });
  };

  const save = (blob, name) => {
    const url = URL.createObjectURL(blob);
    const saved = document.createElement("a");
    saved.href = url;
    saved.download = name;
    saved.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };

  let taking = false;
  const take = async (link) => {
    if (taking) return;
    taking = true;
    const tell = (text) => { byId("taking").textContent = text; };
    tell("Fetching …");
    try {
      const whole = await files.whole(link.dataset.form, link.href, (address) => load(address, "*/*"), (parts) => {
        tell(`Fetching … part ${count(parts)} is here`);
      });
      save(whole, link.dataset.name);
      tell(`${link.dataset.name} is saved, with every event.`);
    } catch {
      tell("It could not be fetched to its end, so nothing was saved. Try again in a moment.");
    }
    taking = false;
  };

  // Data that needs the token: the browser alone would ask without it.
  const read = async (link) => {
    const response = await load(link.href, "*/*");
    if (!response.ok) { location.assign(link.href); return; }
    location.assign(URL.createObjectURL(new Blob([await response.text()], { type: "application/json" })));
  };

  const ready = () => {
    if (byId("token-form")) byId("token-form").hidden = false;
    byId("forget-token").hidden = memory === null;
    if (byId("open-all")) byId("open-all").hidden = !document.querySelector("#timeline details");
    for (const each of all("#downloads .part")) each.hidden = true;
    if (byId("timeline")) refresh();
  };

  document.addEventListener("submit", (event) => {
    if (event.target.id !== "token-form") return;
    event.preventDefault();
    const token = event.target.elements.token.value.trim();
    // Anything else cannot stand in a header: the browser would refuse to send it.
    if (/^[!-~]+$/.test(token)) { keep(token); show(); }
    else explain("That cannot be a token: a token is letters, digits, - and _, without quotes or spaces.");
  });

  document.addEventListener("click", (click) => {
    if (click.target.id === "forget-token") { keep(null); location.reload(); return; }
    if (click.target.id === "open-all") { open(); return; }
    const link = click.target.closest?.("a");
    if (!link || click.ctrlKey || click.metaKey || click.shiftKey || click.altKey) return;
    const done = link.id === "more" ? () => more(link)
      : link.hasAttribute("download") ? () => take(link)
      : link.closest("#kinds[data-in-place]") ? () => filter(link)
      : link.classList.contains("data") && memory !== null ? () => read(link)
      : target(link) ? () => go(target(link)) : null;
    if (done) { click.preventDefault(); done(); }
  });

  ready();
  if (byId("token-form") && memory !== null) show();
})();
