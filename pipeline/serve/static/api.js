// Texts in the reader's language, and requests to the page. What comes from data is only ever set as text.

export const byId = (id) => document.getElementById(id);

const texts = JSON.parse(byId("texts").textContent);

// With a count of one it is the text's `.one`, where there is such.
export function text(name, values = {}) {
  const one = values.count === 1 ? texts[`${name}.one`] : undefined;
  return (one ?? texts[name] ?? name).replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

export function dataOf(id) {
  return JSON.parse(byId(id).textContent);
}

export function number(value, digits) {
  return value.toLocaleString(document.documentElement.lang, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// What stays as it is is not set: a reader of the screen would read it out once more.
export function set(id, value) {
  if (byId(id).textContent !== value) byId(id).textContent = value;
}

const SHOWN_MS = 8000; // what went well; a problem stays until the next message
let hiding = 0;

export function say(message, isProblem = false) {
  const status = byId("status");
  clearTimeout(hiding);
  if (message && !isProblem) hiding = setTimeout(() => say(""), SHOWN_MS);
  status.textContent = message;
  status.classList.toggle("problem", isProblem);
  document.documentElement.style.setProperty("--message-height", `${status.offsetHeight}px`); // what is pressed stays above it
}

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// A value above what it is, for a list of them.
export function figure(name, value) {
  return element("div", {}, element("dd", { textContent: value }), element("dt", { textContent: text(name) }));
}

async function answerOf(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Error(text("script.offline"));
  }
  if (response.status === 401) location.assign("/login");
  const isData = (response.headers.get("content-type") ?? "").startsWith("application/json");
  const answer = isData ? await response.json() : { error: await response.text() };
  if (!response.ok) throw Object.assign(new Error(text("script.failed", { error: answer.error })), { status: response.status });
  return answer;
}

export function get(address, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  return answerOf(fetch(query ? `${address}?${query}` : address));
}

export function post(address, sent) {
  return answerOf(
    fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(sent) }),
  );
}

// A file as it is; who receives it decides what it is.
export function postFile(address, file) {
  const query = new URLSearchParams({ name: file.name });
  return answerOf(fetch(`${address}?${query}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file }));
}

// Who decides: kept in this browser; without a token it may be left out, and is whoever runs `rig serve`.
export function who() {
  const field = byId("who");
  if (!field.value.trim() && field.dataset.mustBeGiven === "yes") {
    field.focus();
    throw new Error(text("script.name first"));
  }
  return field.value.trim();
}

const underWay = new Set();

// One thing of a kind at a time: what is pressed before the answer is there is dropped, and what was pressed shows that
// it waits. A problem is shown. Returns what the task returns; null where it was dropped or did not succeed.
export async function once(kind, pressed, task) {
  if (underWay.has(kind)) return null;
  underWay.add(kind);
  pressed?.setAttribute("aria-busy", "true");
  try {
    return await task();
  } catch (error) {
    say(error.message, true);
    return null;
  } finally {
    underWay.delete(kind);
    pressed?.removeAttribute("aria-busy");
  }
}

export const isUnderWay = (kind) => underWay.has(kind);

export function isTyping(event) {
  const tag = event.target.tagName;
  const isField = tag === "TEXTAREA" || tag === "SELECT" || (tag === "INPUT" && event.target.type !== "range");
  return isField || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") !== null;
}
