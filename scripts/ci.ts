/**
 * Continuous integration, from nothing: Debian packages that some tests use (when root), the same test
 * command that README names, the binary's smoke test. Its last line counts the real totals.
 */

interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Runs a command, showing and keeping what it prints. */
async function run(words: readonly string[], options: { readonly isOptional?: boolean } = {}): Promise<string> {
  process.stdout.write(`\n$ ${words.join(" ")}\n`);
  const child = Bun.spawn([...words], { stdout: "pipe", stderr: "pipe", stdin: "ignore" });
  const [out, err] = await Promise.all([show(child.stdout), show(child.stderr)]);
  const code = await child.exited;
  if (code !== 0 && options.isOptional !== true) await finish(totalsOf(out + err), `"${words.join(" ")}" exited with ${code}`);
  return out + err;
}

async function show(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    process.stdout.write(chunk);
  }
  return text;
}

/** bun:test's closing lines: " 12 pass", " 1 skip", " 0 fail". */
function totalsOf(output: string): Totals {
  // oxlint-disable-next-line no-control-regex -- colours are just what must go
  const plain = output.replace(/\u001b\[[0-9;]*m/g, "");
  const last = (word: string): number => Number([...plain.matchAll(new RegExp(`^\\s*(\\d+) ${word}$`, "gm"))].at(-1)?.[1] ?? 0);
  return { passed: last("pass"), failed: last("fail"), skipped: last("skip") };
}

async function finish({ passed, failed, skipped }: Totals, problem?: string): Promise<never> {
  if (problem !== undefined) console.log(`\nCI failed: ${problem}`);
  // A check outside the tests that failed counts as a failure: nothing may read as green then.
  console.log(`${passed} passed, ${problem !== undefined && failed === 0 ? 1 : failed} failed, ${skipped} skipped`);
  process.exit(problem === undefined && failed === 0 && passed > 0 ? 0 : 1);
}

if (process.getuid?.() === 0) await run(["bash", "scripts/ci-deps"], { isOptional: true });
const tested = await run([process.execPath, "run", "all-tests"]);
const agent = `${import.meta.dir}/../dist/agent`;
await run([agent, "version"]);
await run([agent, "demo"]);
await finish(totalsOf(tested));
