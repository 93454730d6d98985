// Images that are on their way, or did not come: shown in words where they would be.

import { element, text } from "./api.js";

// `box` holds the image; its data-image is waiting, there or failed.
export function watchImage(image, box, changed = () => {}) {
  const note = element("span", { className: "quiet wait" });
  const mark = (state) => {
    box.dataset.image = state;
    note.textContent = state === "there" ? "" : text(`script.image.${state}`);
    changed();
  };
  box.append(note);
  mark(image.complete && image.naturalWidth > 0 ? "there" : "waiting");
  image.addEventListener("load", () => mark("there"));
  image.addEventListener("error", () => mark("failed"));
}
