// Mouse, touch pad and keys.

const STEP = Math.SQRT2  // of a key's zoom

export const KEYS = `keys
 arrows      move            + -   zoom
 0           whole slide     1     level 0
 n p         next, previous slide
 l           next layer      g t a grid, tissue, annotations
 c           copy a link     s     save a picture
 m           small map       Esc   close
 click       why is this patch called so? Where one teaches: its class
 Enter       as a click in the middle of the window
 u           undo, where one teaches`

// acts: zoom(factor, at), pan(dx, dy), click(point, event), drag(point, event) → whether it was
// taken, cancel() what is drawn, hover(point), key(name)
export function hands(canvas, ratio, acts) {
  let from = null
  let moved = false
  const at = (event) => {
    const box = canvas.getBoundingClientRect()
    return [(event.clientX - box.left) * ratio(), (event.clientY - box.top) * ratio()]
  }
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault()
    const lines = event.deltaMode ? 30 : 1
    acts.zoom(2 ** (-event.deltaY * lines / 300), at(event))
  }, {passive: false})
  canvas.onpointerdown = (event) => {
    if (event.button) return
    canvas.focus()
    canvas.setPointerCapture(event.pointerId)
    ;[from, moved] = [at(event), false]
    if (acts.down?.(from, event)) from = null
  }
  canvas.onpointermove = (event) => {
    const to = at(event)
    acts.hover(to, event)
    if (!from) return
    if (!moved && Math.hypot(to[0] - from[0], to[1] - from[1]) < 4 * ratio()) return
    moved = true
    canvas.classList.add("moving")
    acts.pan(to[0] - from[0], to[1] - from[1])
    from = to
  }
  canvas.onpointerup = (event) => {
    canvas.classList.remove("moving")
    if (acts.up?.(at(event), event)) return
    if (from && !moved) acts.click(from, event)
    from = null
  }
  canvas.onpointercancel = () => {
    canvas.classList.remove("moving")
    from = null
    acts.cancel?.()
  }
  canvas.ondblclick = (event) => acts.zoom(2, at(event))
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.target.matches("select, input:not([type=checkbox])") && event.key != "Escape") return
    const far = 120 * ratio()
    const moves = {ArrowLeft: [far, 0], ArrowRight: [-far, 0], ArrowUp: [0, far], ArrowDown: [0, -far]}
    if (moves[event.key]) acts.pan(...moves[event.key])
    else if (event.key == "+" || event.key == "=") acts.zoom(STEP)
    else if (event.key == "-") acts.zoom(1 / STEP)
    else if (event.key == "Enter" && event.target == canvas) acts.click([canvas.width / 2, canvas.height / 2], event)
    else if (!acts.key(event.key)) return
    event.preventDefault()
  })
}
