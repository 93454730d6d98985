// Two coins in register: side by side, blinking, wiped, subtracted, under the map of where they agree, or relit.

import { element, text } from "./api.js";
import { watchImage } from "./images.js";
import { Relief } from "./relight.js";

const BLINK_MS = 600;
const MOST = 8;
const UPPER_LEFT_DEG = 135; // where catalogues are lit from
const LOWEST = 0.98; // how far from above a light is moved, in shares of the coin's radius
const DETAIL_FROM = 1.6; // of the zoom, from which large images are shown

export class Comparison {
  constructor(stages, changed) {
    this.stages = stages;
    this.changed = changed; // called when an image came, or did not
    this.mode = "side";
    this.lights = {};
    this.view = { zoom: 1, x: 0, y: 0 };
    this.wipe = 50;
    this.lamp = [-0.55, 0.55]; // from the upper left, in shares of the coin's radius
    this.item = null;
    this.candidate = null;
    this.panes = [];
    setInterval(() => this.stages.classList.toggle("off", this.mode === "blink" && !this.stages.classList.contains("off")), BLINK_MS);
    stages.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    stages.addEventListener("pointerdown", (event) => this.onDrag(event));
  }

  show(item, candidate) {
    if (item !== this.item) this.lights = {};
    [this.item, this.candidate] = [item, candidate];
    const names = [...new Set([...item.sides.map((each) => each.side), ...(candidate?.sides ?? []).map((each) => each.side ?? "other")])];
    this.panes = names.map((name) => this.stage(name));
    this.stages.replaceChildren(...this.panes.map((each) => each.stage));
    this.setMode(this.mode);
    this.place();
  }

  stage(name) {
    const own = this.item.sides.find((each) => each.side === name) ?? (name === "other" ? this.item.sides[0] : undefined);
    const other = this.candidate?.sides.find((each) => (each.side ?? "other") === name);
    const panes = { name, own, other, ownImage: element("img", { draggable: false }), otherImage: element("img", { draggable: false }) };
    panes.caption = element("p", { className: "quiet" });
    const boxes = element(
      "div",
      { className: "panes" },
      element("div", { className: "window own" }, own ? panes.ownImage : element("p", { className: "quiet", textContent: text("script.no image") })),
      element("div", { className: "window other" }, other ? panes.otherImage : element("p", { className: "quiet", textContent: text("script.no image") })),
    );
    [panes.ownWindow, panes.otherWindow] = boxes.children;
    if (own) watchImage(panes.ownImage, panes.ownWindow, this.changed);
    if (other) watchImage(panes.otherImage, panes.otherWindow, this.changed);
    boxes.append(this.drawing(panes));
    panes.stage = element("section", { className: "stage" }, element("h3", { textContent: text(`script.side.${name}`) }), boxes, panes.caption);
    if (other) panes.otherImage.alt = `${this.candidate.citation}, ${text(`script.side.${name}`)}`;
    this.light(panes, 0);
    return panes;
  }

  // The map of where the two agree, which is drawn when it is asked for.
  drawing({ name, own, other }) {
    const box = element("div", { className: "drawing" });
    const without = () => box.replaceChildren(element("p", { className: "quiet", textContent: text("script.no drawing") }));
    if (own && other && this.item.kind === "match" && this.candidate.rank === 1) {
      const image = element("img", { alt: text("script.evidence alt") });
      image.dataset.src = `/images/evidence?${new URLSearchParams({ session: this.item.session, coin: this.item.coin, side: name })}`;
      box.append(image);
      watchImage(image, box);
      image.addEventListener("error", without);
    } else {
      without();
    }
    return box;
  }

  // Whether a side can be compared, or as much of one as there is to see.
  get isSeen() {
    const states = this.panes.map((panes) => [panes.own && panes.ownWindow, panes.other && panes.otherWindow].filter(Boolean).map((box) => box.dataset.image));
    const all = states.flat();
    return states.some((each) => each.length > 0 && each.every((state) => state === "there")) || (!all.includes("waiting") && (all.length === 0 || all.includes("there")));
  }

  light(panes, step) {
    const frames = panes.own?.frames ?? [];
    if (frames.length === 0) return;
    const number = ((this.lights[panes.name] ?? litAsCatalogues(frames, panes.other?.turn ?? 0)) + step + frames.length) % frames.length;
    this.lights[panes.name] = number;
    const frame = frames[number];
    const lamp = frame.lamp === null ? null : frame.lamp + (panes.other?.turn ?? 0);
    const values = { light: frame.light, hour: clock(lamp), number: number + 1, total: frames.length };
    panes.caption.textContent = frame.light ? `${text("script.own")}: ${text(lamp === null ? "script.light" : "script.light.from", values)}` : this.item.coin;
    panes.ownImage.alt = `${this.item.coin}, ${text(`script.side.${panes.name}`)}`;
    this.load(panes);
  }

  nextLight(step) {
    for (const panes of this.panes) this.light(panes, step);
  }

  load(panes) {
    const size = this.view.zoom >= DETAIL_FROM ? 1600 : 640;
    const frame = panes.own?.frames[this.lights[panes.name] ?? 0];
    if (frame) set(panes.ownImage, `${frame.image}?size=${size}`);
    if (panes.other) set(panes.otherImage, `${panes.other.image}?size=${size}`);
  }

  setMode(mode) {
    this.mode = mode;
    this.stages.dataset.mode = mode;
    this.stages.classList.remove("off");
    if (mode === "agreement") for (const image of this.stages.querySelectorAll(".drawing img")) set(image, image.dataset.src);
    for (const panes of this.panes) this.light(panes, 0); // and its caption
    if (mode === "relight") this.relight();
    if (mode === "agreement") for (const panes of this.panes) panes.caption.textContent = text("script.legend");
    this.place();
  }

  get canBeRelit() {
    return this.panes.some((panes) => panes.own?.relief);
  }

  relight() {
    const [x, y] = this.lamp;
    const z = Math.sqrt(1 - x * x - y * y);
    for (const panes of this.panes) {
      if (!panes.own?.relief) continue;
      if (!panes.relief) {
        panes.canvas = element("canvas", { role: "img", ariaLabel: panes.ownImage.alt });
        panes.ownWindow.append(panes.canvas);
        panes.relief = new Relief(panes.canvas, panes.own.relief);
      }
      const turn = ((panes.other?.turn ?? 0) * Math.PI) / 180; // the coin is shown turned by so much, its relief is not
      panes.relief.show([x * Math.cos(turn) + y * Math.sin(turn), y * Math.cos(turn) - x * Math.sin(turn), z]);
      const hour = clock((Math.atan2(y, x) * 180) / Math.PI);
      panes.caption.textContent = `${text("script.own")}: ${text("script.relit", { hour, height: Math.round((Math.asin(z) * 180) / Math.PI) })}`;
    }
  }

  moveLamp(x, y) {
    const far = Math.max(1, Math.hypot(x, y) / LOWEST);
    this.lamp = [x / far, y / far];
    this.relight();
  }

  // By arrow keys: the lamp where coins are relit, else what is seen.
  nudge(x, y) {
    if (this.mode === "relight") this.moveLamp(this.lamp[0] - x, this.lamp[1] + y);
    else this.moveBy(x, y);
  }

  setWipe(percent) {
    this.wipe = percent;
    this.place();
  }

  zoomBy(factor) {
    this.view.zoom = Math.min(MOST, Math.max(1, this.view.zoom * factor));
    if (this.view.zoom === 1) this.view = { zoom: 1, x: 0, y: 0 };
    for (const panes of this.panes) this.load(panes);
    this.place();
  }

  moveBy(x, y) {
    const most = (this.view.zoom - 1) / (2 * this.view.zoom);
    this.view.x = Math.min(most, Math.max(-most, this.view.x + x));
    this.view.y = Math.min(most, Math.max(-most, this.view.y + y));
    this.place();
  }

  reset() {
    this.view = { zoom: 1, x: 0, y: 0 };
    this.place();
  }

  place() {
    const { zoom, x, y } = this.view;
    const seen = `scale(${zoom}) translate(${100 * x}%, ${100 * y}%)`;
    for (const panes of this.panes) {
      for (const own of [panes.ownImage, panes.canvas].filter(Boolean)) own.style.transform = `${seen} ${laid(panes.other)}`;
      panes.otherImage.style.transform = seen;
      panes.otherWindow.style.clipPath = this.mode === "wipe" ? `inset(0 0 0 ${this.wipe}%)` : "";
    }
  }

  onWheel(event) {
    event.preventDefault();
    this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  }

  onDrag(event) {
    const box = event.target.closest(".window")?.getBoundingClientRect();
    if (!box) return;
    event.preventDefault();
    const pull = (moved) => this.moveBy(moved.movementX / box.width / this.view.zoom, moved.movementY / box.height / this.view.zoom);
    const light = (moved) => this.moveLamp((2 * (moved.clientX - box.left)) / box.width - 1, 1 - (2 * (moved.clientY - box.top)) / box.height);
    const move = this.mode === "relight" ? light : pull;
    if (move === light) light(event);
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", () => document.removeEventListener("pointermove", move), { once: true });
  }
}

// How the coin is turned and laid on the catalogue's image; points that agree say it finer than the turn alone.
function laid(other) {
  const turned = `rotate(${-(other?.turn ?? 0)}deg)`;
  if (!other?.register) return turned;
  const { linear, shift } = other.register;
  return `translate(${100 * shift[0]}%, ${100 * shift[1]}%) matrix(${linear[0]}, ${linear[2]}, ${linear[1]}, ${linear[3]}, 0, 0) ${turned}`;
}

// Angles are counter-clockwise from the right.
function clock(lamp) {
  return ((((Math.round(3 - lamp / 30 - 1) % 12) + 12) % 12) + 1).toString();
}

export function litAsCatalogues(frames, turn) {
  const error = (frame) => (frame.lamp === null ? 180 : Math.abs(((((frame.lamp + turn - UPPER_LEFT_DEG + 180) % 360) + 360) % 360) - 180));
  return frames.reduce((best, frame, number) => (error(frame) < error(frames[best]) ? number : best), 0);
}

function set(image, address) {
  if (image.getAttribute("src") !== address) image.src = address;
}
