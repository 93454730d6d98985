// Where a person is in the review: in the address, so that it can be loaded again, sent, and gone back to; and the reason
// they were typing there, kept in this tab.

function placeOf(only, item) {
  const place = { only, coin: item.coin, kind: item.kind };
  if (item.kind !== "match") place.session = item.session;
  if (item.kind === "duplicate") place.candidate = item.candidate;
  return new URLSearchParams(place);
}

export function writePlace(only, item, isOld) {
  const address = `/review?${placeOf(only, item)}`;
  if (isOld) history.replaceState(null, "", address);
  else if (address !== location.pathname + location.search) history.pushState(null, "", address);
}

// Whether an item is the one that an address names.
export function isPlaceOf({ search }) {
  const wanted = new URLSearchParams(search);
  return (item) => ["coin", "kind", "session", "candidate"].every((name) => !wanted.get(name) || wanted.get(name) === item[name]);
}

const keyOf = (item) => `reason ${placeOf("", item)}`;

export const reasonOf = (item) => sessionStorage.getItem(keyOf(item)) ?? "";

export const forgetReason = (item) => sessionStorage.removeItem(keyOf(item));

export function keepReason(item, reason) {
  if (reason) sessionStorage.setItem(keyOf(item), reason);
  else forgetReason(item);
}
