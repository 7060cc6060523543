"use strict";
// The chat page. A model's text is untrusted: it only ever becomes text nodes, in elements that
// are made here.

const $ = (id) => document.getElementById(id);
const talk = $("talk");
let facts = { model: "", conditions: [], condition: null, needs_key: false };
let conversation = [];
let inFlight = null; // the AbortController of the answer that is being given

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

// -- Markdown: code, headings, nested lists, bold, italics; no links, images or HTML --

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*/g;

function inline(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    parts.push(text.slice(end, match.index));
    if (match[1] !== undefined) parts.push(element("code", match[1]));
    else if (match[2] !== undefined) parts.push(element("strong", ...inline(match[2])));
    else parts.push(element("em", ...inline(match[3])));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}

function lines(block) {
  return formulas(block, (text) => {
    const parts = text.split("\n").flatMap((line) => [element("br"), ...inline(line)]);
    return parts.slice(1);
  });
}

function blocks(text) {
  // One element for each block; a fence that is still open (streaming) is code already.
  const made = [];
  let open = []; // the lines of the paragraph being read
  let lists = []; // the lists being read, each in an item of the one before
  let code = null; // the lines of the fence being read
  const close = () => {
    if (open.length) made.push(element("p", ...lines(open.join("\n"))));
    open = [];
    lists = [];
  };
  const closeCode = () => {
    if (code) made.push(element("pre", element("code", code.map((line) => line + "\n").join(""))));
    code = null;
  };
  const add = (indent, number, words) => {
    const kind = number ? "ol" : "ul";
    while (lists.length && indent < lists.at(-1).indent) lists.pop();
    const last = lists.at(-1);
    if (!last || indent > last.indent + 1 || last.kind !== kind) {
      const list = element(kind);
      if (number) list.start = Number(number);
      if (last && indent === last.indent) lists.pop();
      const outer = lists.at(-1);
      if (outer) outer.list.lastChild.append(list);
      else {
        close();
        made.push(list);
      }
      lists.push({ indent, kind, list });
    }
    lists.at(-1).list.append(element("li", ...formulas(words, inline)));
  };
  for (const line of text.split("\n")) {
    if (code) {
      if (/^\s*```\s*$/.test(line)) closeCode();
      else code.push(line);
      continue;
    }
    const heading = line.match(/^(#{1,6})\s+(.*)/);
    const item = line.match(/^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)/);
    if (/^\s*```/.test(line)) {
      close();
      code = [];
    } else if (heading) {
      close();
      made.push(element("h" + Math.min(heading[1].length + 1, 4), ...formulas(heading[2], inline)));
    } else if (item) {
      const indent = item[1].replaceAll("\t", "    ").length;
      add(Math.min(indent, 16), item[2], item[3]); // not any depth
    } else if (!line.trim()) close();
    else {
      if (lists.length) close();
      open.push(line);
    }
  }
  closeCode();
  close();
  return made;
}

// -- long texts --

// As Markdown a text is shown up to so many characters. Of a longer one, or of one whose combining
// marks would take a browser minutes to lay out, there are its beginning and end, and the whole as
// plain text at the press of a button, in pieces of which only those in sight are laid out.
const LONGEST = 60_000;
const BEGINNING = 8_000;
const END = 2_000;
const PIECE = 4_000;
const MARKS = /\p{M}{1000}/u;

const border = (text, at) => at + (/^[\uDC00-\uDFFF]/.test(text[at] ?? "") ? 1 : 0);

function shortened(text, render) {
  if (text.length <= LONGEST && !MARKS.test(text)) return render(text);
  const first = border(text, Math.min(BEGINNING, text.length));
  const last = Math.max(first, border(text, text.length - END));
  const button = element("button", `Show all ${text.length.toLocaleString("en")} characters`);
  button.type = "button";
  const gap = element("p", `… ${(last - first).toLocaleString("en")} characters … `, button);
  gap.className = "gap";
  button.addEventListener("click", () => gap.parentElement.replaceChildren(...wholly(text)));
  return [...render(text.slice(0, first)), gap, ...render(text.slice(last))];
}

function wholly(text) {
  const made = [];
  for (let start = 0; start < text.length; ) {
    const end = border(text, Math.min(start + PIECE, text.length));
    const piece = element("div", text.slice(start, end));
    piece.className = "piece";
    made.push(piece);
    start = end;
  }
  return made;
}

// -- the conversation on the page --

function show(role) {
  $("hint").hidden = true;
  const body = element("div");
  body.className = "body";
  const thought = element("details", element("summary", "Thinking …"), element("div"));
  thought.className = "thought";
  thought.hidden = true;
  const message = element("article", thought, body);
  message.className = `message ${role}`;
  message.setAttribute("aria-label", role === "user" ? "You" : facts.model);
  talk.append(message);
  return { message, body, thought };
}

function atEnd() {
  return talk.scrollHeight - talk.scrollTop - talk.clientHeight < 60;
}

function write(shown, text, thought) {
  // A quarter of the time at most goes into drawing: a long answer, drawn anew for each of its
  // pieces, would take minutes and leave no key heard.
  shown.text = text;
  shown.thinking = thought;
  shown.timer ??= setTimeout(() => draw(shown), Math.max(16, 3 * (shown.cost ?? 0)));
}

function draw(shown) {
  clearTimeout(shown.timer);
  shown.timer = null;
  const begun = performance.now();
  const follow = atEnd();
  const [summary, thought] = shown.thought.children;
  if (shown.text) summary.textContent = "Thought";
  if (shown.thinking && shown.thinking !== shown.drawn) {
    thought.replaceChildren(...shortened(shown.thinking, (part) => [part]));
    shown.drawn = shown.thinking;
    shown.thought.hidden = false;
  }
  shown.body.replaceChildren(...shortened(shown.text, blocks));
  if (follow) talk.scrollTop = talk.scrollHeight;
  shown.cost = performance.now() - begun;
}

function finish(shown, text, note, failed) {
  if (text || shown.thinking) draw(shown);
  const follow = atEnd();
  shown.message.classList.remove("busy");
  shown.message.removeAttribute("aria-busy");
  const foot = element("div");
  foot.className = "foot";
  if (text) {
    const copy = element("button", "Copy");
    copy.type = "button";
    copy.addEventListener("click", () => put(text, copy));
    foot.append(copy);
  }
  const said = element("span", note);
  if (failed) said.className = "error";
  foot.append(said);
  shown.message.append(foot);
  if (follow) talk.scrollTop = talk.scrollHeight;
}

async function put(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https the clipboard is closed to pages, but a selection can be copied.
    const area = element("textarea", text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

// -- the server --

function request() {
  const body = {
    model: facts.model,
    messages: conversation,
    stream: $("stream").checked,
  };
  if ($("temperature").value) body.temperature = Number($("temperature").value);
  if ($("max-tokens").value) body.max_tokens = Number($("max-tokens").value);
  if (facts.conditions.length) body.condition = $("condition").value;
  return body;
}

async function* pieces(response) {
  // The content of each event of a stream, and how the answer ended.
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      if (data.startsWith(":")) continue;
      const sent = JSON.parse(data);
      if (sent.error) throw new Error(sent.error.message);
      const choice = sent.choices[0];
      if (choice) {
        const { content, reasoning_content: thought } = choice.delta;
        yield { text: content || "", thought: thought || "", reason: choice.finish_reason };
      }
    }
  }
}

async function refusal(response) {
  const text = await response.text();
  try {
    const error = JSON.parse(text).error;
    return error.message || String(error);
  } catch {
    return text || response.statusText;
  }
}

const NOTES = { stop: "", length: "cut at its longest length", abort: "ended by the server" };

async function answer(shown) {
  let text = "";
  let thought = "";
  let reason = null;
  let note = "";
  let failed = false;
  const headers = { "Content-Type": "application/json" };
  if ($("key").value) headers.Authorization = `Bearer ${$("key").value}`;
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST", headers, body: JSON.stringify(request()), signal: inFlight.signal,
    });
    if (!response.ok) throw new Error(`${response.status}: ${await refusal(response)}`);
    if ($("stream").checked && response.headers.get("Content-Type").includes("event-stream")) {
      for await (const piece of pieces(response)) {
        text += piece.text;
        thought += piece.thought;
        reason = piece.reason || reason;
        write(shown, text, thought);
      }
      if (reason === null) throw new Error("the server went away in the middle of the answer");
    } else {
      const [choice] = (await response.json()).choices;
      text = choice.message.content || "";
      thought = choice.message.reasoning_content || "";
      reason = choice.finish_reason;
      write(shown, text, thought);
    }
    note = reason in NOTES ? NOTES[reason] : reason;
    if (thought && !text) note = ["it thought to no end", note].filter(Boolean).join(", ");
  } catch (error) {
    failed = error.name !== "AbortError";
    const gone = error instanceof TypeError ? "the server does not answer: " : "";
    note = failed ? gone + error.message : "stopped";
  }
  finish(shown, text, note, failed);
  return { text, failed };
}

async function send() {
  const text = $("text").value;
  if (inFlight || !text.trim()) return;
  conversation.push({ role: "user", content: text });
  const asked = show("user");
  asked.body.append(...shortened(text, (part) => [part]));
  $("text").value = "";
  grow();
  const mine = conversation;
  const shown = show("assistant");
  shown.message.classList.add("busy");
  shown.message.setAttribute("aria-busy", "true");
  talk.scrollTop = talk.scrollHeight;
  inFlight = new AbortController();
  busy(true);
  const { text: answered, failed } = await answer(shown);
  inFlight = null;
  busy(false);
  if (conversation !== mine) return; // a new chat was begun
  if (answered && !failed) conversation.push({ role: "assistant", content: answered });
  else {
    conversation.pop(); // what was not answered is asked again, not left in the conversation
    if (!$("text").value) $("text").value = text;
    grow();
  }
}

function busy(is) {
  $("send").hidden = is;
  $("stop").hidden = !is;
  $("text").focus();
}

function grow() {
  $("text").style.height = "auto"; // through the CSSOM, which the page's policy allows
  $("text").style.height = `${$("text").scrollHeight + 2}px`;
}

function stop() {
  if (inFlight) inFlight.abort();
}

function begin() {
  stop();
  conversation = [];
  talk.replaceChildren($("hint"));
  $("hint").hidden = false;
  $("text").focus();
}

async function start() {
  facts = await (await fetch("/chat.json")).json();
  document.title = $("model").textContent = facts.model;
  for (const name of facts.conditions) $("condition").append(new Option(name, name));
  if (facts.condition) $("condition").value = facts.condition;
  $("condition-field").hidden = !facts.conditions.length;
  $("key-field").hidden = !facts.needs_key;
  $("key").value = sessionStorage.getItem("key") || "";
  if (facts.needs_key && !$("key").value) $("key").focus();
}

$("ask").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("options").addEventListener("submit", (event) => event.preventDefault());
$("text").addEventListener("input", grow);
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); });
$("key").addEventListener("change", () => sessionStorage.setItem("key", $("key").value));
$("stop").addEventListener("click", stop);
$("new").addEventListener("click", begin);
start().catch((error) => { $("hint").textContent = `The server does not answer: ${error.message}`; });
