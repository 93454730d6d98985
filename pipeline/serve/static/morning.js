// The morning report: what needs a person is ticked off.

import { once, post, say, text, who } from "./api.js";

const list = document.querySelector(".needs");

// A box that is ticked and unticked before the answer is there is sent once more, as it then stands.
async function tick(box) {
  const wanted = box.checked;
  const ticked = await once(`tick ${box.dataset.where} ${box.dataset.what}`, box, async () => {
    const sent = { batch: list.dataset.batch, where: box.dataset.where, what: box.dataset.what, is_done: wanted, who: who() };
    const answer = await post("/morning/tick", sent);
    box.closest("li").querySelector(".by").textContent = answer.is_done ? text("script.ticked", answer) : "";
    document.getElementById("sentence").textContent = answer.sentence;
    say(text(wanted ? "script.tick" : "script.untick"));
    return answer;
  });
  if (box.ariaBusy === "true") return;
  if (ticked === null) box.checked = !wanted;
  else if (box.checked !== wanted) await tick(box);
}

for (const box of list?.querySelectorAll("input") ?? []) box.addEventListener("change", () => tick(box));
