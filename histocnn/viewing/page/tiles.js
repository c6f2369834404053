// The slide's pixels: tiles of the zoom that the screen shows, coarser ones until they are there.

const AT_ONCE = 6  // as many connections as a browser opens
const AHEAD = 2  // of them for tiles beyond the window, when all in it are there
const KEPT = 500  // tiles, 256 kB each

export class Tiles {
  constructor(changed) {
    this.changed = changed
    this.known = new Map()  // by name, those used last at the end
    this.flying = new Map()  // name → AbortController
    this.wanted = []
    this.ahead = []
    this.times = []  // ms from asking to being ready, of the last tiles
    this.lost = 0
  }

  show(number, facts, size) {
    for (const each of this.flying.values()) each.abort()
    this.known.forEach((each) => each.bitmap?.close())
    this.known.clear()
    this.flying.clear()
    ;[this.number, this.facts, this.size, this.lost] = [number, facts, size, 0]
  }

  // The zoom whose pixels are at most 1.19 of the screen's.
  level(scale) {
    const coarser = Math.floor(Math.log2(1 / scale) + 0.25)
    return Math.min(Math.max(this.facts.depth - Math.max(coarser, 0), 0), this.facts.depth)
  }

  side(zoom) { return this.size * 2 ** (this.facts.depth - zoom) }

  draw(context, view) {
    const zoom = this.level(view.scale)
    const side = this.side(zoom)
    const [w, h] = this.facts.size_px
    const [left, top, right, bottom] = view.box
    const [first, last] = [Math.max(0, Math.floor(left / side)), Math.min(right, w - 1e-6) / side]
    const [upper, lower] = [Math.max(0, Math.floor(top / side)), Math.min(bottom, h - 1e-6) / side]
    this.wanted = this.known.has("0/0/0") ? [] : ["0/0/0"]
    const missing = []
    context.save()
    context.beginPath()
    context.rect(view.across(0), view.down(0), w * view.scale, h * view.scale)
    context.clip()
    for (let row = upper; row <= lower; row++)
      for (let column = first; column <= last; column++) {
        if (!this.known.get(`${zoom}/${column}/${row}`)?.bitmap) missing.push([column, row])
      }
    for (const [column, row] of missing) this.coarser(context, view, zoom, column, row)
    for (let row = upper; row <= lower; row++)
      for (let column = first; column <= last; column++) {
        const found = this.use(`${zoom}/${column}/${row}`)
        if (found) this.put(context, view, found, zoom, column, row, [0, 0, this.size])
      }
    context.restore()
    const middle = ([column, row]) => Math.hypot((column + 0.5) * side - view.x, (row + 0.5) * side - view.y)
    missing.sort((a, b) => middle(a) - middle(b))
    this.wanted.push(...missing.map(([column, row]) => `${zoom}/${column}/${row}`).filter((n) => !this.known.has(n)))
    this.ahead = missing.length ? [] : this.around(zoom, first, upper, Math.floor(last), Math.floor(lower))
    this.fetch()
    return missing.length == 0
  }

  // The tiles around those in sight, which are wanted next.
  around(zoom, first, upper, last, lower) {
    const most = this.facts.size_px.map((side) => Math.ceil(side / this.side(zoom)) - 1)
    const found = []
    for (let row = Math.max(0, upper - 1); row <= Math.min(most[1], lower + 1); row++)
      for (let column = Math.max(0, first - 1); column <= Math.min(most[0], last + 1); column++)
        if (row < upper || row > lower || column < first || column > last) found.push(`${zoom}/${column}/${row}`)
    return found.filter((name) => !this.known.has(name))
  }

  use(name) {
    const found = this.known.get(name)
    if (!found) return null
    this.known.delete(name)
    this.known.set(name, found)
    return found.bitmap
  }

  // The part of the nearest coarser tile that is there.
  coarser(context, view, zoom, column, row) {
    for (let up = 1; up <= zoom; up++) {
      const found = this.use(`${zoom - up}/${column >> up}/${row >> up}`)
      if (!found) continue
      const part = this.size / 2 ** up
      const [x, y] = [column - ((column >> up) << up), row - ((row >> up) << up)]
      this.put(context, view, found, zoom, column, row, [x * part, y * part, part])
      return
    }
  }

  // To whole pixels of the screen, so that tiles meet: at most half a pixel from their place.
  put(context, view, bitmap, zoom, column, row, [x, y, part]) {
    const side = this.side(zoom)
    const [left, right] = [column, column + 1].map((n) => Math.round(view.across(n * side)))
    const [top, bottom] = [row, row + 1].map((n) => Math.round(view.down(n * side)))
    context.imageSmoothingEnabled = view.scale * 2 ** (this.facts.depth - zoom) < 2 || part < this.size
    context.drawImage(bitmap, x, y, part, part, left, top, right - left, bottom - top)
  }

  fetch() {
    const wanted = new Set([...this.wanted, ...this.ahead])
    for (const [name, flight] of this.flying) if (!wanted.has(name)) flight.abort()
    for (const name of this.wanted) {
      if (this.flying.size >= AT_ONCE) return
      if (!this.flying.has(name)) this.one(name)
    }
    for (const name of this.ahead) {
      if (this.flying.size >= AHEAD) return
      if (!this.flying.has(name)) this.one(name)
    }
  }

  async one(name) {
    const flight = new AbortController()
    this.flying.set(name, flight)
    const [number, start] = [this.number, performance.now()]
    let bitmap
    try {
      const answer = await fetch(`slide/${number}/tile/${name}`, {signal: flight.signal})
      if (!answer.ok || answer.headers.has("X-Not-Read")) this.lost++
      if (answer.ok) bitmap = await createImageBitmap(await answer.blob())
    } catch {
      // Not wanted any more, which is asked again when it is drawn again; or the viewer has ended.
      if (!flight.signal.aborted) this.lost++
    }
    if (this.flying.get(name) != flight) return bitmap?.close()  // another slide is seen
    this.flying.delete(name)
    if (bitmap || !flight.signal.aborted) this.known.set(name, {bitmap})
    if (bitmap) this.times.push(performance.now() - start)
    while (this.known.size > KEPT) {
      const oldest = [...this.known.keys()].find((each) => each != "0/0/0")
      this.known.get(oldest).bitmap?.close()
      this.known.delete(oldest)
    }
    this.changed()
  }
}
