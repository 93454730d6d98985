// A tray: numbers are typed or scanned slot by slot, pasted, or moved by dragging or Alt and an arrow.

import { dataOf, once, post, postFile, say, text } from "./api.js";

const tray = document.getElementById("tray");
const save = document.getElementById("save");
const elsewhere = dataOf("elsewhere");
const columns = Number(tray.dataset.columns);
const slots = [...tray.children];
const inputs = slots.map((slot) => slot.querySelector("input"));
const MOVES = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
let dragged = null;
let isWarned = false; // that a coin is on another tray too: then the button saves it all the same

function askAgain(warned) {
  isWarned = warned;
  save.textContent = text(warned ? "script.tray.save anyway" : "script.tray.save");
}

function check() {
  const seen = new Map();
  slots.forEach((slot, number) => {
    const coin = inputs[number].value.trim();
    const note = slot.querySelector(".note");
    const other = seen.get(coin);
    note.textContent = "";
    if (coin && other !== undefined) note.textContent = text("script.tray.twice", { slot: slots[other].dataset.slot });
    else if (coin && Object.hasOwn(elsewhere, coin)) note.textContent = text("script.tray.elsewhere", elsewhere[coin]);
    if (coin && other === undefined) seen.set(coin, number);
    inputs[number].setAttribute("aria-invalid", String(note.textContent !== ""));
  });
}

function changed() {
  save.disabled = false;
  askAgain(false);
  check();
}

function swap(one, other) {
  if (!inputs[one] || !inputs[other] || one === other) return;
  [inputs[one].value, inputs[other].value] = [inputs[other].value, inputs[one].value];
  changed();
}

function onKey(event, number) {
  if (event.key === "Enter") {
    event.preventDefault();
    (inputs[number + 1] ?? save).focus();
    inputs[number + 1]?.select();
  } else if (event.altKey && MOVES[event.key]) {
    event.preventDefault();
    swap(number, number + MOVES[event.key]);
    inputs[number + MOVES[event.key]]?.focus();
  }
}

// A column copied from a table fills the slots from here on.
function onPaste(event, number) {
  const lines = event.clipboardData.getData("text").trim().split(/\r?\n|\t/);
  if (lines.length < 2) return;
  event.preventDefault();
  lines.forEach((line, offset) => {
    if (inputs[number + offset]) inputs[number + offset].value = line.trim();
  });
  changed();
}

inputs.forEach((input, number) => {
  input.addEventListener("input", changed);
  input.addEventListener("keydown", (event) => onKey(event, number));
  input.addEventListener("paste", (event) => onPaste(event, number));
});
slots.forEach((slot, number) => {
  slot.addEventListener("dragstart", () => { dragged = number; });
  slot.addEventListener("dragover", (event) => event.preventDefault());
  slot.addEventListener("drop", (event) => {
    event.preventDefault();
    if (dragged !== null) swap(dragged, number);
    dragged = null;
  });
});
// Fingers and pens drag by the handle: browsers drag by the mouse alone.
slots.forEach((slot, number) => {
  const handle = slot.querySelector(".handle");
  handle.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse") return;
    dragged = number;
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointerup", (event) => {
    if (dragged === null || event.pointerType === "mouse") return;
    const target = document.elementFromPoint(event.clientX, event.clientY)?.closest(".slot");
    if (target) swap(dragged, slots.indexOf(target));
    dragged = null;
  });
  handle.addEventListener("pointercancel", () => { dragged = null; });
});

// Slots that the table does not name keep their coins. Returns those that held another, and which.
function fill(named) {
  const overwritten = [];
  slots.forEach((slot, number) => {
    const [was, coin] = [inputs[number].value.trim(), named[slot.dataset.slot]];
    if (!coin) return;
    if (was && was !== coin) overwritten.push(`${slot.dataset.slot} (${was})`);
    inputs[number].value = coin;
  });
  return overwritten;
}

document.getElementById("table").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (!file) return;
  await once("table", event.target, async () => {
    const answer = await postFile("/trays/read", file);
    const found = answer.trays.find((each) => each.tray === tray.dataset.name) ?? (answer.trays.length === 1 && answer.trays[0].tray === null ? answer.trays[0] : null);
    if (!found) throw new Error(text("script.tray.not in table", { name: tray.dataset.name, trays: answer.trays.map((each) => each.tray).join(", ") }));
    const overwritten = fill(found.slots);
    changed();
    const notes = [
      overwritten.length && text("script.tray.overwritten", { slots: overwritten.join(", ") }),
      answer.trays.length > 1 && text("script.tray.left out", { trays: answer.trays.filter((each) => each !== found).map((each) => `${each.tray} (${Object.keys(each.slots).length})`).join(", ") }),
      answer.may_lack_zeros && text("script.tray.zeros", { coin: answer.may_lack_zeros }),
      answer.has_comma && text("script.tray.comma", { coin: answer.has_comma }),
    ].filter(Boolean);
    say([text("script.tray.read", { count: Object.keys(found.slots).length }), ...notes].join(" "), notes.length > 0);
  });
  event.target.value = ""; // the same file, corrected, may be chosen again
});

async function write() {
  const filled = Object.fromEntries(slots.map((slot, number) => [slot.dataset.slot, inputs[number].value]));
  try {
    const answer = await post("/tray", { name: tray.dataset.name, digest: tray.dataset.digest, slots: filled, may_be_elsewhere: isWarned });
    tray.dataset.digest = answer.digest;
    save.disabled = slots.every((slot, number) => inputs[number].value === filled[slot.dataset.slot]); // typed meanwhile
    askAgain(false);
    say(text("script.tray.saved", { name: answer.name, count: answer.coins }));
  } catch (error) {
    if (error.status === 409) askAgain(true);
    throw error;
  }
}

// The second click of two asks for nothing that was not there at the first.
save.addEventListener("click", (event) => {
  if (event.detail < 2) once("save", save, write);
});
window.addEventListener("beforeunload", (event) => {
  if (!save.disabled) event.preventDefault();
});
tray.style.gridTemplateColumns = `repeat(${columns}, minmax(7.5rem, 1fr))`;
check();
