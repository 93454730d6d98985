// The live image: asked for while this page is seen, with aids as chosen; nothing is asked for otherwise.

import { byId, figure, number, post, text } from "./api.js";

const WATCH_MS = 2000;
const boxes = [...document.querySelectorAll("#aids input")];
let isShown = false;
let best = 0;

function source() {
  const aids = boxes.filter((box) => box.checked).map((box) => box.value);
  return `/bench/live?aids=${aids.join("+")}`;
}

function connect() {
  const image = byId("live-image");
  if (isShown && !document.hidden && document.readyState === "complete") { // what never ends is no part of loading
    if (image.getAttribute("src") !== source()) image.src = source();
  } else if (image.hasAttribute("src")) {
    image.removeAttribute("src"); // ends the request
  }
}

function describe(live) {
  const parts = [live.coin, live.side && text(`script.side.${live.side}`), live.light, live.turntable_deg !== null && `${number(live.turntable_deg, 1)}°`];
  return parts.filter(Boolean).join(", ");
}

export function renderLive(live, isRunning) {
  isShown = isRunning;
  byId("live").hidden = !isRunning;
  connect();
  byId("live-wait").hidden = live !== null;
  byId("live-view").hidden = live === null;
  if (!live) return;
  best = Math.max(best, live.sharpness ?? 0);
  byId("live-what").textContent = describe(live);
  byId("live-image").alt = text("script.live.alt", { what: describe(live) || "–" });
  byId("sharpness").max = best || 1;
  byId("sharpness").value = live.sharpness ?? 0;
  const facts = [
    ["sharpness", live.sharpness === null ? "–" : text("script.live.of best", { now: number(live.sharpness, 3), best: number(best, 3) })],
    ["clipped", `${number(100 * live.clipped, 1)} %`],
    ["mean", live.mean === null ? "–" : number(live.mean, 0)],
    ["diameter", live.diameter_mm === null ? "–" : `${number(live.diameter_mm, 2)} mm`],
    ["exposure", live.exposure_us === null ? "–" : `${number(live.exposure_us / 1000, 1)} ms × ${number(live.gain ?? 1, 1)}`],
  ];
  byId("live-facts").replaceChildren(...facts.map(([name, value]) => figure(`script.live.${name}`, value)));
  const problem = live.has_coin ? live.reasons.map((reason) => text(`script.quarantine.${reason}`)).join(", ") : text("script.live.no coin");
  byId("live-problem").hidden = !problem;
  byId("live-problem").textContent = problem;
}

boxes.forEach((box) => box.addEventListener("change", connect));
byId("best-again").addEventListener("click", () => { best = 0; });
document.addEventListener("visibilitychange", connect);
addEventListener("load", () => setTimeout(connect));
byId("live-image").addEventListener("error", () => {
  byId("live-image").removeAttribute("src"); // the page was ended, or began again: the next look asks once more
});

async function watch() {
  if (isShown && !document.hidden) await post("/bench/watch", {}).catch(() => {});
  setTimeout(watch, WATCH_MS);
}
watch();
