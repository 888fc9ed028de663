/** Gives out numbers from the least. A binary heap: Williams, 1964. */
export interface NumberHeap {
  readonly least: number | undefined;
  add(number: number): void;
  takeLeast(): number | undefined;
}

export function createNumberHeap(): NumberHeap {
  const numbers: number[] = [];
  const at = (index: number): number => numbers[index] ?? Number.POSITIVE_INFINITY;

  const sink = (number: number): void => {
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const child = at(left + 1) < at(left) ? left + 1 : left;
      if (!(at(child) < number)) break;
      numbers[index] = at(child);
      index = child;
    }
    numbers[index] = number;
  };

  return {
    get least() {
      return numbers[0];
    },
    add(number) {
      let index = numbers.length;
      for (let parent = (index - 1) >> 1; index > 0 && at(parent) > number; parent = (index - 1) >> 1) {
        numbers[index] = at(parent);
        index = parent;
      }
      numbers[index] = number;
    },
    takeLeast() {
      const least = numbers[0];
      const last = numbers.pop();
      if (numbers.length > 0 && last !== undefined) sink(last);
      return least;
    },
  };
}
