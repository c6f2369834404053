// The slides beside the slide: thumbnails and scores, made only for those in sight.

import {ask} from "./ask.js"
import {$, make, pressed} from "./dom.js"

const HIGH = 132  // px of an item, as the style sheet has it
const AT_ONCE = 2  // thumbnails: a browser has six connections, which the slide itself needs

export class Cohort {
  constructor(slides, open) {
    Object.assign(this, {slides, open})
    this.all = slides.map((slide, number) => ({...slide, number}))
    this.items = new Map()
    ;[this.waiting, this.loading, this.begun] = [[], 0, false]
    this.current = 0
    const scores = [...new Set(slides.flatMap((slide) => Object.keys(slide.scores)))].slice(0, 40)
    this.order = $("order")
    this.order.replaceChildren(make("option", {value: ""}, "by name"),
      ...scores.map((name) => make("option", {value: name}, `by ${name}`)))
    this.order.hidden = !scores.length
    $("find").oninput = this.order.onchange = () => { $("strip").scrollTop = 0; this.arrange() }
    $("strip").onscroll = () => this.fill()
    new ResizeObserver(() => this.fill()).observe($("strip"))
    this.arrange()
  }

  arrange() {
    const [part, by] = [$("find").value.toLowerCase(), this.order.value]
    this.shown = this.all.filter((slide) => slide.id.toLowerCase().includes(part))
    if (by) this.shown.sort((a, b) => (b.scores[by] ?? -Infinity) - (a.scores[by] ?? -Infinity))
    $("inner").style.height = `${this.shown.length * HIGH}px`
    for (const item of this.items.values()) item.remove()
    this.items.clear()
    this.fill()
  }

  fill() {
    const strip = $("strip")
    const first = Math.max(0, Math.floor(strip.scrollTop / HIGH) - 1)
    const last = Math.min(this.shown.length - 1, Math.ceil((strip.scrollTop + strip.clientHeight) / HIGH))
    for (const [place, item] of this.items)
      if (place < first || place > last) {
        item.remove()
        this.items.delete(place)
      }
    for (let place = first; place <= last; place++)
      if (!this.items.has(place)) {
        const item = this.item(this.shown[place])
        item.style.top = `${place * HIGH}px`
        this.items.set(place, item)
        $("inner").append(item)
      }
    this.load()
  }

  item(slide) {
    const picture = make("div", {className: "picture"})
    const by = this.order.value || Object.keys(slide.scores).find((name) => name.startsWith("max")) || Object.keys(slide.scores)[0]
    const score = by && slide.scores[by] != null ? `${by} ${Number(slide.scores[by].toPrecision(3))}` : ""
    const item = pressed(make("div", {className: "item", title: slide.id},
      picture, make("div", {className: "id"}, slide.id), make("div", {className: "score"}, score)),
    () => this.open(slide.number))
    item.setAttribute("aria-current", slide.number == this.current)
    if (slide.broken) this.broken(item, slide.broken)
    else this.waiting.push([slide, item, picture])
    return item
  }

  // Begin with thumbnails: the slide is there.
  begin() {
    this.begun = true
    this.load()
  }

  async load() {
    if (!this.begun || this.loading >= AT_ONCE) return
    let next
    do next = this.waiting.shift()
    while (next && !next[1].isConnected)  // scrolled away
    if (!next) return
    const [slide, item, picture] = next
    this.loading++
    this.load()
    try {
      const answer = await ask(`slide/${slide.number}/thumbnail`)
      const image = make("img", {alt: "", src: URL.createObjectURL(await answer.blob())})
      image.onload = () => URL.revokeObjectURL(image.src)
      picture.append(image)
    } catch (error) {
      this.broken(item, (slide.broken = error.message))
    }
    this.loading--
    this.load()
  }

  broken(item, reason) {
    item.classList.add("broken")
    item.firstChild.replaceChildren(`cannot be shown: ${reason}`)
  }

  mark(number) {
    this.current = number
    const place = this.shown.findIndex((slide) => slide.number == number)
    const strip = $("strip")
    if (place >= 0 && (place * HIGH < strip.scrollTop || (place + 1) * HIGH > strip.scrollTop + strip.clientHeight))
      strip.scrollTop = place * HIGH - strip.clientHeight / 2 + HIGH / 2
    this.fill()
    for (const [at, item] of this.items) item.setAttribute("aria-current", this.shown[at].number == number)
  }

  // Slide-level scores that became known when the slide was opened.
  know(number, scores) {
    const slide = this.all[number]
    if (!scores || Object.keys(slide.scores).length) return
    slide.scores = scores
    const place = this.shown.indexOf(slide)
    this.items.get(place)?.remove()
    this.items.delete(place)
    this.fill()
  }

  step(by) {
    const place = this.shown.findIndex((slide) => slide.number == this.current)
    const next = this.shown[place + by]
    if (next) this.open(next.number)
  }
}
