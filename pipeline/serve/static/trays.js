// Many trays out of one table: shown first, then all that are ticked are written at once, or none of them.

import { byId, element, once, post, postFile, say, text } from "./api.js";

let read = [];
let isWarned = false; // that a coin is on two trays: then the button writes it all the same

function row(each, number) {
  const box = element("input", { type: "checkbox", checked: !each.is_replaced, ariaLabel: text("script.trays.write", { tray: each.tray }) });
  box.dataset.number = number;
  const now = each.is_replaced ? text("script.trays.replaces", { count: each.coins }) : text("script.trays.new");
  const count = element("td", { className: "number", textContent: Object.keys(each.slots).length });
  return element("tr", {}, element("td", {}, box), element("td", { textContent: each.tray }), count, element("td", { textContent: now }));
}

const placed = ({ coin, places }) => text("script.trays.twice", { coin, places: places.map((place) => text("script.trays.place", place)).join(", ") });

function show(answer) {
  read = answer.trays;
  const notes = [
    ...answer.twice.map(placed),
    answer.may_lack_zeros && text("script.tray.zeros", { coin: answer.may_lack_zeros }),
    answer.has_comma && text("script.tray.comma", { coin: answer.has_comma }),
  ].filter(Boolean);
  askAgain(false);
  byId("notes").replaceChildren(...notes.map((note) => element("p", { className: "problem", textContent: note })));
  byId("read").querySelector("tbody").replaceChildren(...read.map(row));
  byId("read").hidden = byId("write").hidden = read.length === 0;
}

function askAgain(warned) {
  isWarned = warned;
  byId("write").textContent = text(warned ? "script.trays.write anyway" : "script.trays.write these");
}

byId("tables").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (!file) return;
  show({ trays: [], twice: [] }); // of a file that is refused nothing is left to be written
  await once("tables", event.target, async () => {
    const answer = await postFile("/trays/read", file);
    if (answer.trays.some((each) => each.tray === null)) throw new Error(text("script.trays.no column"));
    say("");
    show(answer);
  });
  event.target.value = "";
});
byId("read").addEventListener("change", () => askAgain(false)); // others than were warned of

async function write() {
  const chosen = [...byId("read").querySelectorAll("input:checked")].map((box) => read[Number(box.dataset.number)]);
  if (chosen.length === 0) throw new Error(text("script.trays.none"));
  const trays = chosen.map(({ tray, digest, slots }) => ({ name: tray, digest, slots }));
  try {
    await post("/trays", { trays, may_be_elsewhere: isWarned });
    location.reload();
  } catch (error) {
    askAgain(error.status === 409);
    throw error;
  }
}

byId("write").addEventListener("click", (event) => {
  if (event.detail < 2) once("write", byId("write"), write);
});
