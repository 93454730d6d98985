// The morning report: what needs a person is ticked off.

import { post, say, text, who } from "./api.js";

const list = document.querySelector(".needs");

async function tick(box) {
  const wanted = box.checked;
  try {
    const sent = { batch: list.dataset.batch, where: box.dataset.where, what: box.dataset.what, is_done: wanted, who: who() };
    const answer = await post("/morning/tick", sent);
    box.closest("li").querySelector(".by").textContent = answer.is_done ? text("script.ticked", answer) : "";
    document.getElementById("sentence").textContent = answer.sentence;
    say(text(wanted ? "script.tick" : "script.untick"));
  } catch (error) {
    box.checked = !wanted;
    say(error.message, true);
  }
}

for (const box of list?.querySelectorAll("input") ?? []) box.addEventListener("change", () => tick(box));
