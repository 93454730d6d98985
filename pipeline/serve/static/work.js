// What is not a match: frames in quarantine, and cuts of plates that wait.

import { byId, element, post, text, who } from "./api.js";
import { watchImage } from "./images.js";
import { pageOf } from "./record.js";

// What is shown of it, in the order of the page.
export function draw(item, changed) {
  const drawn = item.kind === "cut" ? cut(item) : quarantined(item);
  for (const image of drawn.flatMap((each) => [...each.querySelectorAll("a > img, figure > img")])) watchImage(image, image.parentElement, changed);
  return drawn;
}

// Whether an image of it is there, where it has any.
export function isSeen() {
  const boxes = byId("work").querySelectorAll("[data-image]");
  return boxes.length === 0 || [...boxes].some((box) => box.dataset.image === "there");
}

export function facts(item) {
  return item.kind === "cut" ? [item.session] : [item.tray ? text("script.tray", { tray: item.tray }) : item.session, text("script.work.good", { count: item.good })];
}

export const canReject = (item) => item.kind === "cut";

// Record the decision; what takes it back, or null where nothing does.
export async function decide(item, isAccepted, why) {
  if (item.kind === "cut") {
    await post("/review/cut", { coin: item.coin, is_accepted: isAccepted, who: who() });
    return null;
  }
  const line = { session: item.session, coin: item.coin, until: item.until, why };
  await post("/review/quarantine", { ...line, is_seen: true, who: who() });
  return () => post("/review/quarantine", { ...line, is_seen: false, who: who() });
}

function quarantined(item) {
  const frames = item.frames.map((each) =>
    element(
      "li",
      {},
      element("a", { href: `${each.image}?size=1600`, target: "_blank" }, element("img", { src: `${each.image}?size=640`, alt: each.caption, loading: "lazy" })),
      element("span", { className: "quiet", textContent: `${each.caption}, ${text("script.work.take", { attempt: each.attempt })}` }),
      element("strong", { textContent: each.reason.split(", ").map((reason) => text(`script.quarantine.${reason}`)).join(", ") }),
    ),
  );
  const again = item.again ? element("p", {}, `${text("script.work.again")} `, element("code", { textContent: item.again })) : null;
  const coin = element("a", { href: `/coin?${new URLSearchParams({ name: item.coin })}`, textContent: text("script.work.coin") });
  return [element("p", { textContent: text("script.work.quarantined") }), element("ul", { className: "sheet large-ones" }, ...frames), again, element("p", {}, coin)].filter(Boolean);
}

function cut(item) {
  const why = element("p", { className: "problem", textContent: text("script.work.doubt", { doubt: item.doubt }) });
  const sides = item.sides.map((each) =>
    element(
      "figure",
      {},
      element("img", { src: `${each.image}?size=640`, alt: text(`script.side.${each.side}`) }),
      element("figcaption", { textContent: text(`script.side.${each.side}`) }),
    ),
  );
  const pages = item.sides.map((each) => pageOf(each.page, `${item.coin}, ${text(`script.side.${each.side}`)}`));
  return [why, element("div", { className: "large small-ones" }, ...sides), element("div", { className: "printed" }, ...pages)];
}
