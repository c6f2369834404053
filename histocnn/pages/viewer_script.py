"""What the viewer does in the browser: paint the chosen layer, read the patch under the pointer.

Each is the body of a Bokeh CustomJS; its arguments are named in `viewer.py`. Scores come as whole
numbers from 0 to 65534 for 0 to 1, and 65535 for "not scored".
"""

# cells, shape, layer, choice, threshold, key, keys, tables, colours, class_count
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
  const values = cells.data[what]
  const paint = tables[what == "novelty" ? 1 : 0].map(([r, g, b]) => opaque(r, g, b))
  for (let i = 0; i < at.length; i++) {
    const value = values[i]
    if (value != 65535 && value >= least)
      pixels[at[i]] = paint[Math.round(value / 65534 * 255)]
  }
}
layer.data["image"] = [ndarray(pixels.buffer, {dtype: "uint32", shape: [rows, cols]})]
layer.change.emit()
key.text = keys[what]
"""

# patches, view, mark, readout, names; `view` is kept from call to call
POINT = """
if (!view.rows) {
  const rows = new Int32Array(view.shape[0] * view.shape[1]).fill(-1)
  patches.data["at"].forEach((cell, row) => { rows[cell] = row })
  view.rows = rows
}
const [grid_rows, grid_cols] = view.shape
const [width, height] = view.footprint
const [across, down] = view.stride
const {x, y, event_name} = cb_obj
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
      nearest = distance; found = patch; left = col * across; top = row * down
    }
  }
if (found == view.shown) return
view.shown = found
if (found < 0) {
  mark.data = {left: [], right: [], top: [], bottom: []}
  readout.text = view.nothing
  return
}
mark.data = {left: [left], right: [left + width], top: [top], bottom: [top + height]}
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
const place = `level 0: x ${Math.round(left)}, y ${Math.round(top)}`
readout.text = `<b>patch ${found}</b> · ${place}<table>${lines.join("")}</table>`
"""
