"use strict";

// The state of the page: replaced, never changed in place; listeners are called with it once a frame.
const makeStore = (initial) => {
  let state = Object.freeze({ ...initial });
  const listeners = new Set();
  let waiting = false;

  const tell = () => {
    waiting = false;
    for (const listener of listeners) listener(state);
  };

  const set = (change) => {
    state = Object.freeze({ ...state, ...change });
    if (!waiting) {
      waiting = true;
      requestAnimationFrame(tell);
    }
  };

  return {
    get: () => state,
    set,
    listen: (listener) => {
      listeners.add(listener);
      listener(state);
    },
    forget: (listener) => listeners.delete(listener),
  };
};
