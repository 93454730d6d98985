// What every page has: the reader's language and name, images that are waited for, and buttons that are pressed once.

import { element, text } from "./api.js";
import { watchImage } from "./images.js";

const language = document.getElementById("language");
language.addEventListener("change", () => {
  document.cookie = `language=${language.value}; path=/; max-age=31536000; samesite=strict`;
  location.reload();
});

const who = document.getElementById("who");
if (who !== null) {
  who.value = localStorage.getItem("who") ?? "";
  who.addEventListener("input", () => localStorage.setItem("who", who.value));
  who.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "Escape") who.blur();
  });
}

// Upright as the catalogue has it, as in the review.
for (const image of document.querySelectorAll("img[data-turn]")) image.style.transform = `rotate(${-Number(image.dataset.turn)}deg)`;
for (const image of document.querySelectorAll("main figure a > img")) watchImage(image, image.parentElement);

// A key that is held on a button presses it once.
document.addEventListener("keydown", (event) => {
  if (event.repeat && event.key === "Enter" && event.target.tagName === "BUTTON") event.preventDefault();
});

// A large image opens above the page, with what it shows; Esc closes it. Other ways to follow a link stay as they are.
function open(address, image, caption) {
  const large = element("img", { src: address, alt: image?.alt || caption });
  if (image?.dataset.turn) [large.dataset.turn, large.style.transform] = [image.dataset.turn, image.style.transform];
  const box = element("div", { className: "large-image" }, large);
  const close = element("button", { type: "button", textContent: text("script.close") });
  const dialog = element("dialog", { ariaLabel: caption }, box, element("div", { className: "under" }, element("span", { textContent: caption }), close));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside the image
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  watchImage(large, box);
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest('main a[href^="/images/"]');
  if (link === null || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const image = link.querySelector("img");
  open(link.getAttribute("href"), image, image?.alt || link.textContent.trim());
});
