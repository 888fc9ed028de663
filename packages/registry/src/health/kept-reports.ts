import type { HealthReport } from "./health-monitor.ts";

/** Reports of plugins that provide nothing at present. So many, and the oldest goes. */
export interface KeptReports {
  keep(id: string, report: HealthReport): void;
  take(id: string): HealthReport | undefined;
}

export function createKeptReports(max: number): KeptReports {
  const reports = new Map<string, HealthReport>();
  return {
    keep(id, report) {
      reports.delete(id);
      reports.set(id, report);
      const [oldest] = reports.keys();
      if (reports.size > max && oldest !== undefined) reports.delete(oldest);
    },
    take(id) {
      const report = reports.get(id);
      reports.delete(id);
      return report;
    },
  };
}
