// Programs that the harness has started end with it, however it ends.
const children = new Set();

process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

export function endWithUs(child) {
  children.add(child);
  child.once("exit", () => children.delete(child));
}
