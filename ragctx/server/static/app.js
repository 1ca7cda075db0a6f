// The page. Texts of documents and models are only ever set as text, never as HTML.
const $ = (id) => document.getElementById(id);
const QUOTED = 1500; // characters of a quote that go into an address
const state = {
  documents: new Map(), limit: Infinity, // by path; bytes that a file may have
  page: null, zoom: 1, opened: 0,        // what the right side shows
  asking: null, earlier: [], asked: "",  // what stops the answer; the conversation; the last question
  placements: [], assembled: 0,          // names in the slider's order; the last prompt shown
};

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function button(text, attributes, onClick) {
  const made = element("button", text, { type: "button", ...attributes });
  made.addEventListener("click", onClick);
  return made;
}

async function send(method, path, body, init = {}) {
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, "content-type": "application/json" };
  }
  const response = await fetch(path, { method, ...init }).catch((error) => {
    throw error.name === "AbortError" ? error : new Error("The server does not answer. Is ragctx serve running?");
  });
  if (!response.ok) {
    const failed = await response.json().catch(() => ({}));
    throw new Error(failed.error?.message ?? `the server said ${response.status}`);
  }
  return response;
}

// Server-sent events, out of text that comes in pieces.
function eventReader(onEvent) {
  let waiting = "";
  return (text) => {
    waiting += text;
    for (let end; (end = waiting.indexOf("\n\n")) >= 0; waiting = waiting.slice(end + 2)) {
      const [name, data] = waiting.slice(0, end).split("\n");
      if (data) onEvent(name.slice("event: ".length), JSON.parse(data.slice("data: ".length)));
    }
  };
}

// ---- asking -----------------------------------------------------------------------------------

async function ask(question) {
  state.asking?.abort();
  const asking = state.asking = new AbortController();
  state.asked = question;
  $("send").textContent = "Stop";
  $("state").textContent = "searching";
  $("answer").setAttribute("aria-busy", "true");
  for (const id of ["text", "sure", "sources", "others", "as-text"]) $(id).replaceChildren();
  $("text").className = $("sure").className = "";
  try {
    const response = await send("POST", "/ask", { question, earlier: state.earlier },
      { headers: { accept: "text/event-stream" }, signal: asking.signal });
    const read = eventReader((name, data) => {
      if (name === "text") $("text").append(data.text);
      if (name === "answer") showAnswer(question, data);
      if (name === "error") throw new Error(data.message);
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let got; !(got = await reader.read()).done;) read(got.value);
  } catch (error) {
    if (state.asking !== asking) return; // another question was asked
    if (error.name === "AbortError") $("state").textContent = "stopped";
    else fail(error);
  } finally {
    if (state.asking === asking) {
      state.asking = null;
      $("send").textContent = "Ask";
      $("answer").removeAttribute("aria-busy");
      if ($("state").textContent === "searching") $("state").textContent = "";
    }
  }
  if ($("why").open && !state.asking) assemble(true);
}

function fail(error) {
  $("text").textContent = error.message;
  $("text").className = "failed";
}

function showAnswer(question, answer) {
  const { timing, confidence, outcome } = answer;
  $("state").textContent = `${(timing.total_s ?? 0).toFixed(2)} s, ${answer.model}`;
  if (answer.question !== question) $("as-text").textContent = `Asked as: ${answer.question}`;
  state.asked = answer.question;
  state.earlier = [...state.earlier, { question, answer: answer.answer }].slice(-5);
  $("new").hidden = false;
  if (answer.abstained) {
    $("text").textContent = answer.refusal?.message ?? "The documents do not answer this.";
    if (answer.alternatives.length) $("others").append(element("h2", "Side by side, to be checked"));
    for (const other of answer.alternatives) $("others").append(sourceButton(other.citation, other.answer));
    if (answer.nearest.length) $("others").append(element("h2", "Nearest passages, not an answer"));
    for (const hit of answer.nearest) $("others").append(sourceButton(hitSource(hit)));
    closePage(); // or else the page of an earlier answer would stand beside it
    return;
  }
  writeAnswer(answer);
  if (confidence !== null) {
    const percent = `${Math.round(100 * confidence)} %`;
    const isSure = outcome === "sure";
    $("sure").textContent = isSure ? `sure (${percent})` : `unsure (${percent}): only a guess, read the source`;
    $("sure").className = isSure ? "" : "unsure";
  }
  if (answer.finish_reason === "length") $("sure").append(" The answer was cut: it is too long.");
  for (const citation of answer.citations) {
    const item = element("li");
    item.append(sourceButton(citation));
    $("sources").append(item);
  }
  if (!answer.citations.length) $("others").append(element("p", "No source was cited.", { class: "failed" }));
  const conflicts = answer.alternatives.filter((other) => other.is_conflict);
  const guesses = answer.alternatives.filter((other) => !other.is_conflict);
  for (const [title, list] of [["The documents do not agree", conflicts], ["Or perhaps", guesses]]) {
    if (list.length) $("others").append(element("h2", title));
    for (const other of list) $("others").append(sourceButton(other.citation, other.answer));
  }
  const first = $("sources").querySelector("button");
  if (first) first.look();
  else closePage();
}

// The answer with its marks ([1]) as buttons that open the source.
function writeAnswer(answer) {
  const text = answer.scale ? `${answer.answer} (${answer.scale})` : answer.answer;
  const labels = new Set(answer.citations.map((citation) => citation.label));
  $("text").replaceChildren(...text.split(/(\[\d+\])/).map((part) => {
    const label = part.slice(1, -1);
    if (!/^\[\d+\]$/.test(part) || !labels.has(label)) return part;
    return button(part, { "aria-label": `Source ${label}` }, () => openSource(label));
  }));
}

const openSource = (label) => document.querySelector(`.source[data-label="${label}"]`)?.click();

function hitSource(hit) {
  const { document, path, first_page, unit, section } = hit;
  return { document, path, first_page, unit, section, quote: hit.text };
}

function placeOf(source) {
  if (source.unit !== "section") return `page ${source.first_page}`;
  const headings = source.section?.join(" › ") || source.page_labels?.[0];
  return headings && headings !== `${source.first_page}` ? `§ ${headings}` : `section ${source.first_page}`;
}

const countOf = (count, unit) => `${count} ${unit}${count === 1 ? "" : "s"}`;

function sourceButton(source, answer = "") {
  const label = source.label && !answer ? `[${source.label}] ` : "";
  const page = source.first_page ? `, ${placeOf(source)}` : "";
  const status = source.status && source.status !== "verified" ? ` (${source.status.replaceAll("_", " ")})` : "";
  const made = button("", { class: "source" }, () => { made.look(); toSource(); });
  made.look = () => {
    document.querySelectorAll(".source[aria-current]").forEach((one) => one.removeAttribute("aria-current"));
    made.setAttribute("aria-current", "true");
    openPage(source.path, source.first_page ?? 1, source.quote);
  };
  if (label) made.dataset.label = source.label;
  made.append(element("b", `${answer ? `${answer}: ` : ""}${label}${source.document}${page}${status}`));
  made.append(quoteOf(source));
  return made;
}

// The quote, with the words of the answer marked if it is known which they are.
function quoteOf(source) {
  const quote = element("span");
  const [start, end] = [source.answer_start - source.start, source.answer_end - source.start];
  const isKnown = source.answer_start != null && start >= 0 && end <= source.quote.length;
  const cut = (text) => (text.length > 300 ? `${text.slice(0, 300)}…` : text);
  if (!isKnown) quote.append(cut(source.quote));
  else quote.append(source.quote.slice(0, start), element("mark", source.quote.slice(start, end)), cut(source.quote.slice(end)));
  return quote;
}

const isNarrow = () => matchMedia("(max-width: 899px)").matches;
const toSource = () => isNarrow() && $("source").scrollIntoView();
const toAnswer = () => { $("answer").focus({ preventScroll: true }); if (isNarrow()) scrollTo(0, 0); };

function newTopic() {
  state.earlier = [];
  $("new").hidden = true;
  $("as-text").textContent = "";
  $("question").focus();
}

// ---- the source -------------------------------------------------------------------------------

async function openPage(path, number, quote = "") {
  const turn = ++state.opened;
  if (!state.documents.has(path)) await listDocuments().catch(() => {}); // it may be new
  const found = state.documents.get(path);
  if (!found) return say(`${path.split("/").pop()} is no longer in the index.`);
  state.page = { path, number, quote, pages: found.pages, scale: scaleFor(state.zoom) };
  const name = path.split("/").pop();
  $("where").textContent = `${number} of ${found.pages} · ${name}`;
  $("where").title = path;
  $("previous").disabled = number <= 1;
  $("next").disabled = number >= found.pages;
  const query = new URLSearchParams({ scale: state.page.scale });
  if (quote) query.set("quote", quote.slice(0, QUOTED));
  const base = `/documents/${encodeURIComponent(found.document_id)}/pages/${number}`;
  if (found.unit === "section") return showSection(base, quote, turn);
  const image = new Image();
  image.alt = `Page ${number} of ${name}`;
  image.id = "page";
  image.src = `${base}.png?${query}`;
  try {
    await image.decode();
  } catch {
    const why = await send("GET", image.src).then(() => "This page cannot be shown.", (error) => error.message);
    return turn === state.opened && say(why);
  }
  const boxes = quote ? await send("GET", `${base}/boxes?${query}`).then((got) => got.json()).catch(() => null) : null;
  if (turn !== state.opened) return; // another page was opened
  $("sheet").replaceChildren(image);
  zoom(0);
  const first = boxes?.quote_boxes[0];
  $("sheet").scrollTo(first ? first.left * image.clientWidth - 40 : 0, first ? first.top * image.clientHeight - 80 : 0);
}

// A document that is no PDF has sections of text, in which the quote is marked.
async function showSection(base, quote, turn) {
  let text = "";
  try {
    text = await (await send("GET", `${base}/text`)).text();
  } catch (error) {
    return turn === state.opened && say(error.message);
  }
  if (turn !== state.opened) return; // another page was opened
  const sheet = element("div", "", { id: "page", class: "section" });
  const marked = text.includes(quote) ? quote : quote.split("\n")[0]; // it may go on in the next
  const at = marked ? text.indexOf(marked) : -1;
  if (at < 0) sheet.textContent = text;
  else sheet.append(text.slice(0, at), element("mark", marked), text.slice(at + marked.length));
  $("sheet").replaceChildren(sheet);
  zoom(0);
  const mark = sheet.querySelector("mark");
  $("sheet").scrollTo(0, mark ? Math.max(0, mark.offsetTop - 80) : 0);
}

function closePage() {
  state.opened += 1;
  state.page = null;
  $("previous").disabled = $("next").disabled = true;
  $("where").textContent = "no page yet";
  $("sheet").replaceChildren(element("p", "Choose a source to see its page, with the quote marked.", { id: "hint" }));
}

const say = (why) => $("sheet").replaceChildren(element("p", why, { class: "failed", id: "hint" }));
const scaleFor = (zoom) => (zoom > 1.25 ? 4 : 2); // pixels a point

function zoom(step) {
  state.zoom = Math.min(3, Math.max(0.5, state.zoom + step));
  if (!state.page) return;
  const page = $("page");
  if (page?.tagName !== "IMG") {
    if (page) page.style.fontSize = `${state.zoom}rem`;
    return;
  }
  page.style.width = `${100 * state.zoom}%`;
  if (scaleFor(state.zoom) > state.page.scale) openPage(state.page.path, state.page.number, state.page.quote);
}

function turnPage(by) {
  const { path, number, quote, pages } = state.page ?? { number: 0, pages: 0 };
  if (number + by >= 1 && number + by <= pages) openPage(path, number + by, quote);
}

// ---- why --------------------------------------------------------------------------------------

async function assemble(isNew = false) {
  if (!state.asked) {
    $("certificate").textContent = "Ask something first.";
    return;
  }
  const turn = ++state.assembled;
  const body = { question: state.asked };
  try {
    if (!state.placements.length) await listPlacements();
    if (!isNew) body.placement = state.placements[$("placement").value];
    if (!isNew) body.budget_tokens = Number($("budget").value);
    const made = await (await send("POST", "/explain", body)).json();
    if (turn !== state.assembled) return; // the sliders went on
    if (isNew) {
      $("budget").max = made.certificate.context_window - made.certificate.max_new_tokens;
      $("budget").value = made.certificate.budget_tokens;
      $("placement").value = Math.max(0, state.placements.indexOf(made.placement));
    }
    showPrompt(made);
    if ($("whole").open) await showWords(body);
  } catch (error) {
    $("certificate").textContent = error.message;
    $("bar").replaceChildren();
  }
  showSliders();
}

async function listPlacements() {
  const api = await (await send("GET", "/openapi.json")).json();
  const { schema } = api.paths["/prompt"].post.requestBody.content["application/json"];
  state.placements = schema.properties.placement.enum;
  $("placement").max = state.placements.length - 1;
}

function showSliders() {
  $("budget-out").textContent = `${$("budget").value} tokens`;
  $("placement-out").textContent = (state.placements[$("placement").value] ?? "").replaceAll("_", " ");
  $("placement").setAttribute("aria-valuetext", $("placement-out").textContent);
}

async function showWords(body) {
  $("prompt").textContent = (await (await send("POST", "/prompt", body)).json()).text;
}

function showPrompt({ certificate: sums, candidates }) {
  const ranks = new Map(candidates.filter((one) => one.label).map((one) => [one.label, one.rank]));
  const parts = sums.segments.map(({ kind, tokens, label }) => [kind, tokens, ranks.get(label) ?? ""]);
  parts.push(["answer", sums.max_new_tokens, ""], ["slack", sums.slack_tokens, ""]);
  $("bar").replaceChildren(...parts.map(([kind, tokens, label]) => {
    const name = kind === "passage" ? `passage of rank ${label}` : kind === "slack" ? "unused" : kind;
    const part = element("i", label, { class: kind, title: `${name}: ${tokens} tokens` });
    part.style.flexGrow = tokens;
    return part;
  }));
  const order = parts.filter(([kind]) => kind === "passage").map(([, , rank]) => rank);
  $("bar").setAttribute("aria-label", `Passages in the order of the prompt, by rank: ${order.join(", ")}`);
  $("certificate").textContent =
    `${sums.prompt_tokens} tokens of prompt + ${sums.max_new_tokens} kept for the answer + ` +
    `${sums.slack_tokens} unused = a window of ${sums.context_window}`;
  const head = element("tr");
  for (const [name, kind] of COLUMNS) head.append(element("th", name, { scope: "col", class: kind }));
  $("ledger").tHead.replaceChildren(head);
  $("ledger").tBodies[0].replaceChildren(...candidates.map(ledgerRow));
}

const COLUMNS = [["rank", "number"], ["passage", ""], ["tokens", "number"], ["outcome", ""], ["reason", ""]];

function ledgerRow(row) {
  const line = element("tr", "", { class: row.label ? "" : "dropped" });
  const place = element("td");
  const page = row.first_page ? `, ${placeOf(row)}` : "";
  place.append(button(`${row.document}${page}`, { title: row.section.join(" › ") }, async () => {
    const id = state.documents.get(row.path)?.document_id;
    const text = id ? await textAt(row) : "";
    openPage(row.path, row.first_page ?? 1, text);
    toSource();
  }));
  line.append(element("td", row.rank, { class: "number" }), place, element("td", row.tokens, { class: "number" }),
    element("td", row.outcome), element("td", row.reason));
  return line;
}

async function textAt({ chunk }) {
  const { hits } = await (await send("POST", "/search", { question: state.asked, k: 20 })).json();
  return hits.find((hit) => hit.chunk === chunk)?.text ?? "";
}

// ---- documents --------------------------------------------------------------------------------

async function listDocuments() {
  const { sources, max_upload_bytes: limit } = await (await send("GET", "/documents")).json();
  state.documents = new Map(sources.map((found) => [found.path, found]));
  state.limit = limit;
  $("count").textContent = sources.length ? `(${sources.length})` : "(none yet: add one to ask)";
  if (!sources.length) $("documents").open = true;
  $("list").replaceChildren(...sources.map((found) => {
    const item = element("li");
    const name = found.path.split("/").pop();
    const words = `${name} · ${countOf(found.pages, found.unit)}, ${found.status}`;
    const open = button(words, { class: "open", title: found.path }, () => { openPage(found.path, 1); toSource(); });
    const remove = button("Remove", { "aria-label": `Remove ${name}` }, async () => {
      const others = sources.filter((one) => one.document_id === found.document_id && one !== found);
      const same = others.map((one) => `\n${one.path} is the same document, and goes as well.`).join("");
      if (!confirm(`Take ${name} out of the index?${same}`)) return;
      await send("DELETE", `/documents/${encodeURIComponent(found.document_id)}`).catch(fail);
      await listDocuments();
    });
    item.append(open, remove);
    return item;
  }));
}

async function uploadAll(files) {
  $("documents").open = true;
  for (const file of files) await upload(file);
}

// XMLHttpRequest tells how much was sent, which fetch does not.
function upload(file) {
  const line = element("p");
  const words = element("span", `${file.name}: waiting`);
  const bar = element("progress", "", { "aria-label": `Progress of ${file.name}` });
  line.append(words, bar);
  $("uploads").append(line);
  const show = (what, done, all) => {
    words.textContent = `${file.name}: ${what} ${done} of ${all}`;
    [bar.max, bar.value] = [Math.max(all, 1), done];
  };
  const end = (what, isFailed) => {
    line.textContent = `${file.name}: ${what}`;
    line.className = isFailed ? "failed" : "";
  };
  const mib = (bytes) => (bytes / 2 ** 20).toFixed(1);
  if (file.size > state.limit) {
    end(`has ${mib(file.size)} MiB; ${mib(state.limit)} is the most`, true);
    return undefined;
  }
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    let seen = 0;
    const read = eventReader((name, data) => {
      if (name === "page") show("page", data.done, data.pages);
      if (name === "embedded") show("passage", data.done, data.chunks);
      if (name === "error") end(data.message, true);
      if (name !== "row") return;
      const why = data.message ? `: ${data.message}` : "";
      const pages = data.pages ? `, ${countOf(data.pages, data.unit)}, ${data.status}` : "";
      end(`${data.outcome}${pages}${why}`, data.outcome === "failed");
    });
    request.upload.onprogress = ({ loaded, total }) => show("MiB", mib(loaded), mib(total));
    request.onprogress = () => {
      if (request.status !== 200) return;
      read(request.responseText.slice(seen));
      seen = request.responseText.length;
    };
    request.onload = () => {
      if (request.status === 200) return request.onprogress();
      let message = `the server said ${request.status}`;
      try { message = JSON.parse(request.responseText).error.message; } catch { /* not from ragctx */ }
      end(message, true);
    };
    request.onerror = () => end("the server ended the connection", true);
    request.onloadend = () => listDocuments().catch(fail).then(resolve);
    request.open("PUT", `/documents/${encodeURIComponent(file.name)}`);
    request.setRequestHeader("accept", "text/event-stream");
    request.setRequestHeader("content-type", file.type || "application/octet-stream");
    request.send(file);
  });
}

// ---- wiring -----------------------------------------------------------------------------------

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (state.asking) state.asking.abort();
  else if (question) ask(question);
});
$("new").addEventListener("click", newTopic);
$("previous").addEventListener("click", () => turnPage(-1));
$("next").addEventListener("click", () => turnPage(1));
$("smaller").addEventListener("click", () => zoom(-0.25));
$("larger").addEventListener("click", () => zoom(0.25));
$("back").addEventListener("click", toAnswer);
$("help").addEventListener("click", () => $("keys").showModal());
$("why").addEventListener("toggle", () => $("why").open && assemble(true));
$("whole").addEventListener("toggle", () => $("whole").open && assemble());
let waiting = 0;
for (const id of ["budget", "placement"]) {
  $(id).addEventListener("input", () => {
    showSliders();
    clearTimeout(waiting);
    waiting = setTimeout(assemble, 60);
  });
}
$("file").addEventListener("change", async () => {
  const files = [...$("file").files];
  $("file").value = "";
  await uploadAll(files);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", name === "dragover");
    if (name === "drop") uploadAll([...event.dataTransfer.files]);
  });
}
const KEYS = {
  "/": () => { $("question").focus(); $("question").select(); },
  "?": () => $("keys").showModal(),
  "+": () => zoom(0.25),
  "=": () => zoom(0.25),
  "-": () => zoom(-0.25),
  w: () => { $("why").open = !$("why").open; },
  d: () => { $("documents").open = !$("documents").open; },
  ArrowLeft: () => turnPage(-1),
  ArrowRight: () => turnPage(1),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (event.key === "Escape") {
    if (state.asking) state.asking.abort();
    document.activeElement?.blur();
    toAnswer();
  } else if (!event.target.matches("input, textarea")) {
    if (/^[1-9]$/.test(event.key)) document.querySelectorAll(".source")[event.key - 1]?.click();
    else if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
  }
});
listDocuments().catch(fail);
