// Elements made of texts: a name is shown as it is, whatever it holds.

export const $ = (id) => document.getElementById(id)

// make("div", {className: "x"}, "text", child …)
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties)
  element.append(...children.filter((child) => child != null))
  return element
}

// What may be pressed, with the mouse or a key.
export function pressed(element, act) {
  const onkeydown = (event) => {
    if (event.target != element || (event.key != "Enter" && event.key != " ")) return
    event.preventDefault()
    act()
  }
  element.setAttribute("role", "button")
  return Object.assign(element, {onclick: act, onkeydown, tabIndex: 0})
}

export function swatch(colour, opacity = 1) {
  const element = make("span", {className: "swatch"})
  element.style.background = `rgba(${colour.join(",")},${opacity})`
  return element
}

export function message(text) {
  $("message").textContent = text ?? ""
  $("message").hidden = !text
}
