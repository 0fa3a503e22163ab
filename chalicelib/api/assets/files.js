// One whole file out of the parts that the API gives: CSV, NDJSON, JSON and EPCIS.
// JSON is never parsed into numbers, which would lose digits: its text is cut apart and put together again.
"use strict";

const files = (() => {
  const TYPES = {
    csv: "text/csv", ndjson: "application/x-ndjson", json: "application/json", epcis: "application/ld+json",
  };

  // The texts between the top level's commas of one JSON array or object.
  const pieces = (text) => {
    const found = [];
    let depth = 0;
    let from = text.search(/\S/) + 1;
    for (const { 0: token, index } of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{},]/g)) {
      if (token === "[" || token === "{") depth += 1;
      else if (token === "]" || token === "}") depth -= 1;
      if ((depth === 1 && token === ",") || depth === 0) {
        const piece = text.slice(from, index);
        if (piece.trim()) found.push(piece);
        from = index + 1;
      }
    }
    return found;
  };

  // The members of a JSON object, as name and text.
  const members = (text) => new Map(pieces(text).map((piece) => {
    const [name] = /^\s*"[^"\\]*(?:\\.[^"\\]*)*"/.exec(piece);
    return [JSON.parse(name), piece.slice(piece.indexOf(":", name.length) + 1)];
  }));

  const object = (given) => "{" + [...given].map(([name, text]) => JSON.stringify(name) + ":" + text).join(",") + "}";
  const listed = (text) => (text.trim().startsWith("[") ? pieces(text) : [text]);
  const array = (texts) => "[" + texts.join(",") + "]";

  const JOINED = {
    csv: (parts) => parts.map((part, index) => (index ? part.slice(part.indexOf("\n") + 1) : part)),
    ndjson: (parts) => parts,
    json: (parts) => {
      const all = parts.map(members);
      const events = all.flatMap((part) => pieces(part.get("events")));
      return [object(all[0].set("events", array(events)).set("next", "null"))];
    },
    epcis: (parts) => {
      const all = parts.map(members);
      const bodies = all.map((part) => members(part.get("epcisBody")));
      const events = bodies.flatMap((body) => pieces(body.get("eventList")));
      const contexts = new Set(all.flatMap((part) => listed(part.get("@context"))));
      const created = all.map((part) => part.get("creationDate")).sort().at(-1);
      const body = object(bodies[0].set("eventList", array(events)));
      return [object(
        all[0].set("@context", array([...contexts])).set("creationDate", created).set("epcisBody", body),
      )];
    },
  };

  // The address of the part that follows a response; null when it was the last one.
  const next = (response) => {
    const link = /^<([^>]*)>; rel="next"$/.exec(response.headers.get("Link") ?? "");
    return link && new URL(link[1], response.url).href;
  };

  // The whole file.  `load` fetches one address; `tell` hears of each part.  Throws when a part does not come.
  const whole = async (form, address, load, tell) => {
    const parts = [];
    for (let here = address; here !== null;) {
      const response = await load(here);
      if (!response.ok) throw new Error(String(response.status));
      parts.push(await response.text());
      here = next(response);
      tell(parts.length, here === null);
    }
    return new Blob(JOINED[form](parts), { type: TYPES[form] });
  };

  return { whole };
})();
