// Where the window is on the slide. The frame has square pixels (frame.py); the screen is counted
// in the device's own pixels.

export const MOST = 32  // device pixels per pixel of the frame

export class View {
  constructor(canvas) {
    this.canvas = canvas
    this.x = this.y = 0  // of the frame, in the middle of the window
    this.scale = 1  // device pixels per pixel of the frame
    this.facts = null
  }

  get ratio() { return window.devicePixelRatio || 1 }
  get width() { return this.canvas.width }
  get height() { return this.canvas.height }

  resize() {
    const {width, height} = this.canvas.getBoundingClientRect()
    const [w, h] = [Math.max(1, Math.round(width * this.ratio)), Math.max(1, Math.round(height * this.ratio))]
    if (w == this.width && h == this.height) return false
    this.canvas.width = w
    this.canvas.height = h
    return true
  }

  show(facts) {
    this.facts = facts
    this.fit()
  }

  get fitting() {
    const [w, h] = this.facts.size_px
    return Math.min(this.width / w, this.height / h)
  }

  fit() {
    const [w, h] = this.facts.size_px
    ;[this.x, this.y, this.scale] = [w / 2, h / 2, this.fitting]
  }

  // Frame → screen.
  across(x) { return (x - this.x) * this.scale + this.width / 2 }
  down(y) { return (y - this.y) * this.scale + this.height / 2 }

  // Level 0 → screen.
  point([x, y]) {
    const [px, py] = this.facts.px_l0
    return [this.across(x / px), this.down(y / py)]
  }

  // Screen → level 0.
  level0([left, top]) {
    const [px, py] = this.facts.px_l0
    return [
      ((left - this.width / 2) / this.scale + this.x) * px,
      ((top - this.height / 2) / this.scale + this.y) * py,
    ]
  }

  // What is in sight, in the frame: left, top, right, bottom.
  get box() {
    const [w, h] = [this.width / 2 / this.scale, this.height / 2 / this.scale]
    return [this.x - w, this.y - h, this.x + w, this.y + h]
  }

  // µm (or, where nobody knows them, pixels of level 0) per pixel of the page.
  get umpp() { return (this.facts.unit_um ?? 1) * this.ratio / this.scale }
  set umpp(value) { this.zoom((this.facts.unit_um ?? 1) * this.ratio / value / this.scale) }

  // Zoom by a factor about a point of the screen, which stays where it is.
  zoom(factor, [left, top] = [this.width / 2, this.height / 2]) {
    const least = Math.min(this.fitting / 2, MOST)
    const scale = Math.min(Math.max(this.scale * factor, least), MOST * this.ratio)
    const [dx, dy] = [left - this.width / 2, top - this.height / 2]
    this.x += dx / this.scale - dx / scale
    this.y += dy / this.scale - dy / scale
    this.scale = scale
    this.hold()
  }

  pan(dx, dy) {
    this.x -= dx / this.scale
    this.y -= dy / this.scale
    this.hold()
  }

  // The middle of the window stays on the slide.
  hold() {
    const [w, h] = this.facts.size_px
    this.x = Math.min(Math.max(this.x, 0), w)
    this.y = Math.min(Math.max(this.y, 0), h)
  }

  go([x, y], umpp) {
    const [px, py] = this.facts.px_l0
    ;[this.x, this.y] = [x / px, y / py]
    if (umpp) this.umpp = umpp
    this.hold()
  }
}

const NICE = [1, 2, 5]

// A round length of at most so many pixels of the page: µm, how many pixels, what people read.
export function bar(view, most) {
  const longest = most * view.umpp
  const power = 10 ** Math.floor(Math.log10(longest))
  const length = Math.max(...NICE.map((n) => n * power).filter((n) => n <= longest * 1.0001))
  return {length, wide: length / view.umpp, said: said(length, view.facts.unit_um != null)}
}

export function said(length, known) {
  if (!known) return `${rounded(length)} px`
  return length >= 1000 ? `${rounded(length / 1000)} mm` : `${rounded(length)} µm`
}

export const rounded = (value) => Number(value.toPrecision(4)).toLocaleString("en", {maximumFractionDigits: 6})
