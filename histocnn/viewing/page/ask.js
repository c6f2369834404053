// What the viewer answers. Where it refuses, or is there no more, that is an error in its words.

export async function ask(address, options) {
  let answer
  try {
    answer = await fetch(address, options)
  } catch (error) {
    throw error.name == "AbortError" ? error : new Error("the viewer does not answer: has it ended?")
  }
  if (answer.ok) return answer
  throw new Error((await answer.json()).error)
}

let seen = new AbortController()

// What is asked about the slide that is seen: nobody waits for it where another is seen.
export const about = (address) => ask(address, {signal: seen.signal})

export function leave() {
  seen.abort()
  seen = new AbortController()
}

export const told = async (address, options) => (await ask(address, options)).json()
