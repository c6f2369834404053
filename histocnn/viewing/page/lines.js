// Lines over the slide: outlines of tissue and annotations, the grid, the mark of a patch.

import {about} from "./ask.js"

export class Lines {
  constructor() {
    this.shown = {tissue: false, annotations: true, grid: false}
    this.mark = null  // level-0 box
    this.show(null, null)
  }

  show(number, facts) {
    ;[this.number, this.facts] = [number, facts]
    this.outlines = {}
    this.grid = null
    this.mark = null
    this.taught = null  // [{box, colour}] of labelled patches
    this.drawing = null  // an outline that somebody draws: level-0 points
  }

  // Fetch what is to be seen and not yet here.
  async need(what) {
    if (what == "grid") {
      const layer = this.facts.layers.find((each) => each.key == "grid")
      if (this.grid || !layer) return
      const number = this.number
      const answer = await about(`slide/${number}/values/${layer.source}/grid`)
      const values = new Uint16Array(await answer.arrayBuffer())
      if (number == this.number) this.grid = {...layer.facts, values}
      return
    }
    if (this.outlines[what] || (what == "annotations" && !this.facts.annotated)) return
    const number = this.number
    const said = await (await about(`slide/${number}/outlines/${what}`)).json()
    if (number != this.number) return
    this.outlines[what] = said.map((area) => ({...area, path: path(area.rings)}))
  }

  draw(context, view) {
    if (this.shown.grid && this.grid) this.drawGrid(context, view)
    for (const what of ["tissue", "annotations"])
      if (this.shown[what]) for (const area of this.outlines[what] ?? []) this.stroke(context, view, area)
    for (const {box, colour} of this.taught ?? []) this.box(context, view, box, `rgb(${colour.join(",")})`)
    if (this.drawing) this.drawOutline(context, view)
    if (this.mark) this.box(context, view, this.mark)
  }

  drawOutline(context, view) {
    context.beginPath()
    for (const point of this.drawing) context.lineTo(...view.point(point))
    context.closePath()
    context.strokeStyle = "black"
    context.lineWidth = 2 * view.ratio
    context.stroke()
  }

  stroke(context, view, {path, colour}) {
    const [px, py] = view.facts.px_l0
    const placed = new Path2D()
    const [left, top] = view.point([0, 0])
    placed.addPath(path, new DOMMatrix([view.scale / px, 0, 0, view.scale / py, left, top]))
    for (const [ink, width] of [["white", 4], [`rgb(${colour.join(",")})`, 2]]) {
      context.strokeStyle = ink
      context.lineWidth = width * view.ratio
      context.stroke(placed)
    }
  }

  box(context, view, [x0, y0, x1, y1], ink = "black") {
    const [[left, top], [right, bottom]] = [view.point([x0, y0]), view.point([x1, y1])]
    if (right < 0 || bottom < 0 || left > view.width || top > view.height) return
    for (const [colour, width] of [["white", 4], [ink, 2]]) {
      context.strokeStyle = colour
      context.lineWidth = width * view.ratio
      context.strokeRect(left, top, right - left, bottom - top)
    }
  }

  drawGrid(context, view) {
    const {shape: [rows, columns], stride, offset, footprint, values} = this.grid
    const [[left, top], [right, bottom]] = [view.level0([0, 0]), view.level0([view.width, view.height])]
    const first = [left, top].map((low, i) => Math.max(0, Math.floor((low - offset[i] - footprint[i]) / stride[i])))
    const last = [[right, columns], [bottom, rows]].map(([high, most], i) =>
      Math.min(most - 1, Math.floor((high - offset[i]) / stride[i])))
    const wide = (stride[0] / view.facts.px_l0[0]) * view.scale / view.ratio
    const every = Math.max(1, Math.ceil(4 / wide))  // where lines would be a blot, some are left out
    context.strokeStyle = "rgba(20,20,20,.55)"
    context.lineWidth = view.ratio
    context.beginPath()
    for (let row = first[1] - (first[1] % every); row <= last[1]; row += every)
      for (let column = first[0] - (first[0] % every); column <= last[0]; column += every) {
        if (values[row * columns + column] != 1) continue
        const [x, y] = view.point([column * stride[0] + offset[0], row * stride[1] + offset[1]])
        const [x1, y1] = view.point([
          column * stride[0] + offset[0] + footprint[0], row * stride[1] + offset[1] + footprint[1],
        ])
        context.rect(x, y, x1 - x, y1 - y)
      }
    context.stroke()
  }
}

function path(rings) {
  const found = new Path2D()
  for (const ring of rings) {
    found.moveTo(ring[0], ring[1])
    for (let i = 2; i < ring.length; i += 2) found.lineTo(ring[i], ring[i + 1])
    found.closePath()
  }
  return found
}
