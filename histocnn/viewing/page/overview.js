// The whole slide in a corner, with a frame around what is in sight.

const SIDE = 180  // px of its longer side

export class Overview {
  constructor(canvas, act) {
    this.canvas = canvas
    const go = (event) => {
      const box = canvas.getBoundingClientRect()
      act((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height)
    }
    canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); go(event) }
    canvas.onpointermove = (event) => { if (event.buttons) go(event) }
  }

  draw(view, tiles) {
    const {canvas} = this
    const [w, h] = view.facts.size_px
    const shrink = SIDE / Math.max(w, h)
    const [wide, high] = [Math.max(1, Math.round(w * shrink)), Math.max(1, Math.round(h * shrink))]
    if (canvas.width != wide || canvas.height != high) [canvas.width, canvas.height] = [wide, high]
    const context = canvas.getContext("2d")
    context.clearRect(0, 0, wide, high)
    const whole = tiles.use("0/0/0")
    const side = 2 ** view.facts.depth
    if (whole) context.drawImage(whole, 0, 0, w / side, h / side, 0, 0, wide, high)
    const [left, top, right, bottom] = view.box.map((value) => value * shrink)
    context.strokeStyle = "#d55e00"
    context.lineWidth = 2
    context.strokeRect(left, top, Math.max(4, right - left), Math.max(4, bottom - top))
  }
}
