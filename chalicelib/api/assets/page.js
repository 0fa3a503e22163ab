// What pages can do beyond links and forms: keep a token for this tab, and load older events in place.
// Everything it shows comes from the server as a page, so there is one rendering of everything.
"use strict";

(() => {
  const KEY = "lifecycle-token";

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

  const say = (text) => { document.getElementById("said").textContent = text; };

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
    document.querySelector("#refusal p:not(.eyebrow)").textContent = text;
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
    document.getElementById("main").replaceWith(loaded.getElementById("main"));
    if (response.status === 401 || response.status === 403) keep(null);
    ready();
    if (response.ok && location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
    if (!response.ok) say(document.querySelector("#refusal h1")?.textContent ?? "");
  };

  const more = async (link) => {
    if (link.getAttribute("aria-busy") === "true") return;
    link.setAttribute("aria-busy", "true");
    let response, loaded;
    try {
      [response, loaded] = await page(link.href);
    } catch { /* offline: the plain link says so better than we could */ }
    if (!response?.ok) { location.assign(link.href); return; }
    const added = [...loaded.querySelectorAll("#timeline > li")];
    document.getElementById("timeline").append(...added);
    const next = loaded.getElementById("more");
    // References are relative to the page they stand in.
    const href = next && new URL(next.getAttribute("href"), response.url).href;
    if (next) {
      link.href = href;
      link.removeAttribute("aria-busy");
    } else {
      link.closest("p").remove();
    }
    say(added.length + (added.length === 1 ? " more event" : " more events") + (next ? "" : ", no more after these"));
    if (added.length) {
      added[0].tabIndex = -1;
      added[0].focus({ preventScroll: true });
    }
  };

  const download = async (link) => {
    const response = await load(link.href, "*/*");
    if (!response.ok) { location.assign(link.href); return; }
    const url = URL.createObjectURL(await response.blob());
    const saved = document.createElement("a");
    saved.href = url;
    saved.download = link.dataset.name ?? "";
    saved.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };

  const ready = () => {
    const form = document.getElementById("token-form");
    if (form) form.hidden = false;
    document.getElementById("forget-token").hidden = memory === null;
  };

  document.addEventListener("submit", (event) => {
    if (event.target.id !== "token-form") return;
    event.preventDefault();
    const token = event.target.elements.token.value.trim();
    // Anything else cannot stand in a header: the browser would refuse to send it.
    if (/^[!-~]+$/.test(token)) { keep(token); show(); }
    else explain("That cannot be a token: a token is letters, digits, - and _, without quotes or spaces.");
  });

  document.addEventListener("click", (event) => {
    if (event.target.id === "forget-token") { keep(null); location.reload(); return; }
    const link = event.target.closest?.("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.id === "more") { event.preventDefault(); more(link); }
    else if (link.hasAttribute("download") && memory !== null) { event.preventDefault(); download(link); }
  });

  ready();
  const asked = document.getElementById("token-form");
  if (asked && memory !== null) show();
})();
