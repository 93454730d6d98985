// What every page has: the reader's language and name.

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
