// The page. Texts of documents are only ever set as text, never as HTML.
const $ = (id) => document.getElementById(id);
const state = { sources: new Map(), page: null, pages: 0, zoom: 1, asked: "", turn: 0 };
const PLACEMENTS = ["edges", "edges_end", "best_first", "best_last", "middle", "document_order", "random"];

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

async function send(method, path, body, headers = {}) {
  const init = { method, headers: { ...headers } };
  if (body instanceof Blob) init.body = body;
  else if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers["content-type"] = "application/json";
  }
  const response = await fetch(path, init);
  if (!response.ok) {
    const failed = await response.json().catch(() => ({}));
    throw new Error(failed.error?.message ?? `the server said ${response.status}`);
  }
  return response;
}

async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    waiting += value;
    for (let end; (end = waiting.indexOf("\n\n")) >= 0; waiting = waiting.slice(end + 2)) {
      const lines = waiting.slice(0, end).split("\n");
      const name = lines[0].slice("event: ".length);
      yield { name, data: JSON.parse(lines[1].slice("data: ".length)) };
    }
  }
}

// ---- asking -----------------------------------------------------------------------------------

async function ask(question) {
  const turn = ++state.turn;
  state.asked = question;
  $("send").disabled = true;
  $("state").textContent = "searching";
  $("text").textContent = $("sure").textContent = "";
  $("text").className = "";
  $("sources").replaceChildren();
  $("others").replaceChildren();
  try {
    const response = await send("POST", "/ask", { question }, { accept: "text/event-stream" });
    for await (const { name, data } of eventsOf(response)) {
      if (turn !== state.turn) return;
      if (name === "text") $("text").textContent += data.text;
      if (name === "answer") showAnswer(data);
      if (name === "error") throw new Error(data.message);
    }
  } catch (error) {
    $("text").textContent = error.message;
    $("text").className = "failed";
  } finally {
    if (turn === state.turn) {
      $("send").disabled = false;
      if ($("state").textContent === "searching") $("state").textContent = "";
    }
  }
  if ($("why").open) assemble(true);
}

function showAnswer(answer) {
  const { timing, confidence, outcome } = answer;
  $("state").textContent = `${(timing.total_s ?? 0).toFixed(2)} s, ${answer.model}`;
  if (answer.abstained) {
    $("text").textContent = answer.refusal?.message ?? "The documents do not answer this.";
    if (answer.nearest.length) $("others").append(element("h3", "Nearest passages, not an answer"));
    for (const hit of answer.nearest) $("others").append(sourceButton(hitSource(hit)));
    return;
  }
  $("text").textContent = answer.scale ? `${answer.answer} (${answer.scale})` : answer.answer;
  if (confidence !== null) {
    const percent = `${Math.round(100 * confidence)} %`;
    const isSure = outcome === "sure";
    $("sure").textContent = isSure ? `sure (${percent})` : `unsure (${percent}): only a guess, read the source`;
    $("sure").className = isSure ? "" : "unsure";
  }
  answer.citations.forEach((citation) => {
    const item = element("li");
    item.append(sourceButton(citation));
    $("sources").append(item);
  });
  const conflicts = answer.alternatives.filter((other) => other.is_conflict);
  const guesses = answer.alternatives.filter((other) => !other.is_conflict);
  for (const [title, list] of [["The documents do not agree", conflicts], ["Or perhaps", guesses]]) {
    if (list.length) $("others").append(element("h3", title));
    for (const other of list) $("others").append(sourceButton(other.citation, other.answer));
  }
  $("sources").querySelector("button")?.click();
}

function hitSource(hit) {
  const { document, path, first_page, unit, section } = hit;
  return { document, path, first_page, unit, section, quote: hit.text };
}

function placeOf(source) {
  if (source.unit !== "section") return `page ${source.first_page}`;
  const headings = source.section?.join(" › ") || source.page_labels?.[0];
  return headings && headings !== `${source.first_page}` ? `§ ${headings}` : `section ${source.first_page}`;
}

function sourceButton(source, answer = "") {
  const button = element("button", "", { type: "button", class: "source" });
  const label = source.label ? `[${source.label}] ` : "";
  const page = source.first_page ? `, ${placeOf(source)}` : "";
  const status = source.status && source.status !== "verified" ? ` (${source.status.replaceAll("_", " ")})` : "";
  button.append(element("b", `${answer ? `${answer}: ` : ""}${label}${source.document}${page}${status}`));
  button.append(element("span", source.quote.length > 300 ? `${source.quote.slice(0, 300)}…` : source.quote));
  button.addEventListener("click", (event) => {
    document.querySelectorAll(".source[aria-current]").forEach((one) => one.removeAttribute("aria-current"));
    button.setAttribute("aria-current", "true");
    openPage(source.path, source.first_page ?? 1, source.quote);
    if (event.isTrusted && matchMedia("(max-width: 899px)").matches) $("right").scrollIntoView();
  });
  return button;
}

// ---- the source -------------------------------------------------------------------------------

async function openPage(path, number, quote = "") {
  const found = state.sources.get(path);
  if (!found) return;
  state.page = { id: found.document_id, number, quote, name: path.split("/").pop() };
  state.pages = found.pages;
  $("tools").hidden = false;
  $("where").textContent = `${state.page.name}, ${number} of ${found.pages}`;
  $("previous").disabled = number <= 1;
  $("next").disabled = number >= found.pages;
  const query = new URLSearchParams({ scale: "2" });
  if (quote) query.set("quote", quote.slice(0, 1500));
  const base = `/documents/${encodeURIComponent(found.document_id)}/pages/${number}`;
  if (found.unit === "section") return showSection(base, quote);
  const image = new Image();
  image.alt = `Page ${number} of ${state.page.name}`;
  image.id = "page";
  image.src = `${base}.png?${query}`;
  try {
    await image.decode();
  } catch {
    $("sheet").replaceChildren(element("p", "This page cannot be shown.", { class: "failed" }));
    return;
  }
  if (state.page.id !== found.document_id || state.page.number !== number) return;
  $("sheet").replaceChildren(image);
  zoom(0);
  if (!quote) return;
  const boxes = await (await send("GET", `${base}/boxes?${query}`)).json().catch(() => null);
  const first = boxes?.quote_boxes[0];
  if (first) $("sheet").scrollTop = Math.max(0, first.top * image.clientHeight - 80);
}

// A document that is no PDF has sections of text, in which the quote is marked.
async function showSection(base, quote) {
  const page = state.page;
  let text = "";
  try {
    text = await (await send("GET", `${base}/text`)).text();
  } catch (error) {
    $("sheet").replaceChildren(element("p", error.message, { class: "failed" }));
    return;
  }
  if (state.page !== page) return;
  const sheet = element("div", "", { id: "page", class: "section", tabindex: "0" });
  const marked = text.includes(quote) ? quote : quote.split("\n")[0]; // it may go on in the next
  const at = marked ? text.indexOf(marked) : -1;
  if (at < 0) sheet.textContent = text;
  else sheet.append(text.slice(0, at), element("mark", marked), text.slice(at + marked.length));
  $("sheet").replaceChildren(sheet);
  zoom(0);
  const mark = sheet.querySelector("mark");
  if (mark) $("sheet").scrollTop = Math.max(0, mark.offsetTop - 80);
}

function zoom(step) {
  state.zoom = Math.min(3, Math.max(0.5, state.zoom + step));
  const image = $("page");
  if (image?.tagName === "IMG") image.style.width = `${100 * state.zoom}%`;
  else if (image) image.style.fontSize = `${state.zoom}rem`;
}

const turn = (by) => state.page && openPage(
  [...state.sources].find(([, found]) => found.document_id === state.page.id)[0],
  state.page.number + by, "");

// ---- why --------------------------------------------------------------------------------------

async function assemble(isNew = false) {
  if (!state.asked) return;
  const body = { question: state.asked, placement: $("placement").value };
  if (!isNew) body.budget_tokens = Number($("budget").value);
  try {
    const prompt = await (await send("POST", "/prompt", body)).json();
    if (isNew) {
      $("budget").max = prompt.context_window - prompt.max_new_tokens;
      $("budget").value = prompt.budget_tokens;
    }
    showPrompt(prompt);
  } catch (error) {
    $("certificate").textContent = error.message;
    $("bar").replaceChildren();
  }
  $("budget-out").textContent = `${$("budget").value} tokens`;
}

function showPrompt(prompt) {
  const sums = prompt.certificate;
  const parts = sums.segments.map((segment) => [segment.kind, segment.tokens]);
  parts.push(["answer", prompt.max_new_tokens], ["slack", sums.slack_tokens]);
  $("bar").replaceChildren(...parts.map(([kind, tokens]) => {
    const part = element("i", "", { class: kind, title: `${kind}: ${tokens} tokens` });
    part.style.flexGrow = tokens;
    return part;
  }));
  $("bar").setAttribute("aria-label", parts.map(([kind, tokens]) => `${kind} ${tokens}`).join(", "));
  $("certificate").textContent =
    `${prompt.token_count} tokens of prompt + ${prompt.max_new_tokens} for the answer + ` +
    `${sums.slack_tokens} unused = ${prompt.context_window}`;
  const head = element("tr");
  for (const name of ["rank", "document", "tokens", "outcome", "reason"])
    head.append(element("th", name, { scope: "col", class: name === "tokens" ? "number" : "" }));
  $("ledger").replaceChildren(head, ...prompt.ledger.map((row) => {
    const line = element("tr");
    for (const name of ["rank", "document", "tokens", "outcome", "reason"])
      line.append(element("td", row[name] ?? "", { class: name === "tokens" ? "number" : "" }));
    return line;
  }));
}

// ---- documents --------------------------------------------------------------------------------

async function listDocuments() {
  const { documents } = await (await send("GET", "/documents")).json();
  state.sources = new Map(documents.map((found) => [found.path, found]));
  $("list").replaceChildren(...documents.map((found) => {
    const item = element("li");
    const name = found.path.split("/").pop();
    const open = element("button", `${name} · ${found.pages} ${found.unit}s, ${found.status}`, { type: "button", class: "open" });
    open.addEventListener("click", () => openPage(found.path, 1));
    const remove = element("button", "Remove", { type: "button", "aria-label": `Remove ${name}` });
    remove.addEventListener("click", async () => {
      if (!confirm(`Take ${name} out of the index?`)) return;
      await send("DELETE", `/documents/${encodeURIComponent(found.document_id)}`);
      await listDocuments();
    });
    item.append(open, remove);
    return item;
  }));
}

async function upload(file) {
  const line = element("p", `${file.name}: sending `);
  const bar = element("progress");
  line.append(bar);
  $("uploads").append(line);
  try {
    const path = `/documents/${encodeURIComponent(file.name)}`;
    const response = await send("PUT", path, file, { accept: "text/event-stream" });
    for await (const { name, data } of eventsOf(response)) {
      if (name === "page") [bar.max, bar.value] = [data.pages, data.done];
      if (name === "embedded") [bar.max, bar.value] = [data.chunks, data.done];
      if (name === "error") throw new Error(data.message);
      if (name === "row") {
        const why = data.message ? `: ${data.message}` : "";
        line.textContent = `${file.name}: ${data.outcome}, ${data.pages} ${data.unit}s, ${data.status ?? ""}${why}`;
        line.className = data.outcome === "failed" ? "failed" : "";
      }
    }
  } catch (error) {
    line.textContent = `${file.name}: ${error.message}`;
    line.className = "failed";
  }
  await listDocuments();
}

// ---- wiring -----------------------------------------------------------------------------------

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (question) ask(question);
});
$("previous").addEventListener("click", () => turn(-1));
$("next").addEventListener("click", () => turn(1));
$("smaller").addEventListener("click", () => zoom(-0.25));
$("larger").addEventListener("click", () => zoom(0.25));
$("why").addEventListener("toggle", () => $("why").open && assemble(true));
let waiting = 0;
$("budget").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(assemble, 80);
});
$("placement").addEventListener("change", () => assemble());
$("placement").append(...PLACEMENTS.map((name) => element("option", name)));
$("file").addEventListener("change", async () => {
  for (const file of $("file").files) await upload(file);
  $("file").value = "";
});
for (const name of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") [...event.dataTransfer.files].forEach(upload);
  });
}
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("question").focus();
  }
  if (!typing && event.key === "ArrowLeft" && !$("previous").disabled) turn(-1);
  if (!typing && event.key === "ArrowRight" && !$("next").disabled) turn(1);
});
listDocuments().catch((error) => { $("state").textContent = error.message; });
