// Teaching: a click or an outline gives patches a class, and the slide's map follows.

import {told} from "./ask.js"
import {$, make, pressed, swatch} from "./dom.js"

const RULES = {combined: "unlike first, then uncertain", unlike: "unlike what is labelled", uncertain: "most uncertain", novel: "most novel"}

// A class that has no patch of this slide.
const fresh = (name) => ({name, colour: [120, 120, 120], count: 0})

export class Teach {
  // acts: layers(layers), draw(), go(box), lines
  constructor(acts) {
    this.acts = acts
    this.on = false
    this.chosen = undefined  // class; null takes labels away
    this.known = []
    this.drawing = null  // points of an outline, level 0
    this.sending = null
    $("teach").hidden = false
    this.build()
    // The windows of a viewer share the session of a slide.
    window.addEventListener("focus", () => { if (this.on) this.load(false) })
  }

  build() {
    this.begin = make("button", {id: "teach_on", onclick: () => this.turn(!this.on)}, "teach this slide")
    this.classes = make("div", {className: "marks", id: "teach_classes"})
    this.name = make("input", {id: "teach_name", ariaLabel: "new class", placeholder: "new class", maxLength: 64})
    this.name.onkeydown = (event) => { if (event.key == "Enter") this.add() }
    this.undoing = make("button", {id: "teach_undo", onclick: () => this.send("undo", {})}, "undo (u)")
    this.saving = make("button", {id: "teach_save", onclick: () => this.save()})
    this.said = make("div", {className: "small", id: "teach_said", role: "status"})
    this.rule = make("select", {id: "teach_rule", ariaLabel: "where to look next", onchange: () => this.suggest()},
      ...Object.entries(RULES).map(([value, text]) => make("option", {value}, text)))
    this.next = make("div", {className: "neighbours", id: "teach_next"})
    this.curve = make("canvas", {className: "wide", width: 276, height: 60, id: "teach_curve"})
    this.inner = make("div", {hidden: true},
      make("div", {className: "small"}, "Click a patch, or hold Shift and draw around some: they are of the chosen class. Alt and a click says why. "
        + "All windows of this viewer share what is taught; what nobody saved is saved when the viewer ends."),
      (this.by = make("div", {className: "small"})), this.classes, this.name, make("button", {onclick: () => this.add()}, "add"),
      make("div", {}, this.undoing, " ", this.saving), this.said,
      make("h2", {}, "Where to look next"), this.rule, this.next,
      make("h2", {}, "How the map settles"), this.curve,
      make("div", {className: "small"}, "share of patches that each act gave another class"))
    $("teach").replaceChildren(make("h2", {}, "Teach"), this.begin, this.inner)
  }

  // Another slide is seen: from now on clicks are about it, and what was begun on the last is not.
  leave(number) {
    ;[this.number, this.turns] = [number, 0]
    this.drawing = this.acts.lines.drawing = null
  }

  // What lies over another slide is known.
  opened(number, facts) {
    this.number = number
    this.acts.lines.taught = null
    this.next.replaceChildren()
    this.said.textContent = ""
    if (this.on) this.load()
  }

  turn(on) {
    this.on = on
    this.begin.setAttribute("aria-pressed", on)
    this.begin.textContent = on ? "stop teaching" : "teach this slide"
    this.inner.hidden = !on
    if (on) this.load()
    else {
      this.acts.lines.taught = null
      this.acts.draw()
    }
  }

  // What has been said of the slide; later, whether another window has said more.
  async load(first = true) {
    const number = this.number
    if (first) this.say("reading features …")
    const said = await told(`slide/${number}/teach`).catch((error) => ({error: error.message}))
    if (number != this.number || !(first || said.turns > this.turns)) return
    this.say(said.error ?? "")
    if (!said.error) await this.take(said)
  }

  say(text) { this.said.textContent = text }

  // One after another, in the order in which it was said.
  send(what, body) {
    const number = this.number
    return (this.sending = Promise.resolve(this.sending).then(() => this.post(number, what, body)))
  }

  // What is answered; null where it is refused, or about a slide that is no longer seen.
  async post(number, what, body) {
    const said = await told(`slide/${number}/teach/${what}`, {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({...body, turns: this.turns}),
    }).catch((error) => ({error: error.message}))
    if (said.error) this.say(said.error)
    if (said.error || number != this.number) return null
    if (said.classes) {
      this.say(said.note ?? "")
      this.take(said)
    }
    return said
  }

  async save() {
    const said = await this.send("save", {})
    if (!said) return
    this.unsaved(false)
    this.say(`saved in ${said.folder}: ${said.files.join(", ")}`)
  }

  unsaved(some) { this.saving.textContent = some ? "save labels (not saved yet)" : "save labels" }

  // What the server says of the session.
  async take(said) {
    if (said.turns < this.turns) return  // an answer that was overtaken
    ;[this.source, this.turns] = [said.source, said.turns]
    this.unsaved(said.unsaved)
    this.by.textContent = `by the features in ${said.features}`
    const others = this.known.filter((each) => !said.classes.some((own) => own.name == each.name))
    this.known = [...said.classes, ...others.map(({name}) => fresh(name))]
    if (this.chosen === undefined) this.chosen = this.known[0]?.name
    this.show()
    const {boxes, classes} = said.marks
    this.acts.lines.taught = boxes.map((box, i) => ({box, colour: said.classes[classes[i]].colour}))
    this.undoing.disabled = !said.acts
    this.drawCurve(said.settled)
    for (const layer of said.layers) layer.facts.address = `slide/${this.number}/teach/values/${layer.key}`
    await this.acts.layers(said.layers)
    this.suggest()
  }

  show() {
    const button = (name, colour, words) => {
      const found = make("button", {onclick: () => { this.chosen = name; this.show() }}, colour ? swatch(colour) : null, ` ${words}`)
      found.setAttribute("aria-pressed", this.chosen === name)
      return found
    }
    this.classes.replaceChildren(
      ...this.known.map(({name, colour, count}) => button(name, colour, count ? `${name} (${count})` : name)),
      button(null, null, "no label"))
  }

  add() {
    const name = this.name.value.trim()
    if (!name) return
    if (!this.known.some((each) => each.name == name)) this.known.push(fresh(name))
    this.chosen = name
    this.name.value = ""
    this.show()
    $("slide").focus()
  }

  // A click on the slide; whether it was about teaching. With Alt it asks why, as elsewhere.
  async click(at, event) {
    if (!this.on || event.altKey) return false
    if (this.chosen == null && !this.known.length) {
      this.say("Name a class first.")
      return true
    }
    await this.send("tell", {at, class: this.chosen})
    return true
  }

  down(view, point, event) {
    if (!this.on || !event.shiftKey) return false
    this.drawing = [view.level0(point)]
    this.acts.lines.drawing = this.drawing
    return true
  }

  move(view, point) {
    if (!this.drawing) return
    this.drawing.push(view.level0(point))
    this.acts.draw()
  }

  up() {
    if (!this.drawing) return false
    const outline = this.drawing
    this.drawing = this.acts.lines.drawing = null
    this.acts.draw()
    if (outline.length > 2) this.send("tell", {outline, class: this.chosen})
    return true
  }

  async suggest() {
    const number = this.number
    const found = await told(`slide/${number}/teach/suggest?rule=${this.rule.value}`).catch((error) => ({error: error.message}))
    if (number != this.number) return
    if (found.error) return this.say(found.error)
    this.next.replaceChildren(...found.map((each) => {
      const image = make("img", {alt: each.rule, src: `slide/${number}/patch/${this.source}/${each.row}`})
      return pressed(make("figure", {className: "far", title: "go there"}, image, make("figcaption", {}, each.rule)),
        () => this.acts.go(each.box))
    }))
  }

  drawCurve(settled) {
    const context = this.curve.getContext("2d")
    const [w, h] = [this.curve.width, this.curve.height]
    context.clearRect(0, 0, w, h)
    context.strokeStyle = "#bbb"
    context.strokeRect(0.5, 0.5, w - 1, h - 1)
    const known = settled.filter(([, changed]) => changed != null)
    context.strokeStyle = "#0072b2"
    context.fillStyle = "#0072b2"
    context.beginPath()
    known.forEach(([, changed], i) => {
      const [x, y] = [8 + (i * (w - 16)) / Math.max(1, known.length - 1), h - 5 - changed * (h - 10)]
      context.lineTo(x, y)
      context.fillRect(x - 2, y - 2, 4, 4)
    })
    context.stroke()
  }
}
