// Driving the rig from here: one step for each key or click, none while another is being done, and a sign of life
// several times a second. Whoever leaves is not heard any more, and what moves stops.

import { byId, element, number, once, post, say, set, text, who } from "./api.js";
import { renderLive } from "./live.js";

const BEAT_MS = 400;
const TURNS = { ArrowLeft: 1, ArrowUp: 1, ArrowRight: -1, ArrowDown: -1 };
const MOVES = { w: [1, 0, 0], s: [-1, 0, 0], a: [0, 1, 0], d: [0, -1, 0], r: [0, 0, 1], f: [0, 0, -1] };
const section = byId("hands");
const [stepsMm, stepsDeg] = [section.dataset.stepsMm, section.dataset.stepsDeg].map((list) => list.split(" ").map(Number));
let control = sessionStorage.getItem("control");
let isSending = false;
let lastView = null;
const listeners = [];

export const onHands = (listener) => listeners.push(listener);

function keep(word) {
  control = word;
  if (word) sessionStorage.setItem("control", word);
  else sessionStorage.removeItem("control");
}

function noteOf(view, isOurs, isOther) {
  if (isOther) return text("script.hands.other", view);
  if (!isOurs) return "";
  if (!view.state) return text("script.hands.connecting");
  if (view.state.doing) return text(`script.hands.doing.${view.state.doing}`);
  return view.state.is_homed ? text("script.hands.ready") : text("script.hands.not homed");
}

function placeOf(state) {
  const parts = [];
  if (state.angle_deg !== null) parts.push(text("script.hands.plate", { angle: number(state.angle_deg, 1) }));
  if (state.cup_mm) parts.push(text("script.hands.cup", { x: number(state.cup_mm[0], 1), y: number(state.cup_mm[1], 1), z: number(state.cup_mm[2], 1) }));
  return parts.join(", ");
}

function renderLights(state) {
  const field = byId("lights");
  if (field.querySelectorAll("button").length !== state.lights.length + 1) {
    const button = (name, label) => {
      const made = element("button", { type: "button", textContent: label });
      made.dataset.light = name;
      made.addEventListener("click", () => send(name ? { do: "light", name } : { do: "dark" }));
      return made;
    };
    field.replaceChildren(field.firstElementChild, ...state.lights.map((name) => button(name, name)), button("", text("script.hands.dark")));
  }
  for (const each of field.querySelectorAll("button")) each.setAttribute("aria-pressed", String(each.dataset.light === (state.light ?? "")));
}

export const isHeld = (view) => view !== null && !view.is_over;

// `view` is the session as the page has it; `isRunning` whether a scan uses the rig, `isBusy` another command.
function renderHands(view, isRunning, isBusy) {
  const isLive = isHeld(view);
  const isOurs = isLive && control !== null;
  if (!isLive && control !== null && view !== null) keep(null);
  lastView = isOurs ? view : null;
  byId("hands-free").hidden = isLive || isRunning || isBusy;
  byId("hands-stop").hidden = !isLive;
  byId("hands-own").hidden = !isOurs || !view.state;
  set("hands-note", isRunning ? text("script.hands.scanning") : noteOf(view, isOurs, isLive && !isOurs));
  const problem = (isLive ? view.state?.problem : view?.problem) ?? "";
  byId("hands-problem").hidden = !problem;
  set("hands-problem", problem);
  listeners.forEach((listener) => listener(isOurs ? view.state : null));
  if (!isOurs || !view.state) return;
  const state = view.state;
  byId("asks").hidden = !state.asks;
  set("asks-what", state.asks ?? "");
  set("place", placeOf(state));
  byId("jog-cup").hidden = !state.has_arm;
  renderLights(state);
}

// What is seen of the rig by whoever looks; whoever drives it sees what their own orders are answered.
export function renderRig(state, isRunning, isBusy) {
  const isLive = isHeld(state.session);
  renderLive(state.live, isRunning || isLive);
  if (control === null || !isLive) renderHands(state.session, isRunning, isBusy && !isLive);
}

export async function send(order) {
  if (isSending || control === null) return;
  isSending = true;
  try {
    renderHands(await post("/bench/order", { control, ...order }), false, false);
  } catch (error) {
    say(error.message, true);
  }
  isSending = false;
}

function jog(key) {
  const step = Number(document.querySelector("input[name=step]:checked").value);
  if (lastView?.state?.doing) return; // dropped, not kept: nothing moves on after a key is let go
  if (TURNS[key]) send({ do: "turn", by_deg: TURNS[key] * stepsDeg[step] });
  else if (MOVES[key]) send({ do: "move", by_mm: MOVES[key].map((way) => way * stepsMm[step]) });
}

async function beat() {
  if (control !== null) {
    try {
      renderHands(await post("/bench/alive", { control }), false, false);
      if (byId("status").dataset.lost) say("");
      delete byId("status").dataset.lost;
    } catch (error) {
      if (error.status === 400) {
        keep(null);
      } else {
        byId("status").dataset.lost = "yes";
        say(`${error.message} ${text("script.hands.lost")}`, true);
      }
    }
  }
  setTimeout(beat, BEAT_MS);
}

// Once, whatever is pressed meanwhile; only stopping is sent as often as it is asked for.
const ask = (id, address, sent) => once(id, byId(id), () => post(address, sent));

async function halt() {
  try {
    await post("/bench/halt", {});
  } catch (error) {
    say(error.message, true);
  }
}

// A page that is loaded again is heard of in time; one that is closed lets go of the rig.
addEventListener("pagehide", () => {
  if (control) navigator.sendBeacon("/bench/left", new Blob([JSON.stringify({ control })], { type: "application/json" }));
});
byId("take").addEventListener("click", () => once("take", byId("take"), async () => keep((await post("/bench/take", { who: who() })).control)));
byId("release").addEventListener("click", () => ask("release", "/bench/release", { control }));
byId("halt").addEventListener("click", halt);
for (const [id, yes] of [["asks-done", true], ["asks-cannot", false]]) {
  byId(id).addEventListener("click", () => once("answer", byId(id), () => post("/bench/order", { control, do: "answer", yes })));
}
for (const button of section.querySelectorAll("button[data-do]")) button.addEventListener("click", () => send({ do: button.dataset.do }));
for (const button of section.querySelectorAll("button[data-key]")) button.addEventListener("click", () => jog(button.dataset.key));
for (const id of ["exposure", "gain"]) {
  byId(id).addEventListener("change", () => {
    if (byId("exposure").checkValidity() && byId("gain").checkValidity()) {
      send({ do: "expose", exposure_us: Math.round(1000 * byId("exposure").value), gain: Number(byId("gain").value) });
    }
  });
}
byId("jog").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (["1", "2", "3"].includes(key)) document.querySelectorAll("input[name=step]")[key - 1].checked = true;
  else if (TURNS[key] || MOVES[key]) jog(key);
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !byId("hands-stop").hidden) halt();
});
beat();
