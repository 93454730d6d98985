// First run: what the steps came to, looked at once a second; what is done is done by commands that the page starts.

import { byId, dataOf, element, get, once, post, say, set, text } from "./api.js";
import { onHands, renderRig, send } from "./hands.js";

const EVERY_MS = 1000;
let state = dataOf("state");
let shownJobs = {};

// A job's table is drawn once, when it is over.
function renderJob(name, job, table, rowsOf) {
  const isRunning = job !== null && !job.is_over;
  byId(name).disabled = isRunning;
  set(`${name}-says`, isRunning ? job.lines.at(-1) || text("script.setup.wait") : job?.problem ?? "");
  if (isRunning || !job?.result) return false;
  const key = JSON.stringify(job.result);
  if (shownJobs[name] === key) return false;
  shownJobs[name] = key;
  byId(table).hidden = false;
  byId(table).querySelector("tbody").replaceChildren(
    ...rowsOf(job.result).map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell)))),
  );
  return true;
}

function answers(device) {
  if (device.kind) return `${text(`script.setup.role.${device.role}`)}: ${device.kind}, ${device.firmware}`;
  return device.camera ? text("script.setup.role.camera") : text("script.setup.nothing");
}

// What was found is chosen, unless rig.yaml has it already.
function fillChoices(devices) {
  for (const select of document.querySelectorAll("#choose select")) {
    const role = select.dataset.role;
    const now = state.devices[role];
    const options = [["keep", now ? text("script.setup.keep", { now }) : text("script.setup.keep nothing")]];
    let [chosen, isTwinChosen] = ["keep", false]; // a real device rather than one of the twin
    devices.forEach((device, number) => {
      const fits = role === "camera" ? device.camera : device.role === role && device.kind;
      if (!fits) return;
      options.push([String(number), `${device.kind ?? device.description}, ${device.port}`]);
      const spelt = role === "camera" ? `${device.camera.kind} ${device.camera.device ?? device.camera.camera}` : `${device.kind} ${device.port}`;
      const isTwin = device.port.startsWith("twin:");
      if (spelt !== now && (chosen === "keep" || (isTwinChosen && !isTwin))) [chosen, isTwinChosen] = [String(number), isTwin];
    });
    if (select.dataset.byHand === "yes") options.push(["manual", text(`script.setup.by hand.${role}`)]);
    select.replaceChildren(...options.map(([value, label]) => element("option", { value, textContent: label })));
    select.value = chosen;
  }
}

const devices = () => state.find?.result?.devices ?? [];

function render(seen) {
  const before = JSON.stringify(state.devices);
  state = seen;
  byId("rig-problem").hidden = !state.problem;
  set("rig-problem", state.problem ?? "");
  const isNew = renderJob("find", state.find, "found", (result) => result.devices.map((each) => [each.port, each.description, answers(each)]));
  if (isNew || before !== JSON.stringify(state.devices)) fillChoices(devices());
  renderJob("check", state.check, "checks", (result) =>
    result.map((each) => [each.check_name, element("span", { className: `tag ${each.status.replace(" ", "-")}`, textContent: text(`script.setup.status.${each.status}`) }), each.found]),
  );
  for (const [what, width] of Object.entries(state.targets)) {
    const field = byId(`width-${what}`);
    if (!field.value) field.value = String(Math.round(100 * width) / 100);
  }
  set("calibrated", state.calibration ? text("script.setup.calibrated", state.calibration) : "");
  renderRig(state, false, state.holder !== null);
}

async function look() {
  try {
    if (!document.hidden) render(await get("/setup/state"));
  } catch (error) {
    say(error.message, true);
  }
  setTimeout(look, EVERY_MS);
}

function ask(pressed, address, sent = {}) {
  return once(address, pressed, async () => {
    const answer = await post(address, sent);
    if (answer.former) say(text("script.setup.written", answer));
    render(await get("/setup/state"));
  });
}

onHands((session) => {
  byId("calibrate").disabled = session === null || session.doing !== null;
  byId("calibrate-first").hidden = session !== null;
  if (session) byId("messages").replaceChildren(...session.messages.map((line) => element("li", { textContent: line })));
});
byId("find").addEventListener("click", () => ask(byId("find"), "/setup/find"));
byId("check").addEventListener("click", () => ask(byId("check"), "/setup/check"));
byId("calibrate").addEventListener("click", () => send({ do: "calibrate" }));
byId("write").addEventListener("click", () => {
  const chosen = Object.fromEntries([...document.querySelectorAll("#choose select")].map((select) => [select.dataset.role, select.value]));
  ask(byId("write"), "/setup/devices", { digest: state.digest, ...chosen });
});
for (const button of document.querySelectorAll("button[data-measured]")) {
  const what = button.dataset.measured;
  button.addEventListener("click", () => ask(button, "/setup/measured", { digest: state.digest, what, width_mm: Number(byId(`width-${what}`).value) }));
}
fillChoices(devices());
render(state);
look();
