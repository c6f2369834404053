// What is seen as a PNG: the slide with its layer and lines, a scale bar, and a legend below.

import {bar} from "./view.js"

const SMALL = "13px system-ui, sans-serif"

export function drawBar(context, view, [left, bottom]) {
  const {wide, said} = bar(view, 180)
  const r = view.ratio
  context.save()
  context.scale(r, r)
  const [x, y] = [left / r, bottom / r]
  context.fillStyle = "rgba(255,255,255,.85)"
  context.fillRect(x, y - 34, wide + 16, 34)
  context.fillStyle = "#000"
  context.fillRect(x + 8, y - 12, wide, 5)
  context.font = SMALL
  context.fillText(said, x + 8, y - 18)
  context.restore()
}

// Compose the picture: a canvas.
export function compose(view, draw, legend, words) {
  const r = view.ratio
  const line = 20
  const rows = legend.length + words.length + 1
  const picture = document.createElement("canvas")
  picture.width = view.width
  picture.height = view.height + Math.round(rows * line * r)
  const context = picture.getContext("2d")
  context.fillStyle = "#fff"
  context.fillRect(0, 0, picture.width, picture.height)
  draw(context)
  drawBar(context, view, [10 * r, view.height - 10 * r])
  context.fillStyle = "#fff"
  context.fillRect(0, view.height, picture.width, picture.height)
  context.scale(r, r)
  context.font = SMALL
  let y = view.height / r + line - 4
  for (const {name, colour, map} of legend) {
    let x = 10
    if (map) {
      map.forEach((shade, i) => {
        context.fillStyle = `rgb(${shade.join(",")})`
        context.fillRect(x + i / 2, y - 11, 1, 12)
      })
      x += 136
    } else if (colour) {
      context.fillStyle = `rgb(${colour.join(",")})`
      context.fillRect(x, y - 11, 14, 12)
      x += 22
    }
    context.fillStyle = "#000"
    context.fillText(name, x, y)
    y += line
  }
  context.fillStyle = "#444"
  for (const said of words) {
    context.fillText(said, 10, y)
    y += line
  }
  return picture
}

export async function save(picture, name) {
  const blob = await new Promise((done) => picture.toBlob(done, "image/png"))
  const link = document.createElement("a")
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
