// The address's end says what is seen: slide, place, scale, layer. Whoever opens it sees the same.

const number = (text) => (text == null || text === "" || !isFinite(text) ? null : Number(text))

export function readPlace(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""))
  return {
    slide: said.get("slide"), x: number(said.get("x")), y: number(said.get("y")),
    umpp: number(said.get("umpp")), layer: said.get("layer"), least: number(said.get("from")),
    opacity: number(said.get("opacity")), lines: said.get("lines"),
  }
}

export function writePlace({slide, x, y, umpp, layer, least, opacity, lines}) {
  const said = new URLSearchParams({slide, x: x.toFixed(1), y: y.toFixed(1), umpp: umpp.toPrecision(5), layer})
  if (layer && least) said.set("from", least.toFixed(3))
  if (layer) said.set("opacity", opacity.toFixed(3))
  said.set("lines", lines)
  return `#${said}`
}
