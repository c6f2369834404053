// Buttons for the scales that people know, as µm per pixel of the page.

import {make} from "./dom.js"
import {MOST, rounded} from "./view.js"

// [what a button says, µm per pixel]; of a slide that does not know its scale, pixels per pixel.
export function scales(facts) {
  const whole = Math.max(...facts.size_px) * (facts.unit_um ?? 1)
  const known = [8, 4, 2, 1, 0.5, 0.25, 0.125]
  const finest = (facts.unit_um ?? 1) / MOST
  return known
    .filter((value) => value >= finest && value * 600 < whole)
    .map((value) => facts.unit_um == null ? [`1 : ${rounded(value)}`, value] : [`${value} µm/px`, value])
}

export function scaleButtons(place, facts, go) {
  const own = facts.unit_um ?? 1
  const buttons = scales(facts).map(([said, value]) => make("button", {
    onclick: () => go(value),
    title: facts.unit_um == null ? "pixels of level 0 per pixel" : `${rounded(10 / value)}×, by 10 µm/px at 1×`,
  }, said))
  place.replaceChildren(
    make("button", {onclick: () => go(null), title: "the whole slide (0)"}, "whole"), ...buttons,
    make("button", {onclick: () => go(own), title: `level 0 (1)`}, facts.unit_um == null ? "level 0" : `level 0: ${rounded(own)} µm/px`),
  )
}
