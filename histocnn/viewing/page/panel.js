// What is chosen of the layers: which, how opaque, from which value on, and how its values spread.

import {$, make, swatch} from "./dom.js"
import {rounded} from "./view.js"

const BINS = 100

export class Panel {
  constructor(layer, lines, acts) {
    Object.assign(this, {layer, lines, acts})
    this.build()
  }

  build() {
    this.choice = make("select", {id: "layer", ariaLabel: "layer", onchange: () => this.acts.choose(this.choice.value)})
    const slider = (id, change) =>
      make("input", {id, type: "range", min: 0, max: 1, step: 0.001, oninput: change})
    this.opacity = slider("opacity", () => this.changed({opacity: Number(this.opacity.value)}))
    this.least = slider("threshold", () => this.changed({least: Number(this.least.value)}))
    this.opacity.value = this.layer.opacity
    this.chart = make("canvas", {id: "histogram", className: "wide", width: 276, height: 70, title: "click: show from here"})
    this.chart.onclick = (event) => {
      const box = this.chart.getBoundingClientRect()
      this.changed({least: Math.min(1, Math.max(0, (event.clientX - box.left) / box.width))})
    }
    this.marks = make("div", {className: "marks"})
    this.count = make("div", {className: "small", id: "count"})
    this.legend = make("div", {className: "legend", id: "legend"})
    this.from = make("div", {}, make("label", {htmlFor: "threshold"}, "Show from ", (this.from_said = make("b"))),
      this.least, this.chart, this.marks)
    this.boxes = {}
    const boxes = Object.keys(this.lines.shown).map((what) => {
      const box = make("input", {type: "checkbox", id: `show_${what}`, checked: this.lines.shown[what]})
      box.onchange = () => this.acts.lines(what, box.checked)
      this.boxes[what] = make("label", {className: "line"}, box, ` ${what}`)
      return this.boxes[what]
    })
    this.origin = make("div", {className: "small"})
    this.refused = make("div", {className: "small warn", id: "refused"})
    $("choose").replaceChildren(
      make("h2", {}, "Layer"), this.choice, this.legend,
      (this.dials = make("div", {}, make("label", {htmlFor: "opacity"}, "Opacity"), this.opacity, this.from, this.count)),
      make("h2", {}, "Lines"), ...boxes, this.origin, this.refused,
    )
  }

  show(facts) {
    this.facts = facts
    const many = new Set(facts.layers.map((each) => each.source)).size > 1
    const options = facts.layers
      .filter((each) => each.kind != "grid")
      .map((each) => make("option", {value: `${each.source}.${each.key}`},
        many && facts.sources[each.source] ? `${each.title} · ${facts.sources[each.source]}` : each.title))
    this.choice.replaceChildren(make("option", {value: ""}, "none: the slide alone"), ...options)
    this.boxes.grid.hidden = !facts.layers.some((each) => each.kind == "grid")
    this.boxes.annotations.hidden = !facts.annotated
    this.origin.textContent = facts.scores && !options.length ? `Nothing was scored: the slide alone. ${facts.failure}` : ""
    this.refused.replaceChildren(
      ...Object.entries(facts.refused).map(([name, reason]) => make("div", {}, `${name} is not shown: ${reason}`)))
    this.renew()
  }

  changed(what) {
    Object.assign(this.layer, what)
    this.layer.paint()
    this.dial()
    this.acts.changed()
  }

  // All that follows from the chosen layer.
  renew() {
    const facts = this.layer.facts
    this.choice.value = facts ? `${facts.source}.${facts.key}` : ""
    this.dials.hidden = !facts || !this.layer.values
    this.legend.replaceChildren(...(facts ? this.entries(facts) : []))
    if (!facts) return
    if (this.facts?.origins?.[facts.source]) this.origin.textContent = this.facts.origins[facts.source]
    this.from.hidden = facts.kind == "kinds"
    this.marks.replaceChildren(...(facts.points ?? []).map(({name, at}) =>
      make("button", {onclick: () => this.changed({least: at})}, `${name}: ${at.toPrecision(2)}`)))
    this.bins = this.layer.counts && facts.kind != "kinds" ? this.layer.histogram(BINS) : null
    this.dial()
  }

  dial() {
    const {layer} = this
    this.opacity.value = layer.opacity
    this.least.value = layer.least
    this.from_said.textContent = layer.least.toFixed(3)
    if (!layer.counts) return
    const [above, all] = layer.shown()
    const [sx, sy] = layer.facts.stride
    const {unit_um, px_l0} = this.facts
    const area = unit_um ? ` · ${rounded((above * sx * sy * unit_um ** 2) / (px_l0[0] * px_l0[1]) / 1e6)} mm²` : ""
    this.count.textContent = `${above.toLocaleString("en")} of ${all.toLocaleString("en")} cells${area}`
    if (this.bins) this.drawChart()
  }

  drawChart() {
    const {chart, bins, layer} = this
    const context = chart.getContext("2d")
    const [w, h] = [chart.width, chart.height]
    const most = Math.sqrt(Math.max(1, ...bins))  // roots: few cells are seen beside many
    context.clearRect(0, 0, w, h)
    bins.forEach((count, i) => {
      context.fillStyle = (i + 1) / BINS > layer.least ? "#0072b2" : "#bbb"
      const high = (Math.sqrt(count) / most) * (h - 4)
      context.fillRect((i * w) / BINS, h - high, w / BINS - 0.5, high)
    })
    context.fillStyle = "#d55e00"
    for (const {at} of layer.facts.points ?? []) context.fillRect(at * w - 0.5, 0, 1, h)
    context.fillStyle = "#111"
    context.fillRect(layer.least * w - 1, 0, 2, h)
  }

  entries(facts) {
    if (facts.kind == "map") return [this.colourBar(facts), make("div", {className: "ends"},
      make("span", {}, facts.key == "novelty" ? "0 %" : "0"), make("span", {}, facts.key == "novelty" ? "100 %" : "1"))]
    const {counts} = this.layer
    return facts.names.map((name, i) => {
      const count = counts ? cells(facts, counts, i) : 0
      if (facts.key == "errors" && !count) return null
      return make("div", {}, swatch(facts.colours[i], facts.opacities ? Math.min(1, facts.opacities[i] + 0.3) : 1),
        make("span", {}, name), make("span", {className: "small"}, counts ? count.toLocaleString("en") : ""))
    }).filter(Boolean)
  }

  colourBar(facts) {
    const canvas = make("canvas", {className: "wide", width: 256, height: 14})
    const context = canvas.getContext("2d")
    const most = Math.max(...facts.opacity)
    this.acts.maps()[facts.map].forEach((colour, i) => {
      context.fillStyle = `rgba(${colour.join(",")},${0.25 + 0.75 * (facts.opacity[i] / most)})`
      context.fillRect(i, 0, 1, 14)
    })
    return canvas
  }
}

function cells(facts, counts, index) {
  if (facts.kind != "classes") return counts[index]
  return counts.subarray(index << 10, (index + 1) << 10).reduce((sum, count) => sum + count, 0)
}
