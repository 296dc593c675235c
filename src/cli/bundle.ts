// A support bundle while it is being collected: a folder of files, limited in size, and a list of what could not be had.
import {
  chmodSync,
  closeSync,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { readVersion } from "../runtime/version.ts";
import { CliError } from "./errors.ts";

interface Missing {
  readonly path: string;
  readonly reason: string;
}

/** Of one file: the end of a log says more than its beginning. */
const mostFileBytes = 4 << 20;

export class Bundle implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "isobar-support-"));
  readonly #name: string;
  readonly #missing: Missing[] = [];
  readonly #cut: string[] = [];
  #leftBytes: number;

  /** `name` is that of the folder in the archive. */
  constructor(name: string, mostBytes: number) {
    this.#name = name;
    this.#leftBytes = mostBytes;
    chmodSync(this.#folder, 0o700);
  }

  get missing(): readonly Missing[] {
    return this.#missing;
  }

  /** Adds what `read` gives; what it throws is noted and stops nothing. */
  async add(path: string, read: () => string | Promise<string>): Promise<void> {
    try {
      this.#write(path, Buffer.from(await read()));
    } catch (error) {
      this.skip(path, error instanceof Error ? error.message : String(error));
    }
  }

  /** Adds the end of a file. */
  addFile(path: string, from: string): void {
    try {
      this.#write(path, readEnd(from));
    } catch (error) {
      this.skip(path, error instanceof Error ? error.message : String(error));
    }
  }

  /** Notes what is not there, and why or how to have it. */
  skip(path: string, reason: string): void {
    this.#missing.push({ path, reason });
  }

  /** Writes the archive (tar, gzip) to a file, or to standard output for `-`. */
  async finish(target: string, takenAt: Date): Promise<void> {
    const manifest = {
      isobar: readVersion(),
      taken: takenAt.toISOString(),
      cut: this.#cut,
      missing: this.#missing,
    };
    const root = join(this.#folder, this.#name);
    mkdirSync(root, { recursive: true });
    writeFileSync(join(root, "manifest.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
    const tar = spawn("tar", ["-C", this.#folder, "-czf", "-", this.#name], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(tar, "close");
    // Names of pods and addresses are nobody else's business.
    const out = target === "-" ? process.stdout : createWriteStream(target, { mode: 0o600 });
    await pipeline(tar.stdout, out, { end: target !== "-" });
    const [code] = await ended;
    if (code !== 0) throw new CliError(`tar ended with ${String(code)}`);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #write(path: string, content: Buffer): void {
    if (this.#leftBytes <= 0) {
      this.skip(path, "the bundle has reached its size; raise --max-size-mib");
      return;
    }
    const limit = Math.min(mostFileBytes, this.#leftBytes);
    const kept = content.length > limit ? content.subarray(content.length - limit) : content;
    if (kept.length < content.length) this.#cut.push(path);
    this.#leftBytes -= kept.length;
    const full = join(this.#folder, this.#name, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, kept);
  }
}

function readEnd(path: string): Buffer {
  const { size } = statSync(path);
  const length = Math.min(size, mostFileBytes + 1);
  const file = openSync(path, "r");
  try {
    const content = Buffer.alloc(length);
    const read = readSync(file, content, 0, length, size - length);
    return content.subarray(0, read);
  } finally {
    closeSync(file);
  }
}
