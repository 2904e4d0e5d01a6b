/** What `agent bench` needs when it is used, in one place to load it from: nothing else may import it. */
export { runBench } from "../bench/bench.ts";
export { compareReports } from "../bench/compare.ts";
export { renderBench } from "../bench/render.ts";
export { parseReport } from "../bench/report.ts";
export { SYSTEM_FILES } from "../bench/system-files.ts";
