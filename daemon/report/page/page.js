// Fills the status page from /status.json, every two seconds while it is looked at. All text goes in as text, never as HTML. The page keeps
// nothing but the counts of flows that it has seen. Not here: what is wrong with a service (page_status.cpp sorts them), how it looks (page.css).
"use strict";

const period_ms = 2000, patience_ms = 10000, samples_kept = 60;
const marks = {problem: "✖", warning: "▲", ok: "✔"};
const health_marks = {up: "✔", down: "✖", full: "▲", unknown: "?"};
const flows = new Map(); // of each server: total, when it was read, and new flows per second since (null: not known)
let heard_at = 0; // when the last reply came

/** An element with a class and children, which are elements or text. */
function element(name, class_name, ...children) {
  const made = document.createElement(name);
  if (class_name) made.className = class_name;
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

function word(severity, text) {
  return element("span", `word ${severity}`, `${marks[severity]} ${text}`);
}

function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86400)} days`;
}

function local(time) {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return String(time);
  const today = at.toDateString() === new Date().toDateString();
  return today ? at.toLocaleTimeString() : at.toLocaleString();
}

function when(time) {
  const made = element("time", "", local(time));
  made.dateTime = String(time);
  return made;
}

// ---- the gateway

/** Each a severity and a sentence. */
function daemon_notices(daemon) {
  const found = [];
  const add = (severity, text) => found.push([severity, text]);
  if (daemon.kernel !== "in-step")
    add("problem", `The table in the kernel is not as hanatd decided (${daemon.kernel})${daemon.kernel_error ? `: ${daemon.kernel_error}` : ""}`);
  for (const finding of daemon.findings || []) add("problem", `No client reaches any service: ${finding.what}; remedy: ${finding.remedy}`);
  if (daemon.blind) add("problem", `Servers cannot be probed, and nothing fails over: ${daemon.blind}`);
  if (daemon.fallback) add("warning", `An older configuration is in use: ${daemon.fallback}`);
  if (daemon.reload_refused) add("warning", `The last reload was refused: ${daemon.reload_refused.first}`);
  if (daemon.unconfirmed) add("warning", `The configuration is on trial until ${local(daemon.unconfirmed.until)}, unless hanatctl confirm is run`);
  if (daemon.reverted) add("warning", `Nobody confirmed the last reload: the configuration before it is in use`);
  if (daemon.reload_hangs) add("warning", `A reload waits for its files since ${local(daemon.reload_hangs.since)}`);
  if (daemon.config_stale) add("warning", "The configuration on disk is not the one in use: hanatctl plan, then hanatctl reload");
  const pair = daemon.pair;
  if (!pair) return found;
  const addPrograms = (side, where) => {
    if (side.keepalived === "absent") add("warning", `keepalived does not run${where}`);
    if (side.conntrackd === "absent") add("warning", `conntrackd does not run${where}`);
    if (side.conntrackd === "behind") add("warning", `conntrackd does not keep up${where}`);
  };
  addPrograms(pair, "");
  const peer = pair.peer;
  if (!peer) return found;
  addPrograms(peer, ` on the other gateway (${peer.address})`);
  if (peer.none_active) add("problem", `No gateway is active: neither has ${pair.address}`);
  if (peer.both_active) add("problem", `Both gateways are active, this one and ${peer.address}`);
  if (peer.failure) add("warning", `The other gateway (${peer.address}) does not answer: ${peer.failure}`);
  for (const difference of peer.differs || []) add("warning", `The gateways differ: ${difference}`);
  return found;
}

function show_daemon(daemon) {
  const pair = daemon.pair ? `, ${daemon.pair.role} gateway of a pair (${daemon.pair.address})` : "";
  document.getElementById("daemon").textContent = `hanatd ${daemon.version}, up for ${duration(daemon.uptime_s)}${pair}`;
  document.getElementById("notices").replaceChildren(
      ...daemon_notices(daemon).map(([severity, text]) => element("p", `notice ${severity}`, word(severity, severity), " ", text)));
}

// ---- services

/** What the kernel does with its traffic meanwhile. */
function observed_now(service) {
  if (service.target !== "none") return `traffic stays frozen at ${service.target}${service.target_address ? ` ${service.target_address}` : ""}; no failover`;
  if (service.target_address) return `traffic stays frozen at ${service.target_address}, which is no server of this configuration; no failover`;
  if (service.in_table) return "clients stay turned away; no failover";
  return "hanat sends no traffic anywhere, other rules of this machine decide; no failover by hanat";
}

/** Why a service is not fine, in sentences. */
function reasons(service) {
  const found = [];
  if (service.mode === "observe")
    found.push(`observe: ${observed_now(service)} until mode = "auto"${service.would_target ? `; hanat would choose ${service.would_target} (${service.would_why})` : ""}`);
  if (service.forced) {
    const {target, by, until, reason} = service.forced;
    found.push(`${service.forced.drill ? "a drill: " : ""}forced to ${target} by ${by}${until ? ` until ${local(until)}` : ""}${reason ? `: ${reason}` : ""}`);
  }
  const others = service.servers.filter((one) => one.role !== service.target && !one.disabled && !one.drains).map((one) => ({...one, health: one.group_health || one.health}));
  if (service.severity === "problem" && service.target !== "none" && others.some((one) => one.health === "down" || one.health === "full") && !others.some((one) => one.health === "up" || one.recovering))
    found.push(`redundancy lost: ${others.map((one) => `${one.role} is ${one.health}`).join(", ")}; nothing to fail over to`);
  if (service.outage) found.push(`no server answers for ${duration(service.outage.for_s)}: that may be this gateway's own failure`);
  if (service.path && service.path.state === "unanswered") {
    found.push("clients get no answer although the target passes its probes");
    for (const finding of service.path.findings) found.push(`${finding.what}${finding.remedy ? `; remedy: ${finding.remedy}` : ""}`);
  }
  for (const foreign of service.foreign || []) found.push(`${count(foreign.flows, "flow", "flows")} of ${foreign.listen} at ${foreign.server}: another rule sends clients there`);
  for (const listener of service.interfaces || [])
    for (const held of listener.held || []) found.push(`${held.address} is gone from ${listener.interface}: held for ${duration(held.left_s)}, then its connections are cut`);
  for (const old of (service.draining || []).filter((one) => one.left !== 0))
    found.push(`${old.left === null ? "old flows" : count(old.left, "old flow", "old flows")} at ${old.server}${old.ends_in_s === null ? ", kept" : `, cut in ${duration(old.ends_in_s)}`}`);
  if (service.failback_in_s !== null && service.failback && service.failback.to)
    found.push(`back to ${service.failback.to} in ${duration(service.failback_in_s)}`);
  return found;
}

function server_notes(server) {
  const notes = [];
  if (server.disabled) notes.push(`disabled by ${server.disabled.by}${server.disabled.until ? ` until ${local(server.disabled.until)}` : ""}`);
  if (server.group_health && server.group_health !== server.health) notes.push(`${server.group_health} in the group`);
  const last = server.last;
  if (!last) notes.push("no result yet");
  else if (last.outcome === "pass") notes.push(`${last.reason} in ${last.latency_ms.toFixed(1)} ms`);
  else notes.push(`${last.outcome}: ${last.reason}${last.detail ? ` (${last.detail})` : ""}`);
  if (server.warning) notes.push(`warning: ${server.warning.reason}${server.warning.detail ? ` (${server.warning.detail})` : ""}`);
  if (server.flapping) notes.push(`flapping, ${count(server.flapping.times, "time", "times")}`);
  if (server.new_probes) notes.push("new probes have not passed yet");
  if (server.former_since) notes.push("no longer in the configuration");
  return notes.join("; ");
}

function svg_element(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** New flows per second as a line, newest at the right; broken where they are not known. */
function plot(rates) {
  const width = 120, height = 24, highest = Math.max(1, ...rates.map((rate) => rate ?? 0));
  const x = (index) => (width - 4) - (rates.length - 1 - index) * (width - 8) / (samples_kept - 1);
  const lines = [[]];
  rates.forEach((rate, index) => {
    if (rate === null) lines.push([]);
    else lines.at(-1).push(`${x(index).toFixed(1)},${(height - 2 - rate / highest * (height - 4)).toFixed(1)}`);
  });
  const newest = rates.at(-1) ?? null;
  const title = newest === null ? "new flows: not known yet" : `new flows: ${rounded(newest)}/s; at most ${rounded(highest)}/s in two minutes`;
  const made = svg_element("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", preserveAspectRatio: "none"}, svg_element("title", {}, title));
  for (const points of lines.filter((line) => line.length > 1)) made.append(svg_element("polyline", {points: points.join(" ")}));
  return made;
}

function rounded(rate) { return rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString("en"); }

function server_row(service, server) {
  const has_traffic = server.role === service.target;
  const health = server.disabled ? "disabled" : server.drains ? "drained" : server.recovering ? `${server.health}, recovering` : server.health;
  const severity = server.health === "up" && !server.disabled ? "ok" : server.health === "down" ? "problem" : "warning";
  const rates = flows.get(`${service.name}\n${server.role}`)?.rates ?? [], rate = rates.at(-1) ?? null;
  const mark = server.disabled ? "▲" : health_marks[server.health] ?? "?";
  const row = element("li", has_traffic ? "has-traffic" : "",
      element("span", "role", has_traffic ? `→ ${server.role}` : server.role), element("span", "address", server.address),
      element("span", `health word ${severity}`, `${mark} ${health}`), element("span", "last soft", server_notes(server) + (rate > 0 ? `; ${rounded(rate)} new flows/s` : "")));
  row.append(plot(rates));
  return row;
}

function service_card(service) {
  const target = service.target === "none"
      ? (service.why === "starting" ? "no target yet" : "no server gets new connections")
      : `new connections go to ${service.target}${service.target_address ? ` (${service.target_address})` : ""}`;
  const why = reasons(service);
  const card = element("article", service.severity,
      element("div", "head", word(service.severity, service.severity), element("h3", "", service.name), element("span", "soft", service.listen.join(", "))),
      element("p", "target", `${target}, since `, when(service.since), `: ${service.why}`));
  if (why.length > 0) card.append(element("ul", "why", ...why.map((text) => element("li", "", text))));
  card.append(element("ul", "servers", ...service.servers.map((server) => server_row(service, server))));
  return card;
}

function sample(services) {
  const seen = new Set(), at = performance.now() / 1000;
  for (const service of services)
    for (const server of service.servers) {
      const key = `${service.name}\n${server.role}`, before = flows.get(key) ?? {rates: []};
      seen.add(key);
      const total = server.new_flows ?? null, known = total !== null && before.total !== null && total >= before.total;
      const rates = before.at === undefined ? [] : [...before.rates, known ? (total - before.total) / (at - before.at) : null];
      flows.set(key, {total, at, rates: rates.slice(-samples_kept)});
    }
  for (const key of flows.keys())
    if (!seen.has(key)) flows.delete(key);
}

function show_services(status) {
  const {services, shown, problems, warnings} = status.summary;
  const parts = [count(services, "service", "services"), count(problems, "problem", "problems"), count(warnings, "warning", "warnings")];
  const some = shown < services ? `; the first ${shown} are shown` : "";
  document.getElementById("summary").textContent = parts.join(", ") + some;
  document.title = problems > 0 ? `${marks.problem} ${count(problems, "problem", "problems")} - hanat` : "hanat";
  sample(status.services);
  document.getElementById("services").replaceChildren(...status.services.map(service_card));
}

function show_events(history) {
  const rows = history.slice().reverse().map((entry) => element("li", "", when(entry.at), element("b", "", entry.service ?? "hanatd"), ` ${entry.text}`));
  document.getElementById("events").replaceChildren(...(rows.length > 0 ? rows : [element("li", "soft", "none yet")]));
}

// ---- every two seconds

function show_live(failure) {
  const live = document.getElementById("live");
  if (!failure) return live.replaceChildren(word("ok", "live"), ` at ${new Date().toLocaleTimeString()}`);
  const silent = heard_at > 0 ? ` for ${duration((Date.now() - heard_at) / 1000)}: what follows is old` : "";
  return live.replaceChildren(word("problem", `hanatd does not answer${silent}`), ` (${failure})`);
}

async function refresh() {
  try {
    const reply = await fetch("status.json", {cache: "no-store", signal: AbortSignal.timeout(patience_ms)});
    if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
    const status = await reply.json();
    show_daemon(status.daemon);
    show_services(status);
    show_events(status.history);
    heard_at = Date.now();
    show_live("");
  } catch (error) {
    show_live(error.message);
  }
}

async function run() {
  if (!document.hidden) await refresh();
  setTimeout(run, period_ms);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
run();
