// Runs in the page: when what is heard of the others came another way than before, by what the SDK does to its elements.
{
  const lab = (globalThis.lab ??= {});
  /** The moments, as milliseconds of the machine's clock. */
  let changes = [];

  /** An audio element of the SDK's, whose doings are noted. */
  lab.createAudio = () => {
    const element = new Audio();
    note(element, "muted");
    note(element, "srcObject");
    return element;
  };

  /** Notes when a property of an element is changed. */
  const note = (element, name) => {
    const { get, set } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, name);
    Object.defineProperty(element, name, {
      get: () => get.call(element),
      set: (value) => {
        if (value !== get.call(element)) changes.push(Date.now());
        set.call(element, value);
      },
    });
  };

  /** From here on. */
  lab.noteChanges = () => {
    changes = [];
  };

  lab.changes = () => changes;
}
