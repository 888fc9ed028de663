/** How long the latest calls took, roughly. */
export interface LatencyHistogram {
  /** Calls that count now, the forgotten ones not among them. */
  readonly count: number;
  /** A call took that long. In ms. */
  record(ms: number): void;
  /**
   * The time within which the share `quantile` of the calls was done; too high by less than a tenth. In ms. Between 0.01
   * and 10 737 418; NaN without calls.
   */
  quantile(quantile: number): number;
}

/** Upper edge of the lowest bucket is this, times `step`. */
const lowestMs = 0.01;
const bucketsPerDoubling = 8;
const bucketCount = 30 * bucketsPerDoubling;

/**
 * A histogram of about `windowCalls` calls in a fixed kilobyte. When it has that many, it halves every count, so that
 * older calls weigh less and less, and half as many again must come until the next time.
 *
 * Algorithm: buckets that grow by a constant factor, here 2^(1/8), as in DDSketch (Masson, Rim, Lee, VLDB 2019), whose
 * relative error they have; and as it is used for a delay, the upper edge instead of the middle.
 * @param windowCalls whole number from 1.
 */
export function createLatencyHistogram(windowCalls: number): LatencyHistogram {
  const counts = new Uint32Array(bucketCount);
  let count = 0;

  function forgetHalf(): void {
    count = 0;
    for (const [index, calls] of counts.entries()) {
      const kept = calls >>> 1;
      counts[index] = kept;
      count += kept;
    }
  }

  return {
    get count() {
      return count;
    },
    record(ms) {
      const index = Math.ceil(Math.log2(ms / lowestMs) * bucketsPerDoubling) - 1;
      // A clock that stood still gives -Infinity, and goes to the lowest.
      const bucket = Math.min(bucketCount - 1, Math.max(0, index));
      counts[bucket] = (counts[bucket] ?? 0) + 1;
      count += 1;
      if (count >= windowCalls) forgetHalf();
    },
    quantile(quantile) {
      const slower = count - Math.ceil(quantile * count);
      let above = 0;
      for (let bucket = bucketCount - 1; bucket >= 0; bucket--) {
        above += counts[bucket] ?? 0;
        if (above > slower) return lowestMs * 2 ** ((bucket + 1) / bucketsPerDoubling);
      }
      return Number.NaN;
    },
  };
}
