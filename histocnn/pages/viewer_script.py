"""What the viewer does in the browser: fit the slide, paint the chosen layer, read a patch.

Each is the body of a Bokeh CustomJS; its arguments are named in `viewer.py`. Scores come as whole
numbers from 0 to 65534 for 0 to 1, and 65535 for "not scored".
"""

# plot, x_range, y_range, size, mpp, footprint, mark
FIT = r"""
// As much of the frame as the slide's proportions allow, and the slide in the middle.
const [across, down] = [plot.inner_width, plot.inner_height]
if (!(across > 0 && down > 0)) return
const [width, height] = size
const um_per_px = Math.max(width * mpp[0] / across, height * mpp[1] / down)
const spare_x = (across * um_per_px / mpp[0] - width) / 2
const spare_y = (down * um_per_px / mpp[1] - height) / 2
const show = (range, start, end) =>
  range.setv({start, end, reset_start: start, reset_end: end})
show(x_range, -spare_x, width + spare_x)
show(y_range, height + spare_y, -spare_y)
// A link may name a patch by its corner, #x,y: it is framed, a dozen of its like about it.
const named = /^#(-?\d+),(-?\d+)$/.exec(location.hash)
if (named) {
  const [x, y] = [Number(named[1]), Number(named[2])], [wide, high] = footprint
  mark.data = {left: [x], right: [x + wide], top: [y], bottom: [y + high]}
  const near = 12 * wide * mpp[0] / Math.min(across, down)  // µm per px of the window
  const half_x = across * near / mpp[0] / 2, half_y = down * near / mpp[1] / 2
  x_range.setv({start: x + wide / 2 - half_x, end: x + wide / 2 + half_x})
  y_range.setv({start: y + high / 2 + half_y, end: y + high / 2 - half_y})
}
"""

# choice, key, keys, contours
EXPLAIN = """
key.text = keys[choice.value]
for (const [layer, lines] of Object.entries(contours))
  for (const line of lines) line.visible = layer == choice.value
"""

# cells, shape, layer, choice, threshold, tables, colours, class_count
PAINT = """
const {ndarray} = Bokeh.require("core/util/ndarray")
const [rows, cols] = shape
const pixels = new Uint32Array(rows * cols)
const opaque = (r, g, b) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0
const at = cells.data["at"]
const least = threshold.value * 65534 - 0.5
const what = choice.value
if (what == "classes") {
  const columns = Array.from({length: class_count}, (_, c) => cells.data["s" + c])
  const paint = colours.map(([r, g, b]) => opaque(r, g, b))
  for (let i = 0; i < at.length; i++) {
    let best = 0
    for (let c = 1; c < class_count; c++)
      if (columns[c][i] > columns[best][i]) best = c
    const value = columns[best][i]
    if (value != 65535 && value >= least) pixels[at[i]] = paint[best]
  }
} else {
  const values = cells.data[what] ?? []  // quality is lines alone
  const paint = tables[what == "novelty" ? 1 : 0].map(([r, g, b]) => opaque(r, g, b))
  for (let i = 0; i < at.length; i++) {
    const value = values[i]
    if (value != 65535 && value >= least)
      pixels[at[i]] = paint[Math.round(value / 65534 * 255)]
  }
}
layer.data["image"] = [ndarray(pixels.buffer, {dtype: "uint32", shape: [rows, cols]})]
layer.change.emit()
"""

# cells, shape, stride, size, plot, x_range, y_range, layer, choice, threshold, tables, colours,
# class_count, opacities, class_opacity, tissue, kept; `kept` is kept from call to call
PAINT_SMOOTH = """
// What is in sight, at the window's own pixels: between the centres of cells linearly, as opaque as
// the score says, where there is tissue. `cells` has a cell more on each side than the slide.
const {ndarray} = Bokeh.require("core/util/ndarray")
const cols = shape[1] + 2, most = (shape[0] + 2) * cols
const laid = (name) => {
  if (!kept[name]) {
    kept[name] = new Uint16Array(most)
    const values = cells.data[name] ?? []  // quality is lines alone
    cells.data["at"].forEach((cell, row) => { kept[name][cell] = values[row] })
  }
  return kept[name]
}
// Along an axis, for each pixel: its own cell, the last whose centre is before it, how far on.
const along = (count, from, to, stride, side) => {
  const own = new Uint32Array(count), before = new Uint32Array(count)
  const share = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    const at = (from + (i + 0.5) / count * (to - from)) / stride
    own[i] = Math.min(Math.floor(at), side - 1) + 1
    before[i] = Math.min(Math.floor(at + 0.5), side)
    share[i] = at + 0.5 - before[i]
  }
  return [own, before, share]
}
const paint = () => {
  kept.due = false
  const left = Math.max(0, x_range.start), right = Math.min(size[0], x_range.end)
  const top = Math.max(0, y_range.end), bottom = Math.min(size[1], y_range.start)
  if (!(left < right && top < bottom && plot.inner_width > 0)) return
  const pixels_along = (length, range, inner) =>
    Math.max(1, Math.round(length / Math.abs(range.end - range.start) * inner))
  const width = pixels_along(right - left, x_range, plot.inner_width)
  const height = pixels_along(bottom - top, y_range, plot.inner_height)
  const context = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true})
  context.imageSmoothingQuality = "high"
  const [fx, fy] = [kept.image.width / size[0], kept.image.height / size[1]]
  context.drawImage(kept.image, left * fx, top * fy, (right - left) * fx, (bottom - top) * fy,
                    0, 0, width, height)
  const share = context.getImageData(0, 0, width, height).data
  const what = choice.value, classes = what == "classes"
  const names = classes ? Array.from({length: class_count}, (_, c) => "s" + c) : [what]
  const columns = names.map(laid)
  const own = laid("own"), bit = what == "novelty" ? 2 : 1
  const table = tables[what == "novelty" ? 1 : 0], opacity = opacities[what == "novelty" ? 1 : 0]
  const chance = class_count > 1 ? 1 / class_count : 0
  const least = threshold.value * 65534 - 0.5
  const [own_col, col, right_share] = along(width, left, right, stride[0], shape[1])
  const [own_row, row, down_share] = along(height, top, bottom, stride[1], shape[0])
  const pixels = new Uint32Array(width * height)
  for (let j = 0, p = 0; j < height; j++) {
    const v = down_share[j], above = row[j] * cols, owner = own_row[j] * cols
    for (let i = 0; i < width; i++, p++) {
      const tissue = share[4 * p]
      if (!tissue || !(own[owner + own_col[i]] & bit)) continue
      const u = right_share[i], a = above + col[i], b = a + cols
      let value = -1, best = 0
      for (let c = 0; c < columns.length; c++) {
        const s = columns[c]
        const upper = s[a] + (s[a + 1] - s[a]) * u, lower = s[b] + (s[b + 1] - s[b]) * u
        const between = upper + (lower - upper) * v
        if (between > value) { value = between; best = c }
      }
      if (value < least) continue
      const step = Math.round(value / 65534 * 255)
      const [red, green, blue] = classes ? colours[best] : table[step]
      const sure = classes ? class_opacity * Math.max(0, value / 65534 - chance) / (1 - chance)
                           : opacity[step]
      pixels[p] = ((Math.round(sure * tissue) << 24) | (blue << 16) | (green << 8) | red) >>> 0
    }
  }
  layer.data = {
    image: [ndarray(pixels.buffer, {dtype: "uint32", shape: [height, width]})],
    x: [left], y: [top], dw: [right - left], dh: [bottom - top],
  }
}
// Once per frame, whatever changes in it.
const soon = () => {
  if (!kept.due) requestAnimationFrame(paint)
  kept.due = true
}
if (!kept.image) {
  kept.image = new Image()
  kept.image.onload = soon
  kept.image.src = tissue
} else if (kept.image.complete) soon()
"""

# patches, view, mark, readout, names, labels; `view` is kept from call to call
POINT = """
if (!view.rows) {
  const rows = new Int32Array(view.shape[0] * view.shape[1]).fill(-1)
  patches.data["at"].forEach((cell, row) => { rows[cell] = row })
  view.rows = rows
}
const [grid_rows, grid_cols] = view.shape
const [width, height] = view.reach
const [across, down] = view.stride
const {event_name} = cb_obj
// The first patches answer for what lies before them on the slide, too.
const x = cb_obj.x < 0 ? cb_obj.x : Math.max(0, cb_obj.x - view.first[0])
const y = cb_obj.y < 0 ? cb_obj.y : Math.max(0, cb_obj.y - view.first[1])
let found = -1, nearest = Infinity, left = 0, top = 0
const reach_x = Math.ceil(width / across), reach_y = Math.ceil(height / down)
const col0 = Math.floor(x / across), row0 = Math.floor(y / down)
const last_row = event_name == "mouseleave" ? -1 : Math.min(row0, grid_rows - 1)
for (let row = Math.max(0, row0 - reach_y); row <= last_row; row++)
  for (let col = Math.max(0, col0 - reach_x); col <= Math.min(col0, grid_cols - 1); col++) {
    const patch = view.rows[row * grid_cols + col]
    const dx = x - col * across, dy = y - row * down
    if (patch < 0 || dx < 0 || dy < 0 || dx >= width || dy >= height) continue
    const distance = Math.hypot(dx - width / 2, dy - height / 2)
    if (distance < nearest) {
      nearest = distance; found = patch
      left = col * across + view.offset[0]; top = row * down + view.offset[1]
    }
  }
if (found == view.shown) return
view.shown = found
if (found < 0) {
  mark.data = {left: [], right: [], top: [], bottom: []}
  readout.text = view.nothing
  return
}
const [wide, high] = view.footprint
mark.data = {left: [left], right: [left + wide], top: [top], bottom: [top + high]}
const share = (column) => {
  const value = patches.data[column][found]
  return value == 65535 ? NaN : value / 65534
}
const lines = names.map((name, c) => {
  const score = share("s" + c)
  if (isNaN(score)) return `<tr><td>${name}</td><td></td><td>not scored</td></tr>`
  const bar = `<i style="width:${(score * 90).toFixed(1)}px"></i>`
  return `<tr><td>${name}</td><td>${bar}</td><td>${score.toFixed(3)}</td></tr>`
})
if (patches.data["novelty"]) {
  const novelty = share("novelty")
  const text = isNaN(novelty) ? "unknown" : (novelty * 100).toFixed(1) + " %"
  lines.push(`<tr><td>novelty</td><td></td><td>${text}</td></tr>`)
}
if (patches.data["label"]) {
  const label = patches.data["label"][found]
  lines.push(`<tr><td>label</td><td></td><td>${label < 0 ? "none" : labels[label]}</td></tr>`)
}
const place = `level 0: x ${Math.round(left)}, y ${Math.round(top)}`
readout.text = `<b>${view.word} ${found}</b> · ${place}<table>${lines.join("")}</table>`
"""
