// The layer over the slide: every cell's two bytes, coloured by a table of 65,536 colours. A new
// threshold or opacity is a new table.

import {about, ask} from "./ask.js"

const NONE = 65535
const STEPS = 65534
const SURE = 1023
const USUAL = 0.6  // opacity that the tables are made for (pages/viewer_scene.py)

export class Layer {
  constructor() {
    this.clear()
    this.table = new Uint32Array(65536)
    this.raster = document.createElement("canvas")
    this.over = document.createElement("canvas")
    this.tissue = null
    this.least = 0
    this.opacity = USUAL
  }

  clear() { this.facts = this.values = this.counts = null }

  async show(number, facts, maps) {
    // Of a map that was taught anew the cells before stay until the new ones are here.
    if (this.facts?.key != facts?.key || !facts?.address) this.clear()
    this.facts = facts
    if (!facts) return
    const answer = await about(facts.address ?? `slide/${number}/values/${facts.source}/${facts.key}`)
    const values = new Uint16Array(await answer.arrayBuffer())
    if (this.facts != facts) return  // another was chosen meanwhile
    this.take(values, maps)
    if (facts.smooth && this.tissueOf != number) {
      this.tissueOf = number
      this.tissue = null  // that of another slide
      const tissue = await ask(`slide/${number}/tissue`)
        .then(async (picture) => createImageBitmap(await picture.blob())).catch(() => null)
      if (this.tissueOf == number) this.tissue = tissue
    }
  }

  // Values that came anew, such as after a click of who teaches.
  take(values, maps) {
    this.maps = maps
    this.values = values
    const counts = (this.counts = new Uint32Array(65536))
    for (let i = 0; i < values.length; i++) counts[values[i]]++
    this.paint()
  }

  // How far above the threshold a value is: the share that it is compared by.
  share(value) {
    if (this.facts.kind == "map") return value / STEPS
    return this.facts.kind == "classes" ? (value & SURE) / SURE : 1
  }

  colours() {
    const {kind, map, opacity, opacities, colours, chance} = this.facts
    const {table, least} = this
    const alpha = (share) => Math.round(255 * Math.min(1, Math.max(0, share * this.opacity)))
    const pack = ([r, g, b], a) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0
    table.fill(0)
    if (kind == "map") {
      const [shades, most] = [this.maps[map], Math.max(...opacity)]
      const steps = shades.map((colour, step) => pack(colour, alpha(opacity[step] / most)))
      for (let v = Math.max(0, Math.ceil(least * STEPS - 0.5)); v <= STEPS; v++)
        table[v] = steps[Math.round((v / STEPS) * 255)]
    } else if (kind == "classes") {
      colours.forEach((colour, index) => {
        for (let sure = Math.max(0, Math.ceil(least * SURE - 0.5)); sure <= SURE; sure++)
          table[index * (SURE + 1) + sure] =
            pack(colour, alpha(Math.max(0, (sure / SURE - chance) / (1 - chance))))
      })
    } else {
      colours.forEach((colour, index) => { table[index] = pack(colour, alpha(opacities[index] / USUAL)) })
    }
    table[NONE] = 0
  }

  paint() {
    if (!this.values) return
    this.colours()
    const [rows, columns] = this.facts.shape
    const {table, values, raster} = this
    if (raster.width != columns || raster.height != rows) {
      raster.width = columns
      raster.height = rows
      this.image = null
    }
    const context = raster.getContext("2d")
    this.image ??= context.createImageData(columns, rows)
    const pixels = new Uint32Array(this.image.data.buffer)
    for (let i = 0; i < values.length; i++) pixels[i] = table[values[i]]
    context.putImageData(this.image, 0, 0)
  }

  draw(context, view) {
    if (!this.values) return
    const {smooth, stride, shape: [rows, columns]} = this.facts
    const [[left, top], [right, bottom]] = [view.level0([0, 0]), view.level0([view.width, view.height])]
    const spare = smooth ? 2 : 0  // cells that are smoothed with those in sight
    const range = (low, high, wide, most) => [
      Math.max(0, Math.floor(low / wide) - spare), Math.min(most, Math.ceil(high / wide) + spare),
    ]
    const [c0, c1] = range(left, right, stride[0], columns)
    const [r0, r1] = range(top, bottom, stride[1], rows)
    if (c0 >= c1 || r0 >= r1) return
    const onto = smooth && this.tissue ? this.blank(view) : context
    const [x0, y0] = view.point([c0 * stride[0], r0 * stride[1]])
    const [x1, y1] = view.point([c1 * stride[0], r1 * stride[1]])
    const [x, y] = view.point(view.facts.size_l0)
    onto.save()
    onto.beginPath()
    onto.rect(view.across(0), view.down(0), x - view.across(0), y - view.down(0))
    onto.clip()
    onto.imageSmoothingEnabled = smooth
    onto.drawImage(this.raster, c0, r0, c1 - c0, r1 - r0, x0, y0, x1 - x0, y1 - y0)
    onto.restore()
    if (onto == context) return
    onto.globalCompositeOperation = "destination-in"  // glass stays clear
    onto.imageSmoothingEnabled = true
    onto.drawImage(this.tissue, view.across(0), view.down(0), x - view.across(0), y - view.down(0))
    onto.globalCompositeOperation = "source-over"
    context.drawImage(this.over, 0, 0)
  }

  blank(view) {
    this.over.width = view.width
    this.over.height = view.height
    return this.over.getContext("2d")
  }

  // The value of the cell at a level-0 point, for people; "" where there is none.
  at([x, y]) {
    if (!this.values) return ""
    const {shape: [rows, columns], stride, kind, names} = this.facts
    const [column, row] = [Math.floor(x / stride[0]), Math.floor(y / stride[1])]
    if (column < 0 || row < 0 || column >= columns || row >= rows) return ""
    const value = this.values[row * columns + column]
    if (value == NONE) return ""
    if (kind == "map") return this.share(value).toFixed(3)
    if (kind == "classes") return `${names[value >> 10]} ${this.share(value).toFixed(3)}`
    return names?.[value] ?? ""
  }

  // How many cells there are in each of so many steps of the share.
  histogram(bins) {
    const found = new Array(bins).fill(0)
    for (let value = 0; value < NONE; value++) {
      const count = this.counts[value]
      if (count) found[Math.min(bins - 1, Math.floor(this.share(value) * bins))] += count
    }
    return found
  }

  // Cells that are shown, and all.
  shown() {
    let [above, all] = [0, 0]
    for (let value = 0; value < NONE; value++) {
      const count = this.counts[value]
      if (!count) continue
      all += count
      if (this.facts.kind != "map" || value >= this.least * STEPS - 0.5)
        if (this.facts.kind != "classes" || (value & SURE) >= this.least * SURE - 0.5) above += count
    }
    return [above, all]
  }
}
