// The bench: the running job, looked at once a second for as long as the page is shown.

import { byId, dataOf, element, figure, get, once, post, say, set, text } from "./api.js";
import { isHeld, renderRig } from "./hands.js";

const EVERY_MS = 1000;
let job = null;

function sentence(state) {
  const values = { ...state.job, ...state.job?.ended, holder: state.holder };
  if (isHeld(state.session)) return text("script.bench.by hand", state.session);
  if (state.state === "running") return state.job.coin ? text("script.bench.coin", values) : state.job.message || text("script.bench.running", values);
  if (state.state === "ended") {
    const ended = { ...state.job.ended, state: text(`script.ended.${state.job.ended.state}`) };
    return `${text("script.bench.ended", ended)} ${state.job.ended.why ?? ""}`;
  }
  return text(`script.bench.${state.state}`, values);
}

function fill(id, items, make) {
  const section = byId(id);
  section.hidden = items.length === 0;
  (section.querySelector("ul") ?? section.querySelector("tbody")).replaceChildren(...items.map(make));
}

function render(state) {
  job = state.job;
  const isRunning = state.state === "running";
  set("sentence", sentence(state));
  const alarm = [state.alarm, state.coin_out].filter(Boolean).join(" ");
  byId("alarm").hidden = !alarm;
  set("alarm", alarm);
  byId("progress").hidden = !isRunning || !job.shots;
  byId("progress").value = job?.shots ? job.shots_done / job.shots : 0;
  const isMeasuring = isRunning && !job.left && (job.shots === 0 || job.shots_done < job.shots);
  byId("left").textContent = isMeasuring ? text("script.bench.measuring") : isRunning && job.left ? text("script.bench.left", job) : "";
  byId("stop").hidden = !isRunning || job.stopping;
  byId("stopping").hidden = !isRunning || !job.stopping;
  const numbers = job ? ["shots_done", "shots", "frames", "retakes", "quarantined"] : [];
  byId("numbers").replaceChildren(...numbers.map((name) => figure(`script.bench.${name}`, job[name])));
  fill("trays", job?.trays ?? [], (each) =>
    element("tr", {}, element("td", { textContent: each.tray }), element("td", { textContent: text(`script.tray.${each.state}`) }), element("td", { textContent: each.why ?? "" })),
  );
  fill("faults", state.faults, (each) => element("li", {}, element("strong", { textContent: `${each.at} ${each.device}: ` }), each.problem, element("br"), each.remedy ?? text("script.bench.recovered")));
  fill("skipped", job?.skipped ?? [], (each) => element("li", { textContent: text("script.bench.skip", each) }));
  fill("unfinished", state.unfinished, (each) => element("li", {}, text("script.bench.resume", { ...each, count: each.missing_shots }), " ", element("code", { textContent: each.command })));
  renderFrames(state.frames, isRunning);
  renderRig(state, isRunning, state.state === "busy");
}

// Frames are kept where they stand: an image that is there is not loaded again, and a link keeps the focus.
function renderFrames(frames, isRunning) {
  const list = byId("frames").querySelector("ul");
  byId("frames").hidden = frames.length === 0;
  set("frames-title", text(isRunning ? "script.bench.frames arrive" : "script.bench.frames last"));
  const shown = new Set(frames.map((frame) => frame.id));
  for (const each of [...list.children]) if (!shown.has(each.dataset.id)) each.remove();
  frames.forEach((frame, place) => {
    const there = list.children[place] ?? null;
    if (there?.dataset.id !== frame.id) list.insertBefore(drawFrame(frame), there);
  });
}

function drawFrame(frame) {
  const image = element("img", { src: `/images/frame/${frame.id}?size=144`, alt: `${frame.coin}, ${frame.caption}`, width: 112, height: 112 });
  const link = element("a", { href: `/images/frame/${frame.id}?size=1600` }, image);
  const note = element("span", { className: frame.problem ? "problem" : "quiet", textContent: [frame.coin, frame.caption, frame.problem].filter(Boolean).join(", ") });
  const made = element("li", {}, link, note);
  made.dataset.id = frame.id;
  return made;
}

// Where the page is not reached, what was last seen may be over, and nothing can be moved or stopped from here.
function showReached(isReached) {
  const wasLost = byId("status").dataset.offline === "yes";
  byId("status").dataset.offline = isReached ? "no" : "yes";
  byId("hands").inert = byId("stop").disabled = !isReached;
  if (!isReached) set("sentence", text("script.offline"));
  else if (wasLost) say("");
}

async function look() {
  try {
    if (!document.hidden) render(await get("/bench/state"));
    showReached(true);
  } catch (error) {
    showReached(false);
    say(error.message, true);
  }
  setTimeout(look, EVERY_MS);
}

byId("stop").addEventListener("click", () =>
  once("stop", byId("stop"), async () => {
    await post("/bench/stop", { pid: job.pid });
    say(text("script.bench.asked"));
  }),
);

render(dataOf("state"));
look();
