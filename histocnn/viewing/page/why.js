// Why a patch is called what it is: its pixels, its scores, and the labelled patches nearest to it.

import {ask, told} from "./ask.js"
import {$, make, pressed} from "./dom.js"

export class Why {
  constructor(acts) { Object.assign(this, {acts, asked: 0}) }

  clear() {
    this.asked++
    $("why").replaceChildren()
  }

  // What is said of the patch; null: nothing. Nobody waits for undefined: another was asked for meanwhile.
  async ask(number, source, [x, y]) {
    const asked = ++this.asked
    const said = await told(`slide/${number}/why/${source}?x=${x}&y=${y}`).catch((error) => ({error: error.message}))
    if (asked != this.asked) return undefined
    if (!said.error) return this.show(number, source, said)
    $("why").replaceChildren(make("h2", {}, "Why"), make("div", {className: "small"}, said.error))
    return null
  }

  show(number, source, said) {
    const facts = Object.entries(said.scores ?? {}).map(([name, score]) => row(name, score?.toFixed(3) ?? "not scored"))
    if (said.label != null) facts.push(row("truth", said.label))
    if (said.novelty != null) facts.push(row("novelty", `${said.novelty.toFixed(0)} %`))
    if (said.uncertain != null) facts.push(row("uncertain", said.uncertain ? "yes" : "no"))
    for (const [name, value] of Object.entries(said.quality ?? {})) facts.push(row(name, value?.toFixed(3) ?? "–"))
    const picture = make("img", {className: "patch", alt: "the patch", src: `slide/${number}/patch/${source}/${said.row}`})
    $("why").replaceChildren(
      make("h2", {}, `Patch ${said.row}`), picture,
      make("div", {className: "small"}, `x ${said.box[0].toFixed(0)}, y ${said.box[1].toFixed(0)} level-0 px`),
      make("table", {}, make("tbody", {}, ...facts)),
      ...this.neighbours(number, source, said), ...this.network(number, source, said),
    )
    return said
  }

  neighbours(number, source, said) {
    if (!said.neighbours?.length) return []
    const figures = said.neighbours.map((near) => {
      const picture = make("img", {alt: near.label ?? "", loading: "lazy",
        src: `slide/${number}/neighbour/${source}/${said.row}/${near.rank}`})
      if (near.colour) picture.style.borderColor = `rgb(${near.colour.join(",")})`
      picture.onerror = () => picture.replaceWith(make("div", {className: "small"}, "no picture"))
      const words = [near.label, near.slide, near.patient && `patient ${near.patient}`, `distance ${near.distance.toFixed(3)}`]
      const figure = make("figure", {}, picture, make("figcaption", {}, words.filter(Boolean).join(" · ")))
      if (near.go != null) {
        figure.classList.add("far")
        figure.title = "go there"
        pressed(figure, () => this.acts.go(near.go, near.box))
      }
      return figure
    })
    const note = said.note && make("div", {className: "small warn"}, said.note)
    return [make("h2", {}, "Nearest labelled patches"), note, make("div", {className: "neighbours"}, ...figures)].filter(Boolean)
  }

  network(number, source, said) {
    if (!said.network) return []
    const place = make("div")
    const begin = make("button", {onclick: () => this.ask_network(number, source, said.row, place)}, "ask the network")
    place.append(begin)
    return [make("h2", {}, "What the network sees"), place]
  }

  async ask_network(number, source, patch, place) {
    const wait = () => make("div", {className: "small"}, "one moment …")
    const failed = (at) => (error) => at.replaceChildren(make("div", {className: "small warn"}, error.message))
    place.replaceChildren(wait())
    const facts = await told("network").catch(failed(place))
    if (!facts) return
    const shown = make("div")
    const show = (address, words) => {
      const image = make("img", {className: "patch", alt: words, src: address})
      const said = wait()
      image.onload = () => said.remove()
      image.onerror = () => ask(address).catch((error) => { said.textContent = error.message })
      return make("div", {className: "small"}, words, said, image)
    }
    const classes = facts.classes.map((name, index) => make("button", {onclick: () => shown.replaceChildren(
      show(`slide/${number}/because/${source}/${patch}/${index}`, `what speaks for ${name} (Grad-CAM)`))}, name))
    const channels = make("button", {onclick: async () => {
      shown.replaceChildren(wait())
      const found = await told(`slide/${number}/channels/${source}/${patch}`).catch(failed(shown))
      if (!found) return
      const pictures = found.channels.map((each) => show(
        `slide/${number}/channel/${source}/${patch}/${each.channel}`, `${each.channel}: ${each.value.toFixed(2)}`))
      shown.replaceChildren(make("div", {className: "small"}, `most excited channels of ${found.layer}`),
        make("div", {className: "neighbours"}, ...pictures))
    }}, "most excited channels")
    place.replaceChildren(make("div", {className: "small"}, facts.title),
      make("div", {className: "marks"}, ...classes, channels), shown)
  }
}

const row = (name, value) => make("tr", {}, make("td", {}, name), make("td", {className: "number"}, String(value)))
