// What a candidate's record says, against the coin's own measures; its sales, its page, and what persons hold.

import { element, text } from "./api.js";

export function isDisputed(candidate) {
  const held = candidate.opinions.map((each) => each.decision).filter((each) => each !== "unsure");
  return held.includes("same coin") && held.some((each) => each !== "same coin");
}

// What other persons hold now and did not before, in words.
export function news(before, now, own) {
  const known = new Set(before.map((each) => each.number));
  const others = now.filter((each) => !known.has(each.number) && each.who !== own);
  return others.map((each) => text("script.meanwhile", { ...each, decision: text(`decision.${each.decision}`) }));
}

export function record(candidate, takeBack) {
  const points = candidate.sides.filter((each) => each.register).map((each) => `${each.register.points} (${text(`script.side.${each.side ?? "other"}`)})`);
  const rows = [
    ...candidate.record.map(({ name, value, own }) => [`script.record.${name}`, own ? `${value} (${text("script.own")}: ${own.value}, ${text(`script.measured.${own.origin}`, own)})` : value]),
    ...(points.length ? [["script.points", points.join(", ")]] : []),
    ...candidate.also.map((each) => ["script.also", each]),
  ];
  const list = element("dl", {}, ...rows.flatMap(([name, value]) => [element("dt", { textContent: text(name) }), element("dd", { textContent: value })]));
  const dispute = isDisputed(candidate) ? element("p", { className: "problem", textContent: text("script.disputed") }) : null;
  return [element("div", {}, list, sales(candidate), dispute, opinions(candidate, takeBack)), pages(candidate)].filter(Boolean);
}

function sales(candidate) {
  if (candidate.sales.length < 2) return null;
  const lines = candidate.sales.map((each) => element("li", { textContent: [each.date, each.citation].filter(Boolean).join(": ") }));
  return element("div", {}, element("h3", { textContent: text("script.sales") }), element("ol", {}, ...lines));
}

// Each page that the candidate was cut out of, once, with the box of the side that is shown first.
function pages(candidate) {
  const boxed = candidate.sides.filter((each) => each.page);
  if (boxed.length === 0) return null;
  const shown = boxed.map((each) => pageOf(each.page, `${candidate.citation}, ${text(`script.side.${each.side ?? "other"}`)}`));
  return element("div", { className: "printed" }, ...shown);
}

export function pageOf(address, name) {
  const image = element("img", { src: `${address}?size=640`, alt: text("script.page alt", { name }), loading: "lazy" });
  return element("a", { href: address, target: "_blank", title: text("script.page") }, image);
}

function opinions(candidate, takeBack) {
  return element(
    "ul",
    { className: "opinions" },
    ...candidate.opinions.map((each) => {
      const line = text("script.opinion", { who: each.who, decision: text(`decision.${each.decision}`), at: each.at });
      const back = element("button", { type: "button", textContent: text("script.takeback") });
      back.addEventListener("click", () => takeBack(each.number, back));
      return element("li", {}, `${line} ${each.why} `, back);
    }),
  );
}
