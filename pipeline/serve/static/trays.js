// Many trays out of one table: shown first, then written one by one, those that exist only where it is ticked.

import { byId, element, post, postFile, say, text } from "./api.js";

let read = [];
let isWarned = false; // that a coin is on two trays: then the button writes it all the same

function row(each, number) {
  const box = element("input", { type: "checkbox", checked: !each.is_replaced, ariaLabel: text("script.trays.write", { tray: each.tray }) });
  box.dataset.number = number;
  const now = each.is_replaced ? text("script.trays.replaces", each) : text("script.trays.new");
  const count = element("td", { className: "number", textContent: Object.keys(each.slots).length });
  return element("tr", {}, element("td", {}, box), element("td", { textContent: each.tray }), count, element("td", { textContent: now }));
}

byId("tables").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (!file) return;
  try {
    const answer = await postFile("/trays/read", file);
    if (answer.trays.some((each) => each.tray === null)) throw new Error(text("script.trays.no column"));
    read = answer.trays;
    isWarned = false;
    byId("write").textContent = text("script.trays.write these");
    say("");
    byId("zeros").hidden = answer.may_lack_zeros === null;
    byId("zeros").textContent = answer.may_lack_zeros === null ? "" : text("script.tray.zeros", { coin: answer.may_lack_zeros });
    byId("read").querySelector("tbody").replaceChildren(...read.map(row));
    byId("read").hidden = byId("write").hidden = read.length === 0;
  } catch (error) {
    say(error.message, true);
  }
  event.target.value = "";
});

byId("write").addEventListener("click", async () => {
  const boxes = [...byId("read").querySelectorAll("input:checked")];
  const done = [];
  try {
    for (const box of boxes) {
      const each = read[Number(box.dataset.number)];
      const answer = await post("/tray", { name: each.tray, digest: each.digest, slots: each.slots, may_be_elsewhere: isWarned });
      each.digest = answer.digest;
      done.push(each.tray);
    }
    location.reload();
  } catch (error) {
    isWarned = error.status === 409;
    byId("write").textContent = text(isWarned ? "script.trays.write anyway" : "script.trays.write these");
    say(`${error.message} ${text("script.trays.written", { trays: done.join(", ") || "–" })}`, true);
  }
});
