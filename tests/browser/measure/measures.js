// What all measurements print alike.

export const percentile = (values, share) => {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]);
};

export const median = (values) => percentile(values, 0.5);
