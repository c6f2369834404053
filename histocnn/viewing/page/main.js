// The page: what is shown, and what every hand's movement does.

import {about, leave, told} from "./ask.js"
import {Cohort} from "./cohort.js"
import {$, message} from "./dom.js"
import {hands, KEYS} from "./hands.js"
import {Layer} from "./layers.js"
import {Lines} from "./lines.js"
import {Overview} from "./overview.js"
import {Panel} from "./panel.js"
import {compose, drawBar, save} from "./picture.js"
import {readPlace, writePlace} from "./place.js"
import {scaleButtons} from "./scales.js"
import {Teach} from "./teach.js"
import {Tiles} from "./tiles.js"
import {View, rounded, said} from "./view.js"
import {Why} from "./why.js"

const canvas = $("slide")
const view = new View(canvas)
const layer = new Layer()
const lines = new Lines()
const tiles = new Tiles(() => draw())
const state = {cohort: null, strip: null, number: -1, facts: null, asked: 0, whole: false, drawn: false}
const panel = new Panel(layer, lines, {
  choose, changed: () => draw(), maps: () => state.cohort.maps,
  lines: (what, shown) => { lines.shown[what] = shown; needLines(what) },
})
const why = new Why({go: (number, box) => visit(number, box)})
const overview = new Overview($("map"), (x, y) => {
  if (!state.facts) return
  view.x = x * state.facts.size_px[0]
  view.y = y * state.facts.size_px[1]
  view.hold()
  draw()
})

let frame = 0
function draw() {
  frame ||= requestAnimationFrame(() => {
    frame = 0
    if (!state.facts) return
    const context = canvas.getContext("2d")
    state.whole = paint(context)
    drawBar(context, view, [10 * view.ratio, view.height - 26 * view.ratio])
    overview.draw(view, tiles)
    if (tiles.known.size) state.first ??= performance.now()  // since the page was asked for
    if (state.whole && !state.sharp) {
      state.sharp = performance.now()
      state.strip?.begin()
    }
    where()
    remember()
  })
}

function paint(context) {
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.fillStyle = "#e9e9e9"
  context.fillRect(0, 0, view.width, view.height)
  const whole = tiles.draw(context, view)
  layer.draw(context, view)
  lines.draw(context, view)
  return whole
}

async function open(number, place = {}) {
  const asked = ++state.asked
  const slide = state.cohort.slides[number]
  const before = layer.facts?.key
  const facts = await told(`slide/${number}`).catch((error) => ({error: error.message}))
  if (asked != state.asked) return
  state.number = number
  state.strip?.mark(number)
  $("name").textContent = slide.id
  document.title = `${slide.id} – histocnn`
  leave()
  why.clear()
  layer.clear()
  message(facts.error)
  shown(facts.error ? null : facts)
  state.teach?.leave(number)
  if (facts.error) return state.strip?.begin()
  scaleButtons($("scale"), facts, (umpp) => { umpp ? (view.umpp = umpp) : view.fit(); draw() })
  view.resize()
  view.show(facts)
  tiles.show(number, facts, state.cohort.tile)
  lines.show(number, facts)
  if (place.lines != null) for (const what of Object.keys(lines.shown)) lines.shown[what] = place.lines.includes(what[0])
  if (place.x != null && place.y != null) view.go([place.x, place.y], place.umpp)
  Object.assign(facts, {layers: [], origins: {}, refused: {}})
  panel.show(facts)
  draw()  // pixels first
  const laid = await about(`slide/${number}/layers`)
    .then((answer) => answer.json()).catch((error) => ({error: error.message}))
  if (asked != state.asked) return
  if (laid.error) message(laid.error)
  else Object.assign(facts, laid)
  state.strip?.know(number, facts.scores)
  panel.show(facts)
  const offered = facts.layers.filter((each) => each.kind != "grid")
  const wanted = place.layer ?? `${offered.find((each) => each.key == before)?.source ?? offered[0]?.source}.${
    offered.some((each) => each.key == before) ? before : offered[0]?.key}`
  if (place.opacity != null) layer.opacity = place.opacity
  if (place.layer != null) layer.least = place.least ?? 0
  draw()
  await Promise.all([choose(wanted, true), ...Object.keys(lines.shown).map(needLines)])
  state.teach?.opened(number)
}

// What is seen now; without a slide nothing of the last one stays.
function shown(facts) {
  state.facts = facts
  document.body.classList.toggle("nothing", !facts)
  for (const id of ["link", "shot"]) $(id).disabled = !facts
  if (!facts) canvas.getContext("2d").clearRect(0, 0, view.width, view.height)
}

async function choose(name, keep = false) {
  const found = state.facts.layers.find((each) => `${each.source}.${each.key}` == name)
  const facts = found ? {...found.facts, ...found} : null
  if (!keep) layer.least = 0
  try {
    await layer.show(state.number, facts, state.cohort.maps)
  } catch (error) {
    if (layer.facts != facts) return  // another was chosen meanwhile
    message(error.message)
    layer.clear()
  }
  panel.renew()
  draw()
}

async function needLines(what) {
  $(`show_${what}`).checked = lines.shown[what]
  if (!lines.shown[what] || !state.facts) return draw()
  const asked = state.asked
  try {
    await lines.need(what)
  } catch (error) {
    if (asked == state.asked) message(`${what}: ${error.message}`)
  }
  draw()
}

// Go to a patch of this or another slide.
async function visit(number, box) {
  const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
  if (number != state.number) await open(number, {...readPlace(location.hash), x, y, slide: null})
  view.go([x, y], view.umpp)
  lines.mark = box
  draw()
}

function where(point = state.pointer) {
  if (!state.facts) return
  const {unit_um, px_l0} = state.facts
  const words = [`${unit_um ? "" : "1 : "}${rounded(view.umpp)}${unit_um ? " µm/px" : ""}`]
  if (point) {
    const [x, y] = view.level0(point)
    words.push(`x ${Math.floor(x)}, y ${Math.floor(y)} level-0 px`)
    if (unit_um) words.push(`${said((x / px_l0[0]) * unit_um, true)}, ${said((y / px_l0[1]) * unit_um, true)}`)
    const value = layer.at([x, y])
    if (value) words.push(value)
  }
  if (!unit_um) words.push("the slide does not say its scale")
  if (tiles.lost) words.push("grey or blurred: cannot be read")
  $("where").textContent = words.join(" · ")
}

function place() {
  const [x, y] = view.level0([view.width / 2, view.height / 2])
  const shown = Object.entries(lines.shown).filter(([, on]) => on).map(([what]) => what[0]).join("")
  return writePlace({
    slide: state.facts.id, x, y, umpp: view.umpp, least: layer.least, opacity: layer.opacity,
    layer: layer.facts ? `${layer.facts.source}.${layer.facts.key}` : "", lines: shown,
  })
}

// Layers of a map that was taught: beside the others, the most likely class first.
async function taughtLayers(found) {
  const own = state.facts.layers.filter((each) => each.source != "taught")
  const first = !state.facts.layers.some((each) => each.source == "taught")
  state.facts.layers = [...own, ...found]
  const before = layer.facts && `${layer.facts.source}.${layer.facts.key}`
  panel.show(state.facts)
  const stays = state.facts.layers.some((each) => `${each.source}.${each.key}` == before)
  const best = found.length ? `taught.${found[0].key}` : ""
  if (best && first) await choose(best)
  else if (before?.startsWith("taught.")) await choose(stays ? before : best, true)
  else draw()
}

let later = 0
function remember() {
  clearTimeout(later)
  later = setTimeout(() => { if (state.facts) history.replaceState(null, "", place()) }, 250)
}

async function link() {
  history.replaceState(null, "", place())
  try {
    await navigator.clipboard.writeText(location.href)
  } catch {
    return message("This browser does not let pages copy: the link is the address above.")
  }
  $("link").textContent = "copied"
  setTimeout(() => { $("link").textContent = "copy link" }, 1500)
}

function picture() {
  const facts = layer.facts
  const legend = !facts ? [] : facts.kind == "map"
    ? [{name: `${facts.title}, 0 to 1${layer.least ? `, from ${layer.least.toFixed(3)}` : ""}`, map: state.cohort.maps[facts.map]}]
    : facts.names.map((name, i) => ({name, colour: facts.colours[i]}))
        .filter((_, i) => facts.key != "errors" || layer.counts?.[i])
  if (lines.shown.annotations)
    for (const area of lines.outlines.annotations ?? []) legend.push({name: `annotated ${area.name}`, colour: area.colour})
  const [x, y] = view.level0([view.width / 2, view.height / 2])
  const words = [`${state.facts.id} · centre x ${x.toFixed(0)}, y ${y.toFixed(0)} level-0 px · ${rounded(view.umpp)} ${
    state.facts.unit_um ? "µm/px" : "px/px"}`, [state.facts.origins?.[facts?.source], state.cohort.note].filter(Boolean).join(" · ")]
  return compose(view, paint, legend, words)
}

async function click(point, event) {
  const at = view.level0(point)
  if (await state.teach?.click(at, event)) return
  const chosen = layer.facts?.source ?? state.facts.layers[0]?.source
  const source = chosen == "taught" ? state.teach.source : chosen  // a taught map has no file
  if (source == null) return
  const found = await why.ask(state.number, source, at)
  if (found === undefined) return
  lines.mark = found?.box ?? null
  draw()
}

const presses = {
  0: () => view.fit(), 1: () => { view.umpp = state.facts.unit_um ?? 1 },
  n: () => state.strip.step(1), p: () => state.strip.step(-1), c: link,
  s: () => save(picture(), `${state.facts.id}.png`),
  m: () => { $("map").hidden = !$("map").hidden },
  l: () => { panel.choice.selectedIndex = (panel.choice.selectedIndex + 1) % panel.choice.options.length; choose(panel.choice.value) },
  "?": () => { $("keys").hidden = !$("keys").hidden },
  Escape: () => { $("keys").hidden = true; lines.mark = null; why.clear(); message(null) },
}
for (const [key, what] of [["g", "grid"], ["t", "tissue"], ["a", "annotations"]])
  presses[key] = () => { lines.shown[what] = !lines.shown[what]; needLines(what) }

hands(canvas, () => view.ratio, {
  zoom: (factor, at) => { if (state.facts) { view.zoom(factor, at); draw() } },
  pan: (dx, dy) => { if (state.facts) { view.pan(dx, dy); draw() } },
  hover: (point, event) => { state.pointer = point; state.teach?.move(view, point, event); where() },
  down: (point, event) => state.teach?.down(view, point, event),
  up: (point, event) => state.teach?.up(view, point, event),
  cancel: () => state.teach?.leave(state.number),
  click: (point, event) => { if (state.facts) click(point, event) },
  key: (name) => {
    if (!presses[name] || (!state.facts && !"np".includes(name))) return false
    presses[name]()
    draw()
    return true
  },
})
$("keys").textContent = KEYS
for (const [id, key] of [["previous", "p"], ["next", "n"], ["link", "c"], ["shot", "s"], ["help", "?"]])
  $(id).onclick = () => { presses[key](); canvas.focus() }
new ResizeObserver(() => { if (view.resize()) draw() }).observe(canvas)

presses.u = () => { if (state.teach?.on) state.teach.send("undo", {}) }

async function come() {
  if (!state.cohort.slides.length) return message("There are no slides here.")
  const asked = readPlace(location.hash)
  const number = state.cohort.slides.findIndex((slide) => slide.id == asked.slide)
  if (number >= 0) return open(number, asked)
  await open(0)
  if (asked.slide) message(`${asked.slide} is not among these slides.`)
}

window.addEventListener("hashchange", come)
shown(null)
state.cohort = await told("cohort")
$("note").textContent = state.cohort.note
if (state.cohort.teaching)
  state.teach = new Teach({layers: taughtLayers, draw, lines, go: (box) => visit(state.number, box)})
state.strip = new Cohort(state.cohort.slides, (number) => open(number))
await come()
// What tests and the console ask.
window.histocnn = {state, view, layer, lines, tiles, panel, why, draw, open, choose, picture, place}
