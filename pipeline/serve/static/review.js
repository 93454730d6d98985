// The review: the queue, the coin that is shown, and the decisions.

import { byId, dataOf, element, get, isTyping, isUnderWay, number, once, post, say, text, who } from "./api.js";
import { Comparison, litAsCatalogues } from "./compare.js";
import { forgetReason, isPlaceOf, keepReason, reasonOf, writePlace } from "./place.js";
import { isDisputed, news, record } from "./record.js";
import * as work from "./work.js";

const AHEAD = 2; // items that are fetched before they are asked for
const MOST_IMAGES_AHEAD = 60;
const EVERY_MS = 5000;
const SEEN_MS = 500; // that a coin is there before a key decides about it: one pressed twice was meant for the coin before
const KEYS = { a: "same coin", d: "same die", t: "same type", r: "different", u: "unsure" };
const MODES = { v: "side", b: "blink", w: "wipe", f: "difference", e: "agreement", g: "relight" };
const MOVES = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

const queue = dataOf("queue");
const items = queue.items;
const comparison = new Comparison(byId("stages"), () => showReadiness());
const fetched = new Map();
const imagesAhead = new Map(); // by address, the one asked for last at the end
const decided = []; // this page's own decisions, the newest last
let at = 0;
let rank = 0;
let shown = null;
let shownItem = null; // of the list, what `shown` is
let [awaited, seen] = [null, null]; // `shown` once its images are there, and once they were for a moment

const keyOf = (item) => JSON.stringify([item.kind, item.session, item.coin, item.kind === "match" ? "" : item.candidate]);
const isWork = (item) => item.kind === "quarantined" || item.kind === "cut";

function fetchItem(item) {
  const key = keyOf(item);
  if (!fetched.has(key)) {
    const wanted = get("/review/item", { kind: item.kind, session: item.session, coin: item.coin, candidate: item.candidate });
    wanted.catch(() => fetched.delete(key));
    fetched.set(key, wanted);
  }
  return fetched.get(key);
}

// Held, or the browser might give up what it has decoded before it is shown.
function fetchImage(address) {
  const image = imagesAhead.get(address) ?? Object.assign(new Image(), { fetchPriority: "low", src: address });
  imagesAhead.delete(address);
  imagesAhead.set(address, image);
  image.decode().catch(() => imagesAhead.delete(address));
  if (imagesAhead.size > MOST_IMAGES_AHEAD) imagesAhead.delete(imagesAhead.keys().next().value);
}

async function fetchAhead() {
  const next = await Promise.allSettled(items.slice(at + 1, at + 1 + AHEAD).map(fetchItem));
  for (const { value: item } of next.filter((each) => each.status === "fulfilled")) {
    if (isWork(item)) {
      for (const each of item.frames ?? item.sides) fetchImage(`${each.image}?size=640`);
      continue;
    }
    const others = item.candidates[firstOpen(item)]?.sides ?? [];
    for (const side of item.sides) {
      const turn = others.find((each) => each.side === side.side)?.turn ?? 0;
      fetchImage(`${side.frames[litAsCatalogues(side.frames, turn)].image}?size=640`);
    }
    for (const side of others) fetchImage(`${side.image}?size=640`);
    for (const { sides } of item.candidates) if (sides.length) fetchImage(`${sides[0].image}?size=144`);
  }
  if (items.length < queue.total && at > items.length - 20) {
    const more = await get("/review/queue", { only: queue.only, start: items.length - queue.extra });
    const known = new Set(items.map(keyOf));
    const added = more.items.filter((each) => !known.has(keyOf(each)));
    items.push(...added);
    byId("items").append(...added.map(listed));
  }
}

function listed(item) {
  const button = element(
    "button",
    { type: "button" },
    element("span", { className: "name", textContent: item.coin }),
    element("span", { className: `tag ${item.reason}`, textContent: text(`reason.${item.reason}`) }),
  );
  button.addEventListener("click", () => go(items.indexOf(item)));
  return element("li", {}, button);
}

// `isOld` where the address leads there already: at first, and by Back and Forward.
async function go(wanted, isOld = false) {
  if (wanted >= items.length) return say(text("script.end"));
  if (wanted < 0) return undefined;
  at = wanted;
  const item = items[at];
  writePlace(queue.only, item, isOld);
  showReadiness();
  try {
    const isKept = fetched.has(keyOf(item));
    const found = await fetchItem(item);
    if (items[at] !== item) return undefined; // the reader was faster
    render(found);
    if (isKept) await lookAtOpinions();
    await fetchAhead();
  } catch (error) {
    say(error.message, true);
  }
  return undefined;
}

// What to show first: what reviewers disagree about, else the candidate that nobody rejected yet.
function firstOpen(item) {
  const disputed = item.candidates.findIndex(isDisputed);
  const isOpen = (each) => each.opinions.length === 0 || ["same coin", "unsure"].includes(each.opinions.at(-1).decision);
  return disputed >= 0 ? disputed : Math.max(0, item.candidates.findIndex(isOpen));
}

function render(item) {
  [shown, shownItem, awaited, seen] = [item, null, null, null]; // nothing is decided while it is being drawn
  byId("item").hidden = false;
  byId("coin").textContent = item.coin;
  const verdict = isWork(item) ? text(`reason.${item.kind}`) : text(`script.verdict.${item.verdict}`);
  [byId("verdict").textContent, byId("verdict").className] = [verdict, `verdict ${(item.verdict ?? item.kind).split(" ")[0]}`];
  const facts = isWork(item) ? work.facts(item) : [item.tray && text("script.tray", { tray: item.tray }), item.diameter, item.type, item.ranked];
  byId("facts").textContent = facts.filter(Boolean).join(" · ");
  byId("why").value = reasonOf(items[at]);
  byId("items").querySelector("[aria-current]")?.removeAttribute("aria-current");
  const button = byId("items").children[at]?.firstChild;
  button?.setAttribute("aria-current", "true");
  button?.scrollIntoView({ block: "nearest" });
  showDecisions(item);
  if (isWork(item)) byId("work").replaceChildren(...work.draw(item, showReadiness));
  else choose(firstOpen(item));
  shownItem = items[at];
  showReadiness();
}

// Whether what is decided about is before the person's eyes, and was for a moment.
function isReady() {
  if (shown === null || shownItem !== items[at] || isUnderWay("decision")) return false;
  if (!(isWork(shown) ? work.isSeen() : comparison.isSeen)) return false;
  if (awaited !== shown) {
    const item = (awaited = shown);
    setTimeout(() => {
      if (awaited === item) seen = item;
      showReadiness();
    }, SEEN_MS);
  }
  return seen === shown;
}

function showReadiness() {
  const ready = isReady();
  byId("item").setAttribute("aria-busy", String(!ready));
  for (const button of document.querySelectorAll("[data-decision], #accept, #reject")) button.setAttribute("aria-disabled", String(!ready));
}

// What is decided once, whatever is pressed meanwhile; then the next, unless the person went elsewhere.
async function settle(pressed, task) {
  if (!isReady()) {
    if (shownItem === items[at] && awaited === null) say(text("script.not seen"), true);
    return;
  }
  const item = items[at];
  const settled = once("decision", pressed, task);
  showReadiness();
  if ((await settled) !== null) {
    forgetReason(item);
    if (items[at] === item && at + 1 < items.length) await go(at + 1);
    else if (items[at] === item && !isWork(shown)) choose(rank);
  }
  showReadiness();
}

function showDecisions(item) {
  [byId("match").hidden, byId("work").hidden] = [isWork(item), !isWork(item)];
  for (const button of document.querySelectorAll("[data-decision]")) button.hidden = isWork(item);
  byId("accept").hidden = !isWork(item);
  byId("reject").hidden = !isWork(item) || !work.canReject(item);
  byId("reason").hidden = item.kind === "cut";
  if (isWork(item)) byId("accept").firstChild.textContent = text(`script.work.accept.${item.kind}`);
}

function choose(number) {
  rank = Math.min(number, Math.max(0, shown.candidates.length - 1));
  const candidate = shown.candidates[rank] ?? null;
  comparison.show(shown, candidate);
  const hasFocus = byId("candidates").contains(document.activeElement);
  byId("candidates").replaceChildren(...shown.candidates.map(candidateButton));
  if (hasFocus) byId("candidates").children[rank]?.focus();
  byId("record").replaceChildren(...(candidate ? record(candidate, takeBack) : [element("p", { textContent: text("script.no candidates") })]));
  for (const button of document.querySelectorAll("[data-decision]")) button.disabled = candidate === null;
}

function candidateButton(candidate, place) {
  const button = element(
    "button",
    { type: "button", className: "candidate" },
    candidate.sides.length ? element("img", { src: `${candidate.sides[0].image}?size=144`, alt: "" }) : null,
    element(
      "span",
      { className: "about" },
      element("span", {}, element("kbd", { textContent: candidate.rank }), ` ${candidate.citation}`),
      candidate.probability === null ? null : element("span", { className: "quiet", textContent: text("script.probability", { probability: number(candidate.probability, 3) }) }),
      ...[...new Set(candidate.opinions.map((each) => each.decision))].map((decision) => element("span", { className: `tag ${decision.replace(" ", "-")}`, textContent: text(`decision.${decision}`) })),
    ),
  );
  button.setAttribute("aria-pressed", String(place === rank));
  button.addEventListener("click", () => choose(place));
  return button;
}

function decide(decision) {
  const candidate = shown?.candidates?.[rank];
  if (!candidate) return;
  const [item, name] = [shownItem, shown.coin];
  settle(document.querySelector(`[data-decision="${decision}"]`), async () => {
    const sent = { coin: name, entry: candidate.coin, shown: candidate.entry, decision, who: who(), why: byId("why").value };
    const answer = await post("/review/decide", sent);
    const others = news(candidate.opinions, answer.opinions, answer.who);
    candidate.opinions = answer.opinions;
    remember(item, name, takingBack(answer.number), answer.number);
    const isNowDisputed = isDisputed(candidate);
    say([text("script.decided", { coin: name, decision: text(`decision.${decision}`) }), ...others, isNowDisputed && text("script.now disputed")].filter(Boolean).join(" "), others.length > 0);
    mark(item, isNowDisputed ? "disputed" : decision === "unsure" ? "unsure" : "decided");
  });
}

function decideWork(isAccepted) {
  if (!isAccepted && !work.canReject(shown)) return;
  const [item, found] = [shownItem, shown];
  settle(byId(isAccepted ? "accept" : "reject"), async () => {
    const back = await work.decide(found, isAccepted, byId("why").value);
    if (back) remember(item, found.coin, back);
    say(text(`script.work.done.${found.kind}.${isAccepted ? "accept" : "reject"}`, { coin: found.coin }));
    mark(item, "decided");
  });
}

function remember(item, coin, back, number = null) {
  decided.push({ item, coin, back, number });
  byId("undo").disabled = false;
}

const takingBack = (number) => () => post("/review/undo", { number, who: who() });

function takeBack(number, pressed) {
  return undo({ number, item: items[at], coin: shown.coin, back: takingBack(number) }, pressed);
}

async function undo(last = decided.at(-1), pressed = byId("undo")) {
  if (isUnderWay("decision")) return;
  if (!last) return say(text("script.nothing to undo"));
  const undone = once("decision", pressed, () => last.back());
  showReadiness();
  if ((await undone) !== null) {
    const index = decided.findIndex((each) => each === last || (each.number !== null && each.number === last.number));
    if (index >= 0) decided.splice(index, 1);
    byId("undo").disabled = decided.length === 0;
    fetched.delete(keyOf(last.item));
    mark(last.item, last.item.reason);
    await go(items.indexOf(last.item));
    say(text("script.undone", { coin: last.coin }));
  }
  showReadiness();
}

// What others decided about the coin since it was fetched is reported, and shown.
async function lookAtOpinions() {
  if (shown === null || isWork(shown) || shownItem !== items[at]) return;
  const [looked, item] = [shown, shownItem];
  const { opinions: now } = await get("/review/opinions", { coin: looked.coin });
  if (shown !== looked || isUnderWay("decision")) return;
  const others = [];
  let isOther = false;
  for (const candidate of looked.candidates) {
    const opinions = now[candidate.entry] ?? [];
    others.push(...news(candidate.opinions, opinions, byId("who").value.trim()));
    isOther ||= JSON.stringify(opinions) !== JSON.stringify(candidate.opinions);
    candidate.opinions = opinions;
  }
  if (!isOther) return;
  choose(rank);
  if (looked.candidates.some(isDisputed)) mark(item, "disputed");
  if (others.length > 0) say(others.join(" "), true);
}

const settledHere = new Set();

function showTotal() {
  byId("total").textContent = text(settledHere.size > 0 ? "script.total and decided" : "script.total", { total: queue.total, count: settledHere.size });
}

function mark(item, reason) {
  if (reason === "decided" && item.reason !== "decided") settledHere.add(item);
  else settledHere.delete(item);
  showTotal();
  const tag = byId("items").children[items.indexOf(item)]?.querySelector(".tag");
  if (tag) [tag.className, tag.textContent] = [`tag ${reason}`, text(`reason.${reason}`)];
}

// What came into the list since. An empty list is loaded again at once; where a person is at work, they are asked.
// One that is longer than what is shown of it is read on as they get there.
async function look() {
  const isWhole = items.length >= queue.total;
  try {
    if (!document.hidden && isWhole) {
      const now = await get("/review/queue", { only: queue.only });
      const known = new Set(items.map(keyOf));
      const count = now.items.filter((each) => !known.has(keyOf(each))).length;
      if (count > 0 && items.length === 0) location.reload();
      [byId("idle").hidden, byId("running").hidden] = [now.is_running, !now.is_running];
      if (count > 0) byId("new").firstChild.textContent = text("script.new", { count });
      byId("new").hidden = count === 0;
    }
    if (!document.hidden) await lookAtOpinions();
  } catch {
    // the next look asks once more; what a person does meanwhile says what is wrong
  }
  setTimeout(look, EVERY_MS);
}

function setMode(wanted) {
  const mode = wanted === "relight" && shown !== null && !comparison.canBeRelit ? "side" : wanted;
  if (mode !== wanted) say(text("script.no relief"));
  comparison.setMode(mode);
  for (const button of document.querySelectorAll("[data-mode]")) if (button.tagName === "BUTTON") button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  byId("wiper").hidden = mode !== "wipe";
}

// The lamps that there were, which a relit coin is not shown under.
function stepLight(step) {
  if (comparison.mode === "relight") setMode("side");
  comparison.nextLight(step);
}

function onKey(event) {
  if (isTyping(event) || shown === null) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.repeat && (KEYS[key] || key === "z")) return event.preventDefault(); // a key that is held decides once
  if (onAnyKey(key) || (isWork(shown) ? onWorkKey(key) : onMatchKey(key, event))) event.preventDefault();
  return undefined;
}

function onAnyKey(key) {
  if (key === "j") go(at + 1);
  else if (key === "k") go(at - 1);
  else if (key === "z") undo();
  else if (key === "y" && !byId("reason").hidden) byId("why").focus();
  else return false;
  return true;
}

function onWorkKey(key) {
  if (key === "a" || key === "r") decideWork(key === "a");
  else return false;
  return true;
}

function onMatchKey(key, event) {
  const isSlider = event.target.type === "range";
  if (KEYS[key]) decide(KEYS[key]);
  else if (MODES[key]) setMode(comparison.mode === MODES[key] ? "side" : MODES[key]);
  else if (MOVES[key] && !isSlider) comparison.nudge(...MOVES[key].map((each) => each * 0.08));
  else if (key >= "1" && key <= "5" && shown.candidates[key - 1]) choose(key - 1);
  else if (key === "l") stepLight(event.shiftKey ? -1 : 1);
  else if (key === "+" || key === "=") comparison.zoomBy(1.25);
  else if (key === "-") comparison.zoomBy(0.8);
  else if (key === "0") comparison.reset();
  else return false;
  return true;
}

document.addEventListener("keydown", onKey);
byId("why").addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === "Escape") event.target.blur();
});
byId("why").addEventListener("input", (event) => {
  if (shownItem !== null) keepReason(shownItem, event.target.value);
});
for (const button of document.querySelectorAll("button[data-decision]")) button.addEventListener("click", () => decide(button.dataset.decision));
for (const button of document.querySelectorAll("button[data-mode]")) button.addEventListener("click", () => setMode(button.dataset.mode));
byId("accept").addEventListener("click", () => decideWork(true));
byId("reject").addEventListener("click", () => decideWork(false));
byId("light").addEventListener("click", () => stepLight(1));
byId("closer").addEventListener("click", () => comparison.zoomBy(1.25));
byId("farther").addEventListener("click", () => comparison.zoomBy(0.8));
byId("reset").addEventListener("click", () => comparison.reset());
byId("wipe").addEventListener("input", (event) => comparison.setWipe(Number(event.target.value)));
byId("undo").addEventListener("click", () => undo());
byId("previous").addEventListener("click", () => go(at - 1));
byId("next").addEventListener("click", () => go(at + 1));
byId("only").addEventListener("change", (event) => location.assign(`/review?${new URLSearchParams({ only: event.target.value })}`));
byId("load").addEventListener("click", () => location.reload());
showTotal();
byId("items").append(...items.map(listed));
byId("empty").hidden = items.length > 0;
setMode("side");
if (items.length > 0) {
  const first = dataOf("first"); // null if somebody has decided about it in between
  if (first) fetched.set(keyOf(items[queue.at]), Promise.resolve(first));
  go(queue.at, true);
}
if (queue.missing) say(text("script.not in list", { coin: queue.missing }), true);
// By Back and Forward; what is not in the list any more is loaded.
addEventListener("popstate", () => {
  const there = items.findIndex(isPlaceOf(location));
  if (there >= 0) go(there, true);
  else location.reload();
});
setTimeout(look, EVERY_MS);
