// Asks the room what it knows, every two seconds, and draws it. Whatever a learner typed becomes text, never HTML.
"use strict";

const SECONDS = 2;
const AWAY = 15 * 60;
const OUTCOMES = {
  "passed": ["✓", "passed"],
  "wrong answer": ["✗", "wrong"],
  "error in your code": ["!", "error"],
  "not started": ["○", "soft"],
};
const SHOWN = { "wrong answer": "wrong, no known mistake", "error in your code": "error in the code" };
const byId = (id) => document.getElementById(id);
const key = location.hash.slice(1);
let last = null;
let lastTime = null;

function make(tag, className, ...inside) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...inside.filter((part) => part !== null));
  return element;
}

const showNames = () => byId("names").checked;
const count = (number, one, many = one + "s") => `${number} ${number === 1 ? one : many}`;

function exercise(each) {
  const words = `${each.exercise} ${each.title}`.trim().split(/(?<=_)/);  // a long name breaks where it can be read
  return make("code", "", ...words.flatMap((word) => [word, document.createElement("wbr")]));
}

function ago(seconds) {
  if (seconds < 60) return "now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

function part(className, share) {
  const bar = make("i", className);
  bar.style.width = `${100 * share}%`;
  return bar;
}

function mistake(each, stuck) {
  const says = each.says ? make("span", "says", each.says) : null;
  const track = make("span", "track", part("", each.count / stuck));
  return make("div", "mistake", make("span", "times", String(each.count)),
    make("b", "", SHOWN[each.name] || each.name), track, says);
}

function card(each) {
  const waiting = each.longest >= 60 ? `longest ${ago(each.longest)}` : "";
  const heading = make("h3", "", make("span", "count", String(each.count)), exercise(each), make("span", "soft", waiting));
  const who = showNames() ? make("p", "who", each.names.join(", ")) : null;
  return make("article", "card", heading, ...each.mistakes.map((one) => mistake(one, each.count)), who);
}

function person(each) {
  const [sign, className] = OUTCOMES[each.outcome] || ["·", "soft"];
  const tries = each.attempts > 1 ? ` · ${count(each.attempts, "attempt")}` : "";
  const what = each.outcome === "passed" ? "passed" : each.mistake || SHOWN[each.outcome] || each.outcome;
  const at = each.exercise ? make("span", "at", make("code", "", each.exercise), make("span", "soft", ` · ${what}${tries}`))
    : make("span", "at soft", "has joined");
  return make("li", each.idle > AWAY ? "away" : "", make("span", className, sign), make("span", "name", each.name),
    make("span", "when", `${each.passed} passed · ${ago(each.idle)}`), at);
}

function row(each, people) {
  const bar = make("div", "bar", part("passed", each.passed / people), part("failing", each.failing / people));
  const failing = each.failing ? `, ${each.failing} not yet` : "";
  const numbers = `${each.passed} passed${failing}`;
  return make("li", "", exercise(each), make("span", "soft", numbers), bar);
}

function draw(state) {
  const people = state.learners;
  const stuck = state.stuck.reduce((sum, each) => sum + each.count, 0);
  byId("totals").textContent = `${count(people.length, "learner")}, ${stuck} stuck`;
  document.title = `${stuck} stuck · The room`;
  byId("join").textContent = `gemini-workshop lab --room ${state.join.address} --code ${state.join.code}`;
  const none = make("p", "none", people.length ? "Nobody is stuck." : "Nobody has joined yet; the command is above.");
  byId("stuck").replaceChildren(...(stuck ? state.stuck.map(card) : [none]));
  byId("people-section").hidden = !showNames() || !people.length;
  byId("people").replaceChildren(...people.map(person));
  byId("exercises").replaceChildren(...state.exercises.map((each) => row(each, people.length)));
  byId("exercises").parentElement.hidden = !state.exercises.length;
  document.querySelector("main").hidden = false;
}

function complain(sentence) {
  byId("trouble").textContent = sentence;
  byId("trouble").hidden = !sentence;
}

async function refresh() {
  try {
    const headers = { Authorization: `Bearer ${key}` };
    const answer = await fetch("state", { headers, cache: "no-store", signal: AbortSignal.timeout(5000) });
    const state = await answer.json();
    if (!answer.ok) return complain(state.error.message);
    [last, lastTime] = [state, new Date()];
    complain("");
    draw(state);
  } catch {
    const since = lastTime ? ` since ${lastTime.toLocaleTimeString()}` : "";
    complain(`The room has not answered${since}. Is gemini-workshop room still running, and is this the same network?`);
  }
}

async function keepOn() {
  if (!document.hidden) await refresh();
  setTimeout(keepOn, SECONDS * 1000);
}

byId("names").addEventListener("change", () => last && draw(last));
document.addEventListener("visibilitychange", () => document.hidden || refresh());
keepOn();
