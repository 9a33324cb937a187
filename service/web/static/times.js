// Times of a page that the server renders whole; also those that htmx has put in since.
import { localize } from "/static/live.js";

localize(document);
document.addEventListener("htmx:afterSwap", () => localize(document));
